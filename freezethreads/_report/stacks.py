"""The stacks of threads at one moment, in a form that stays when they move on.

With a GIL they are read frame by frame. Without one, nobody may touch the frames of a thread that
runs, as CPython's guide to free threading says: where coroutines run, reading them crashes the
interpreter within a minute (python/cpython#152355). There `faulthandler` writes them down, while it
has stopped the world. What it writes has lines and no instructions: before CPython 3.15 of a
hundred threads at most, those that were started last, and of each the innermost hundred calls. It
does not load in an interpreter other than the first, where, without a GIL, nobody can tell.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Collection, Iterable, Iterator
from io import FileIO
from itertools import islice
from types import CodeType, FrameType
from typing import IO, Any, Final, NamedTuple, TypeAlias, TypeVar

from freezethreads._ground.files import remoteness
from freezethreads._ground.frames import HAS_GIL, current_frames, uncollected
from freezethreads._ground.original import Thread

try:
    import faulthandler
except ImportError:  # another interpreter than the first: it keeps what it has in C variables
    _dump_traceback = None
else:
    _dump_traceback = faulthandler.dump_traceback

_ALL: Final[dict[str, Any]] = {"max_threads": sys.maxsize} if sys.version_info >= (3, 15) else {}

JOIN: Final = Thread.join.__code__

_HAS_GIL: Final = HAS_GIL
# Before that `faulthandler` read the frames of threads that run, as well (python/cpython#128400).
_FAULTHANDLER_STOPS: Final = sys.version_info >= (3, 13, 2)

_HEADER: Final = re.compile(
    r"(?:Current t|T)hread 0x([0-9a-f]+)(?: \[.*\])? \(most recent call first\):"
)
_LINE: Final = re.compile(r'  File (?:"(.*)"|\?\?\?), line (?:(\d+)|\?\?\?) in (.*)')
_NO_CALL: Final = "  <no Python frame>"
# How it writes what is not printable ASCII. (What looks like that and is not, it leaves as it is.)
_ESCAPE: Final = re.compile(
    r"\\(?:x([0189a-f][0-9a-f]|7f)|u((?!00)[0-9a-f]{4})|U(00(?:0[1-9a-f]|10)[0-9a-f]{4}))"
)
_LONGEST: Final = 500  # characters of a name that it writes


class Call(NamedTuple):
    """A call that was under way, of a function in a file, at a line.

    ``code`` and ``offset``, of its last instruction, are None where only lines are known. ``joins``
    is the ident of the thread for whose end one of the innermost calls waits, if it is a
    `Thread.join` and that is known.
    """

    filename: str
    name: str
    lineno: int
    code: CodeType | None = None
    offset: int | None = None
    joins: int | None = None

    @property
    def function(self) -> str:
        """The function's qualified name, or the bare one where only lines are known."""
        return self.name if self.code is None else self.code.co_qualname

    def is_of(self, code: CodeType) -> bool:
        """Whether it is a call of the function with this code, for all that can be told."""
        if self.code is not None:
            return self.code is code
        return (_as_read(self.filename), self.name) == (
            _as_read(code.co_filename),
            _as_read(code.co_name),
        )


_Entry = TypeVar("_Entry", Call, traceback.FrameSummary)

Stack: TypeAlias = tuple[Call, ...]
"""The innermost call first."""

INNERMOST: Final = 4
"""Calls among which one looks for a `Thread.join`."""


def read_stacks(idents: Iterable[int] | None = None) -> dict[int, Stack]:
    """The stacks of these threads (None: of all that have a Python frame). From any thread.

    One that has no Python frame has an empty stack. One whose stack nobody can tell is left out.
    """
    if not _HAS_GIL:
        wanted = None if idents is None else set(idents)
        return _parse(_write(), wanted) if _FAULTHANDLER_STOPS else {}
    return uncollected(lambda: _read(idents))


def _read(idents: Iterable[int] | None) -> dict[int, Stack]:
    # Each frame is taken out as it is read: the own one is in there, and a variable of it that
    # refers to all others would keep them alive.
    frames = current_frames()
    try:
        return {
            ident: tuple(_outwards(frames.pop(ident, None)))
            for ident in (list(frames) if idents is None else idents)
        }
    finally:
        frames.clear()


def _outwards(frame: FrameType | None) -> Iterator[Call]:
    left = INNERMOST
    while frame is not None:
        code = frame.f_code
        joins = _joined_by(frame) if left > 0 and code is JOIN else None
        yield Call(code.co_filename, code.co_name, frame.f_lineno or 0, code, frame.f_lasti, joins)
        frame = frame.f_back
        left -= 1


def _joined_by(frame: FrameType) -> int | None:
    thread = frame.f_locals.get("self")
    # Not as the program may have it: a subclass can do anything in a property.
    return Thread.ident.__get__(thread) if isinstance(thread, Thread) else None


def _write() -> str:
    """What `faulthandler` says of all threads; nothing if there is none."""
    if _dump_traceback is None:
        return ""
    try:
        with _open_file() as file:
            _dump_traceback(file, all_threads=True, **_ALL)
            file.seek(0)
            return file.read().decode("ascii", "replace")
    except OSError:
        return ""  # there is no file to be had: then nothing can be told


def _open_file() -> IO[bytes] | FileIO:
    """A file without a name, if possible in memory: whoever stands may have a lock of `tempfile`,
    and a full disk must not hide who does not stop."""
    try:
        # In one step: an asynchronous exception in between would leave the descriptor open.
        return next(map(FileIO, map(os.memfd_create, ["stacks"]), ["r+"]))
    except (AttributeError, OSError):
        from tempfile import TemporaryFile  # which takes a while to load

        return TemporaryFile()


def _parse(text: str, wanted: Collection[int] | None) -> dict[int, Stack]:
    stacks: dict[int, Stack] = {}
    sections = text.split("\n\n")
    if not text.endswith("\n"):
        sections.pop()  # it has run out of space
    for section in sections:
        first, *lines = section.lstrip("\n").split("\n")
        header = _HEADER.fullmatch(first)
        ident = int(header[1], 16) if header else 0  # a thread that has just been started has none
        if ident and (wanted is None or ident in wanted):
            calls = tuple(_calls_in(lines))
            if calls or (wanted is not None and _NO_CALL in lines):
                stacks[ident] = calls
    return stacks


def _calls_in(lines: Iterable[str]) -> Iterator[Call]:
    for line in lines:
        if call := _LINE.fullmatch(line):
            name = call[1] or "?"
            # What its escapes stand for, unless that is just how the file is called.
            is_plain = "\\" not in name or os.path.exists(name)
            yield Call(name if is_plain else _unescape(name), _unescape(call[3]), int(call[2] or 0))


def _as_read(name: str) -> str:
    """How a name comes back from there."""
    return _unescape(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...")


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[match.lastindex or 0], 16)), text)


def summary_of(stack: Stack) -> traceback.StackSummary:
    """The same as `traceback` has it, which pickles: the innermost last, no source read yet."""
    return traceback.StackSummary.from_list([_entry(call) for call in reversed(stack)])


def _entry(call: Call) -> traceback.FrameSummary:
    positions = None
    if call.code is not None and call.offset is not None:
        positions = next(islice(call.code.co_positions(), max(call.offset, 0) // 2, None), None)
    line, end_line, column, end_column = positions or (None, None, None, None)
    return traceback.FrameSummary(
        call.filename,
        line or call.lineno,
        call.name,
        lookup_line=False,
        end_lineno=end_line,
        colno=column,
        end_colno=end_column,
    )


def stack_of(ident: int) -> traceback.StackSummary:
    """The stack of a thread, with its source; empty if there is no such thread, or if nobody can
    tell. From any thread."""
    return with_source(summary_of(read_stacks([ident]).get(ident, ())))


def nearest(stack: Iterable[_Entry]) -> _Entry | None:
    """Of a stack, the innermost frame last, the innermost one of the code nearest to the reader."""
    return min(reversed(list(stack)), key=lambda entry: remoteness(entry.filename), default=None)


def with_source(stack: traceback.StackSummary) -> traceback.StackSummary:
    """Read the lines of source now, and not when somebody asks for them, perhaps elsewhere."""
    for entry in stack:
        entry.line  # noqa: B018 - a property, which remembers
    return stack
