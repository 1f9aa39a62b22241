"""Raise an exception at the n-th bytecode that one thread executes in chosen code.

This is harsher than what CPython does: a signal handler or `PyThreadState_SetAsyncExc` is only
heard at calls, at backward jumps and at the beginning of functions, and those are among the
places where this raises.

It is not raised where that would be the same as at the bytecode before: if that one has only read
something, or put it in order, and nothing else leads here, and the same handler covers both. Nor
where a function returns and has not just made a call: it has taken its last step then, and no
handler in it would cover that. The same goes for the `NOT_TAKEN` that 3.14 has behind a jump: it
does nothing, and that compiler leaves it outside the `try` that is all around it. And for the
`PUSH_EXC_INFO` and `POP_EXCEPT` at the beginning and the end of a handler: what cleans up after it
would take away what is not there, or nothing would, and the thread would handle an exception for
good, which is then the context of whatever is raised in it. And for the last handler of a
generator: an exception is on its way there already. It is also all that CPython 3.12 executes of a
generator that was left in the middle, and it hears of nothing there.
"""

from __future__ import annotations

import dis
import functools
import inspect
import itertools
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from types import CodeType, FrameType, FunctionType
from typing import Any

import freezethreads

TURNS = 2
# What a callback returns that is not to be called there again.
DISABLE: object = None
if sys.version_info >= (3, 12):
    DISABLE = sys.monitoring.DISABLE

Chain = tuple[tuple[CodeType, int], ...]
"""Where a thread is: each function of those that are watched, and how far it has come."""

Listener = Callable[[CodeType, int], object]

CORE = str(Path(freezethreads.__file__).parent / "_")


class Boom(BaseException):
    """The injected exception: nobody's `except Exception` may swallow it."""


class Injection:
    """Within `with`, the calling thread raises Boom at its bytecode number `at`, from 0.

    `hit` says afterwards where that was; it is None if the code was through before. With `tried`,
    which it shares with the injections before it, it passes over what has had its turns; then
    `at` is where it has come to.
    """

    def __init__(self, at: int, tried: Counter[Chain] | None = None) -> None:
        self.hit: tuple[str, int] | None = None
        self.at = at
        self._tried = tried

    @property
    def hits(self) -> list[str]:
        """The function that it was in; none before it was raised."""
        return [] if self.hit is None else [self.hit[0]]

    def __enter__(self) -> Injection:
        _Watch.listen(self.listener())
        return self

    def __exit__(self, *exc_info: object) -> None:
        _Watch.listen(None)

    def listener(self) -> Listener:
        """What is told of each bytecode that any thread is about to execute.

        It passes over those of the calling thread before number `at`. (It is called some thousand
        times for each injection, so it looks up nothing that it need not.)
        """
        ident, left = get_ident(), self.at
        deaf: dict[int, frozenset[int]] = {}  # by the id of the code, as in of_code

        def listen(code: CodeType, offset: int) -> object:
            nonlocal left
            if get_ident() != ident:
                return None
            try:
                is_deaf = offset in deaf[id(code)]
            except KeyError:
                deaf[id(code)] = _deaf_in(code)
                is_deaf = offset in deaf[id(code)]
            if is_deaf:
                return DISABLE
            if left:
                left -= 1
            elif self.hit is None:
                self._reach(code, offset)
            return None

        return listen

    def _reach(self, code: CodeType, offset: int) -> None:
        """Its thread is about to execute bytecode number `at`, or a later one."""
        if self._tried is not None:
            chain = _chain_of(sys._getframe(1))
            self._tried[chain] += 1
            if self._tried[chain] > TURNS:
                self.at += 1
                return
        self.hit = (code.co_qualname, offset)
        _Watch.listen(None)  # and a trace function that raises is not called again
        raise Boom(f"at {code.co_qualname} +{offset}")


def of_code(find: Callable[[CodeType], Iterable[int]]) -> Callable[[CodeType], frozenset[int]]:
    """A decorator: the offsets that `find` finds in a code object are looked for once.

    By its id, since the hash of one takes a while; kept with it, so the id stays its own.
    """
    known: dict[int, tuple[CodeType, frozenset[int]]] = {}

    @functools.wraps(find)
    def offsets(code: CodeType) -> frozenset[int]:
        found = known.get(id(code))
        if found is None:
            found = known[id(code)] = code, frozenset(find(code))
        return found[1]

    return offsets


@of_code
def _deaf_in(code: CodeType) -> set[int]:
    """Where nothing is raised: at what returns, but not right after a call, at `NOT_TAKEN`, where a
    handler begins and ends, in the last handler of a generator, and after what has no effect."""
    all_steps = list(dis.get_instructions(code))
    offsets = {each.offset for each in all_steps if each.opname in _SILENT_ALWAYS}
    for each, after in itertools.pairwise(all_steps):
        if each.opname == "CALL_INTRINSIC_1" and "STOPITERATION" in each.argrepr:
            offsets.update((each.offset, after.offset))
    steps = [each for each in all_steps if each.opname not in _NOTHING]
    for i, step in enumerate(steps):
        if step.opname in ("RETURN_VALUE", "RETURN_CONST"):
            first = i - 1 if steps[i - 1].opname in _CONSTANTS else i
            if not steps[first - 1].opname.startswith(("CALL", "RESUME")):
                offsets.update(each.offset for each in steps[first : i + 1])
    handlers = list(dis.Bytecode(code).exception_entries)  # type: ignore[attr-defined]
    targets = {each.offset for each in all_steps if each.is_jump_target}
    for before, step in itertools.pairwise(steps):
        same = _covering(handlers, before.offset) == _covering(handlers, step.offset)
        if before.opname.startswith(_SILENT) and same and step.offset not in targets:
            offsets.add(step.offset)
    return offsets


def _covering(handlers: list[Any], offset: int) -> list[Any]:
    return [(each.target, each.lasti) for each in handlers if each.start <= offset < each.end]


# (A call is PRECALL and CALL on 3.11. What a jump does not lead to follows it without one.)
_SILENT = (
    *("LOAD_", "PUSH_NULL", "COPY", "SWAP", "KW_NAMES", "PRECALL", "MAKE_CELL", "RESUME"),
    *("IS_OP", "CONTAINS_OP", "COMPARE_OP", "TO_BOOL", "UNARY_NOT", "BUILD_", "POP_JUMP"),
    *("MAKE_FUNCTION", "SET_FUNCTION_ATTRIBUTE"),
)
_SILENT_ALWAYS = ("NOT_TAKEN", "PUSH_EXC_INFO", "POP_EXCEPT")
_NOTHING = ("NOP", "NOT_TAKEN", "CACHE")
_CONSTANTS = ("LOAD_CONST", "LOAD_SMALL_INT", "LOAD_COMMON_CONSTANT")  # 3.14's, and 3.15's `None`


def injections() -> Iterator[Injection]:
    """An injection for each bytecode in each chain of calls, until one comes after the last.

    What is executed again in the same chain, as in a loop, gets `TURNS` injections in all: the
    first time is often not like the second, but the second is like the third.
    """
    tried: Counter[Chain] = Counter()
    at = 0
    while True:
        injection = Injection(at, tried)
        yield injection
        if injection.hit is None:
            return
        at = injection.at + 1


def _chain_of(frame: FrameType | None) -> Chain:
    chain = []
    while frame is not None:
        if id(frame.f_code) in _Watch.codes:
            chain.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(chain)


class _Watch:
    """Who is told of bytecodes, and whose. One at a time in a process."""

    listener: Listener | None = None
    codes: dict[int, CodeType] = {}  # noqa: RUF012 - by id, as in of_code
    restart = False

    @classmethod
    def listen(cls, listener: Listener | None) -> None:
        """Have `listener` told from here on; None: nobody."""
        cls.listener = listener
        if sys.version_info < (3, 12):
            sys.settrace(None if listener is None else _trace_call)
        else:
            monitoring = sys.monitoring
            tool, instruction = monitoring.DEBUGGER_ID, monitoring.events.INSTRUCTION
            monitoring.register_callback(tool, instruction, listener)
            if cls.restart and listener is not None:
                monitoring.restart_events()


# Functions of the module and not methods: CPython 3.11 keeps no reference of its own to what it
# calls here, and crashes if that goes away when it raises.
def _trace_call(frame: FrameType, event: str, arg: object) -> Any:
    if id(frame.f_code) not in _Watch.codes:
        return None
    frame.f_trace_opcodes = True
    return _trace


def _trace(frame: FrameType, event: str, arg: object) -> Any:
    if event == "opcode" and _Watch.listener is not None:
        _Watch.listener(frame.f_code, frame.f_lasti)
    return _trace


@contextmanager
def watching(
    *functions: Callable[..., object], only: tuple[str, ...] = ("",), restart: bool = False
) -> Iterator[None]:
    """Within this block injections go into the core, and into these functions.

    Into all modules of it, or into those alone whose file ends with one of `only`. From 3.12 on
    through `sys.monitoring`, since tracing passes over some bytecodes there. Between two injections
    nobody is told of bytecodes, though their events stay on: to have them go and come again would
    cost the most. `restart` is for what switches the second engine's events: with these go some of
    ours, which then come again with each injection.
    """
    core = [code for code in core_codes() if code.co_filename.removesuffix(".py").endswith(only)]
    codes = [*core, *map(_code_of, functions)]
    _Watch.codes = {id(code): code for code in codes}
    _Watch.restart = restart
    _set_events(True)
    try:
        yield
    finally:
        _set_events(False)


def _set_events(on: bool) -> None:
    if sys.version_info >= (3, 12):
        monitoring = sys.monitoring
        tool, instruction = monitoring.DEBUGGER_ID, monitoring.events.INSTRUCTION
        if on:
            monitoring.use_tool_id(tool, "injection")
        for code in _Watch.codes.values():
            monitoring.set_local_events(tool, code, instruction if on else 0)
        if not on:
            monitoring.free_tool_id(tool)


def core_codes() -> Iterator[CodeType]:
    """All code of the core: what is compiled from its files, and so found in its modules."""
    for module in list(sys.modules.values()):
        if (getattr(module, "__file__", None) or "").startswith(CORE):
            for item in vars(module).values():
                yield from _codes_in(item)


def _codes_in(item: object) -> Iterator[CodeType]:
    if isinstance(item, type) and item.__module__.startswith("freezethreads"):
        for member in vars(item).values():
            yield from _codes_in(member)
    elif isinstance(item, property):
        for function in (item.fget, item.fset):
            yield from _codes_in(function)
    elif isinstance(item, FunctionType):
        code = inspect.unwrap(item).__code__  # a context manager's is inside
        if code.co_filename.startswith(CORE):
            yield from _with_inner(code)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)


def _code_of(function: Callable[..., object]) -> CodeType:
    assert isinstance(function, FunctionType)
    return function.__code__
