"""Where in a code object a lock is held: read from its bytecode, once.

A *section* begins after the call that acquires, and ends after the call that releases:

* A `with` block whose context is a name, a chain of attributes, or an item of what such a chain
  leads to, also with `:=` around it. The compiler covers the block by entries of the exception
  table whose handler begins with PUSH_EXC_INFO, WITH_EXCEPT_START. What is in another `try` inside
  the block has that one's handler, which is covered by the block's in turn.
  After the end of each entry may come the call of ``__exit__``, on the way out, which belongs to
  it; and the handler does, until it has called ``__exit__``.
* What is on a way from ``X.acquire()`` to ``X.release()``: each instruction to which one comes from
  the former without the latter, by jumps and by exceptions as well, and from which one comes to the
  latter without the former. (One that looks whether it was acquired, and then does without, does
  not.) As somebody may come there without having acquired it, a lock of `threading` that is free is
  not held. A lock that is acquired twice in one function counts from the second time to the first
  release.
* What is on a way from the beginning of a `try` to ``X.release()``, if that is the first call in
  its handler, and no ``X.acquire()`` leads there: somebody else has acquired it.
* (A local name for these, as in ``acquire = X.acquire``, is as good.)
* A `with` block over a call of ``no_freeze()``, whoever's it is; and over any other call that
  `contexts` takes for one that acquires a lock.

The call that acquires belongs to it while the thread runs in there: a lock that is written in
Python has been acquired a few instructions before its ``__enter__`` returns.

Whether the context is a lock is found out when somebody asks (see `values`). Most `with` blocks
over a call (`open`, a pool, a runner of an event loop) are no sections, and last for as long as the
program does.
"""

from __future__ import annotations

import dis
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType
from typing import Any, Final, NamedTuple

from freezethreads._machine.values import Chain


class Section(NamedTuple):
    """From an offset to another one, the first of which is in it, in one code object.

    `chain` leads to what may be a lock; None: it is a section whatever that is. `entered` is the
    offset that tells the line at which it was entered. `entering` is the call that acquires, which
    a thread that runs is in, but not one that waits there. `waits` are such calls within it. One
    that is `guessed` counts only while the lock is held, by whomever, if that can be told.
    """

    start: int
    end: int
    chain: Chain | None
    entered: int
    entering: bool = False
    waits: frozenset[int] = frozenset()
    guessed: bool = False

    def covers(self, offset: int, running: bool) -> bool:
        """Whether a frame at that offset is in it."""
        if not self.start <= offset < self.end:
            return False
        return running or not self.is_entered_at(offset)

    def is_entered_at(self, offset: int) -> bool:
        """Whether the call at that offset, which is in it, acquires the lock."""
        return self.entering or offset in self.waits


_LOADS: Final = {
    "LOAD_FAST": "fast",
    "LOAD_FAST_CHECK": "fast",
    "LOAD_FAST_BORROW": "fast",
    "LOAD_DEREF": "fast",
    "LOAD_CLASSDEREF": "name",
    "LOAD_FROM_DICT_OR_DEREF": "name",
    "LOAD_FROM_DICT_OR_GLOBALS": "name",
    "LOAD_NAME": "name",
    "LOAD_GLOBAL": "global",
    # Two instructions in one, the second of which is the load.
    "STORE_FAST_LOAD_FAST": "fast",
    "LOAD_FAST_LOAD_FAST": "fast",
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW": "fast",
}
_SILENT: Final = ("NOP", "NOT_TAKEN", "POP_", "JUMP_", "SWAP", "EXTENDED_ARG")
_NEVER_GO_ON: Final = ("JUMP", "RETURN", "RAISE", "RERAISE")
_ELSEWHERE: Final = ("JUMP", "POP_JUMP", "RETURN", "RERAISE", "RAISE", "YIELD", "SEND", "FOR_ITER")
_TAIL: Final = 12  # instructions between the end of a block and the call of `__exit__`, at most
_ATTR_HAS_PLACE: Final = sys.version_info >= (3, 12)  # LOAD_ATTR is LOAD_METHOD as well
_ARGUMENTS: Final = 40  # of the arguments of `acquire`, or of an index, at most

_known: dict[int, tuple[weakref.ref[CodeType], tuple[Section, ...]]] = {}


def sections_of(code: CodeType) -> tuple[Section, ...]:
    """The sections of a code object. From any thread."""
    entry = _known.get(id(code))
    if entry is not None and entry[0]() is code:
        return entry[1]
    acquires = "acquire" in code.co_names and "release" in code.co_names
    found = tuple(_find(code)) if code.co_exceptiontable or acquires else ()
    key = id(code)

    def forget(ref: weakref.ref[CodeType]) -> None:
        if (known := _known.get(key)) is not None and known[0] is ref:
            _known.pop(key, None)

    _known[key] = (weakref.ref(code, forget), found)
    return found


class Calls(NamedTuple):
    """By the offset of each call of `X.acquire()` in a code object, and of `X.release()`: X.

    `for_ever` are those of the former that are sure to have no time-out.
    """

    acquire: Mapping[int, Chain]
    for_ever: frozenset[int]
    release: Mapping[int, Chain]


def calls_of(code: CodeType) -> Calls:
    """Where locks are acquired and released by name. From any thread; takes as long as `dis`."""
    return _reader_of(code).calls()


def is_on_the_way_out(code: CodeType, offset: int) -> bool:
    """Whether a block or its handler has yet to do what it is there for: to call `__exit__`, or to
    begin with a `finally`.

    From a block's end to the first call the interpreter raises nothing that another thread or a
    signal has sent; what is raised there leaves that call out. From any thread.
    """
    return any(begin <= offset < end for begin, end in _reader_of(code).ways_out())


def _find(code: CodeType) -> Iterator[Section]:
    reader = _reader_of(code)
    for handler, covered in reader.blocks.items():
        if reader.begins_handler(handler):
            yield from reader.block(handler, sorted(covered))
    yield from reader.acquired()


def _reader_of(code: CodeType) -> _Reader:
    instructions: list[dis.Instruction] = []
    index: dict[int, int] = {}
    for one in dis.get_instructions(code):
        index[one.offset] = len(instructions)  # a prefix leads to what it belongs to
        if one.opname not in ("CACHE", "EXTENDED_ARG"):
            instructions.append(one)
    return _Reader(code, instructions, index)


def _blocks(entries: Sequence[Any]) -> dict[int, list[tuple[int, int]]]:
    """By handler: from where to where an exception comes to it, if none further inside keeps it."""
    blocks: dict[int, list[tuple[int, int]]] = {}
    for entry in entries:
        handler, seen = entry.target, set()
        while handler is not None and handler not in seen:
            seen.add(handler)
            blocks.setdefault(handler, []).append((entry.start, entry.end))
            handler = next((e.target for e in entries if e.start <= handler < e.end), None)
    return blocks


class _Reader:
    """The instructions of one code object."""

    def __init__(
        self, code: CodeType, instructions: Sequence[dis.Instruction], index: dict[int, int]
    ) -> None:
        self._code = code
        self._instructions = instructions
        self._index = index
        self._aliases = dict(self._find_aliases())  # by the local name, and that of the method
        self._entries = list(dis.Bytecode(code).exception_entries)  # type: ignore[attr-defined]
        self.blocks = _blocks(self._entries)
        self._acquiring = self._calls_of("acquire")
        self._releasing = self._calls_of("release")

    def calls(self) -> Calls:
        at, acquiring, releasing = self._instructions, self._acquiring, self._releasing
        return Calls(
            {at[i].offset: chain for i, chain in acquiring.items()},
            frozenset(at[i].offset for i in acquiring if self._waits_for_ever(i)),
            {at[i].offset: chain for i, chain in releasing.items()},
        )

    def _waits_for_ever(self, i: int) -> bool:
        """Whether that call is `X.acquire()` or `X.acquire(True)`."""
        if self._opname(i) != "CALL":
            return False
        last = i - 2 if self._opname(i - 1) == "PRECALL" else i - 1
        is_constant = self._opname(last).startswith("LOAD_C")
        is_true = is_constant and self._instructions[last].argval is True
        return self._instructions[i].arg == int(is_true)

    def begins_handler(self, offset: int) -> bool:
        return self._opname(self._index.get(offset, -1)) == "PUSH_EXC_INFO"

    def ways_out(self) -> Iterator[tuple[int, int]]:
        """From where to where a block is left, or its handler entered, and no call made yet."""
        for handler, covered in self.blocks.items():
            if self.begins_handler(handler):
                for out in (handler, *(end for _, end in covered), *self._jumps_out(covered)):
                    yield out, self._end(self._first_step(self._index.get(out, -1))) or out

    def _first_step(self, i: int) -> int | None:
        """The first call from there on, or the last instruction before it goes on elsewhere."""
        last = None
        while self._opname(i) and not self._opname(i).startswith(_ELSEWHERE):
            last, i = i, i + 1
            if self._opname(last).startswith(("CALL", "WITH_EXCEPT_START")):
                break
        return last

    def block(self, handler: int, covered: list[tuple[int, int]]) -> Iterator[Section]:
        """What the `with` block with this handler is, if it holds anything."""
        start, after = covered[0][0], self._index[handler] + 1
        if self._opname(after) != "WITH_EXCEPT_START":
            return
        context = self._context_before(self._index[start])
        if context is not None:
            chain = context[0]
            yield from self._sections(handler, after, covered, chain, start)
            if chain is not None:
                yield self._entering(self._index[start] - 1, chain, start)

    def acquired(self) -> Iterator[Section]:
        """What is on a way to a call of `release`."""
        reached = set[int]()
        for call, chain in self._acquiring.items():
            held = self._held_from([call + 1], chain)
            reached |= held
            if held:
                first = self._end(call) or 0
                yield from self._runs(held, chain, first)
                yield self._entering(call, chain, first)
        for handler, covered in self.blocks.items():
            release = self._first_call(self._index[handler])
            if self.begins_handler(handler) and release in self._releasing.keys() - reached:
                chain, start = self._releasing[release], min(covered)[0]
                held = self._held_from([self._index[begin] for begin, _ in covered], chain)
                yield from self._runs(held, chain, start)

    def _held_from(self, starts: list[int], chain: Chain) -> set[int]:
        """The instructions to which one comes from these before a call of `X.release()`, and from
        which one comes to such a call before one of `X.acquire()`."""
        came_from: dict[int, list[int]] = {}
        ways, found = list(starts), set[int]()
        while ways:
            i = ways.pop()
            if i not in found and self._opname(i):
                found.add(i)
                for k in () if self._releasing.get(i) == chain else self._next(i):
                    came_from.setdefault(k, []).append(i)
                    ways.append(k)
        held = set[int]()
        back = [i for i in found if self._releasing.get(i) == chain]
        while back:
            i = back.pop()
            if i not in held and self._acquiring.get(i) != chain:
                held.add(i)
                back += came_from.get(i, [])
        return held

    def _next(self, i: int) -> Iterator[int]:
        """The instructions that may come after that one."""
        one = self._instructions[i]
        if not one.opname.startswith(_NEVER_GO_ON):
            yield i + 1
        if one.opcode in dis.hasjrel:
            yield self._index[one.argval]
        for entry in self._entries:
            if entry.start <= one.offset < entry.end:
                yield self._index[entry.target]

    def _runs(self, held: set[int], chain: Chain, first: int) -> Iterator[Section]:
        """These instructions, as few sections."""
        waits = frozenset(self._calls_that_wait(chain))
        begin = None
        for i in sorted(held):
            begin = i if begin is None else begin
            if i + 1 not in held:
                start, end = self._instructions[begin].offset, self._end(i) or 0
                yield Section(start, end, chain, first, waits=waits, guessed=True)
                begin = None

    def _sections(
        self,
        handler: int,
        handled: int,
        covered: list[tuple[int, int]],
        chain: Chain | None,
        first: int,
    ) -> Iterator[Section]:
        """The blocks, each up to what releases after it, and the handler up to `handled`."""

        def end_of(end: int) -> int | None:
            """Where it ends that is left there."""
            i = self._index.get(end)
            return self._end(self._call_of_exit(i)) or self._end(self._last_silent(i))

        waits = frozenset(self._calls_that_wait(chain))
        for begin, end in covered:
            yield Section(begin, end_of(end) or end, chain, first, waits=waits)
        for out in self._jumps_out(covered):
            yield Section(out, end_of(out) or out, chain, first)
        yield Section(handler, self._end(handled) or handler, chain, first)

    def _jumps_out(self, covered: list[tuple[int, int]]) -> set[int]:
        """Where a jump leads that leaves the block."""
        ends = [self._end(self._last_silent(self._index.get(b))) or b for _, b in covered]
        left = [(a, end) for (a, _), end in zip(covered, ends, strict=True)]
        targets = {
            one.argval
            for one in self._instructions
            if one.opcode in dis.hasjrel and any(a <= one.offset < b for a, b in left)
        }
        return {to for to in targets if not any(a <= to < b for a, b in covered)}

    def _entering(self, i: int, chain: Chain, first: int) -> Section:
        """The call that acquires. In the first instruction after it the lock is held."""
        offset = self._instructions[i].offset
        return Section(offset, self._end(i) or offset, chain, first, entering=True)

    def _opname(self, i: int) -> str:
        return self._instructions[i].opname if 0 <= i < len(self._instructions) else ""

    def _end(self, i: int | None) -> int | None:
        """Where the instruction after that one begins."""
        if i is None:
            return None
        if i + 1 < len(self._instructions):
            return self._instructions[i + 1].offset
        return len(self._code.co_code)

    def _context_before(self, i: int) -> tuple[Chain | None] | None:
        """The chain of the `with` whose block begins there, in a tuple; None if it is another
        expression, or an `async with`."""
        i -= 1
        if self._opname(i) == "BEFORE_WITH":
            return self._context(i - 1)
        if self._opname(i) == "CALL":
            names = [self._opname(i - k) for k in range(1, 6)]
            if names == ["LOAD_SPECIAL", "SWAP", "SWAP", "LOAD_SPECIAL", "COPY"]:
                return self._context(i - 6)
        return None

    def _context(self, i: int) -> tuple[Chain | None] | None:
        if self._opname(i).startswith("STORE_") and self._opname(i - 1) == "COPY":
            i -= 2  # it is given a name on the way: `with (got := lock):`
        if self._opname(i) in ("CALL", "CALL_KW", "CALL_FUNCTION_EX"):
            called = self._called(i)
            if called is not None and called[-1] == "no_freeze()":
                return (None,)
            return None if called is None else (called,)
        chain = self._chain_of_item(i) if self._is_item(i) else self._chain(i)
        return None if chain is None else (chain,)

    def _called(self, call: int) -> Chain | None:
        """The chain of what is called there, the last name of which is marked."""
        for k in range(call - 1, max(call - _ARGUMENTS, -1), -1):
            name, one = self._opname(k), self._instructions[k]
            if name in ("LOAD_ATTR", "LOAD_METHOD"):
                before = self._chain(k - 1)
                chain = None if before is None else (*before, one.argval)
            else:
                chain = self._chain(k) if name in _LOADS else None
            if chain is not None and self._call_of(k, self._loads_of(k)) == call:
                return (*chain[:-1], f"{chain[-1]}()")
        return None

    def _loads_of(self, i: int) -> int:
        """How much what is called there takes on the stack, with what it is a method of."""
        name, has_place = self._opname(i), (self._instructions[i].arg or 0) & 1
        if name == "LOAD_ATTR" and not (has_place and _ATTR_HAS_PLACE):
            return self._loads_of(i - 1)  # in whose place it comes
        has_place = has_place and name in ("LOAD_ATTR", "LOAD_GLOBAL")
        return 2 if has_place or name == "LOAD_METHOD" or self._opname(i - 1) == "PUSH_NULL" else 1

    def _is_item(self, i: int) -> bool:
        one = self._opname(i)
        return one == "BINARY_SUBSCR" or (
            one == "BINARY_OP" and self._instructions[i].argrepr == "[]"
        )

    def _chain_of_item(self, i: int) -> Chain | None:
        """The chain of what it is an item of, whose last name is marked: nobody can tell which
        one."""
        depth = 0
        for k in range(i - 1, max(i - _ARGUMENTS, 0), -1):
            depth += self._effect(k)
            if depth == 1:  # all of the index, and what it is an index of comes before
                chain = self._chain(k - 1)
                return None if chain is None else (*chain[:-1], f"{chain[-1]}[]")
            if depth > 1:  # one instruction loads both
                name = self._instructions[k].argval
                return ("fast", f"{name[0]}[]") if isinstance(name, tuple) else None
        return None

    def _effect(self, i: int) -> int:
        one = self._instructions[i]
        return dis.stack_effect(one.opcode, one.arg, jump=False)

    def _chain(self, i: int) -> Chain | None:
        """The chain of names that ends with that instruction, if it is one."""
        attributes: list[str] = []
        while self._opname(i) == "LOAD_ATTR":
            attributes.append(self._instructions[i].argval)
            i -= 1
        kind = _LOADS.get(self._opname(i))
        if kind is None:
            return None
        name = self._instructions[i].argval
        return (kind, name[-1] if isinstance(name, tuple) else name, *reversed(attributes))

    def _method(self, i: int, name: str) -> Chain | None:
        """The chain before a method of that name, which is loaded there."""
        one = self._instructions[i] if 0 <= i < len(self._instructions) else None
        if one is not None and _LOADS.get(one.opname) == "fast":
            return self._aliases.get((one.argval, name)) if self._aliases else None
        if one is None or one.opname not in ("LOAD_ATTR", "LOAD_METHOD") or one.argval != name:
            return None
        return self._chain_of_item(i - 1) if self._is_item(i - 1) else self._chain(i - 1)

    def _find_aliases(self) -> Iterator[tuple[tuple[str, str], Chain]]:
        """Locals that are such a method: ``acquire = X.acquire``."""
        for i in (*self._loads("acquire"), *self._loads("release")):
            stored = self._opname(i + 1) in ("STORE_FAST", "STORE_FAST_LOAD_FAST")
            if stored and (chain := self._chain(i - 1)) is not None:
                local = self._instructions[i + 1].argval
                name = local[0] if isinstance(local, tuple) else local
                yield (name, self._instructions[i].argval), chain

    def _call_of_exit(self, i: int | None) -> int | None:
        """The call of `__exit__(None, None, None)` on the way out of a block that ends there."""
        nones = 0
        for k in range(i or 0, (i or 0) + _TAIL):
            if i is None or not self._opname(k):
                return None
            one = self._instructions[k]
            if one.opname.startswith("LOAD_C") and one.argval is None:
                nones += 1
            elif one.opname == "CALL":
                return k if nones >= 3 else None
            elif one.opname not in ("SWAP", "NOP", "POP_TOP", "POP_ITER", "NOT_TAKEN"):
                return None
        return None

    def _last_silent(self, i: int | None) -> int | None:
        """The last of the instructions from there on that cannot raise, which no entry covers."""
        last = None
        while i is not None and self._opname(i).startswith(_SILENT):
            last, i = i, i + 1
        return last

    def _first_call(self, i: int) -> int | None:
        """The first one from there on, before it goes on elsewhere: after the handler of a `with`
        block comes what comes after the block."""
        for k in range(i, len(self._instructions)):
            if self._opname(k).startswith("CALL"):
                return k
            if self._opname(k).startswith(("WITH_EXCEPT_START", *_NEVER_GO_ON)):
                break
        return None

    def _call_of(self, i: int, depth: int) -> int | None:
        """The call of what is loaded there, which takes so much on the stack."""
        for k in range(i + 1, min(i + _ARGUMENTS, len(self._instructions))):
            depth += self._effect(k)
            if depth == 1 and self._opname(k).startswith("CALL"):
                return k
            if depth < 1:
                break  # it is kept, under a name of its own
        return None

    def _calls_of(self, name: str) -> Mapping[int, Chain]:
        """The calls of such a method, `X.acquire()`, each with the chain of X."""
        found = [
            (self._call_of(i, self._loads_of(i)), x)
            for i in range(len(self._instructions))
            if (x := self._method(i, name)) is not None
        ]
        return {call: x for call, x in found if call is not None}

    def _loads(self, name: str) -> list[int]:
        return [i for i, one in enumerate(self._instructions) if one.argval == name]

    def _calls_that_wait(self, chain: Chain | None) -> Iterator[int]:
        """Where `X.acquire()` is called: whoever waits there does not hold it yet."""
        for call, acquired in self._acquiring.items():
            if acquired == chain:
                yield self._instructions[call].offset
