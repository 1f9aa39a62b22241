"""The stacks of threads at one moment, in a form that stays when they move on.

With a GIL they are read frame by frame. Without one, nobody may touch the frames of a thread that
runs, as CPython's guide to free threading says: where coroutines run, reading them crashes the
interpreter within seconds (python/cpython#152355). There `faulthandler` writes them down, while it
has stopped the world. What it writes has lines and no instructions, and a hundred threads at most,
those that were started last.
"""

from __future__ import annotations

import faulthandler
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from itertools import islice
from types import CodeType, FrameType
from typing import BinaryIO, Final, NamedTuple, TypeAlias

from freezethreads._frames import current_frames
from freezethreads._original import Thread

JOIN: Final = Thread.join.__code__

# Before that it read the frames of threads that run, as well (python/cpython#128400).
_FAULTHANDLER_STOPS: Final = sys.version_info >= (3, 13, 2)

_HEADER: Final = re.compile(r"(?:Current t|T)hread 0x([0-9a-f]+)\b")
_LINE: Final = re.compile(r'  File (?:"(.*)"|\?\?\?), line (?:(\d+)|\?\?\?) in (.*)')
_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


class Call(NamedTuple):
    """A call that was under way. ``function`` is its qualified name, or the bare name where only
    lines are known; so are ``code`` and ``offset``, of its last instruction, None there. ``joins``
    is the ident of the thread for whose end a `Thread.join` waits, if that is known.
    """

    filename: str
    function: str
    lineno: int
    code: CodeType | None = None
    offset: int | None = None
    joins: int | None = None

    @property
    def name(self) -> str:
        """The function's bare name."""
        return self.function.rpartition(".")[2]

    def is_of(self, code: CodeType) -> bool:
        """Whether it is a call of the function with this code, for all that can be told."""
        if self.code is not None:
            return self.code is code
        return (self.filename, self.name) == (code.co_filename, code.co_name)


Stack: TypeAlias = tuple[Call, ...]
"""The innermost call first."""


def read_stacks(idents: Iterable[int] | None = None) -> dict[int, Stack]:
    """The stacks of these threads (None: of all that have a Python frame). From any thread.

    One that has no Python frame has an empty stack. One whose stack nobody can tell is left out.
    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        written = _parse(_write()) if _FAULTHANDLER_STOPS else {}
        wanted = written if idents is None else idents
        return {ident: written[ident] for ident in wanted if ident in written}
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
    while frame is not None:
        code = frame.f_code
        yield Call(
            code.co_filename,
            code.co_qualname,
            frame.f_lineno or 0,
            code,
            frame.f_lasti,
            getattr(frame.f_locals.get("self"), "ident", None) if code is JOIN else None,
        )
        frame = frame.f_back


def _write() -> str:
    """What `faulthandler` says of all threads."""
    try:
        with _open_file() as file:
            faulthandler.dump_traceback(file, all_threads=True)
            file.seek(0)
            return file.read().decode("ascii", "replace")
    except OSError:
        return ""  # there is no file to be had: then nothing can be told


def _open_file() -> BinaryIO:
    """A file without a name, if possible in memory: whoever stands may have a lock of `tempfile`,
    and a full disk must not hide who does not stop."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("stacks"), "w+b")
    from tempfile import TemporaryFile  # which takes a while to load

    return TemporaryFile()


def _parse(text: str) -> dict[int, Stack]:
    stacks: dict[int, list[Call]] = {}
    calls: list[Call] = []
    for line in text.splitlines():
        if header := _HEADER.match(line):
            calls = stacks.setdefault(int(header[1], 16), [])
        elif call := _LINE.match(line):
            calls.append(Call(_unescape(call[1] or "?"), _unescape(call[3]), int(call[2] or 0)))
    return {ident: tuple(calls) for ident, calls in stacks.items()}


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[0][2:], 16)), text)


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


def with_source(stack: traceback.StackSummary) -> traceback.StackSummary:
    """Read the lines of source now, and not when somebody asks for them, perhaps elsewhere."""
    for entry in stack:
        entry.line  # noqa: B018 - a property, which remembers
    return stack
