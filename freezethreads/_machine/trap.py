"""The trap: what the interpreter calls before a bytecode, and when it does.

Nothing is called unless somebody freezes. A *bar* (see `bar`) that is put up has every thread come
to `trap` before its next instruction. When all have arrived at it, only those come there who return
from a call of C, or begin with a function: so the controller's own code is as fast as ever, but for
its calls. A freeze at doors, if code is marked as freezable, has every thread come to `_at_door`
when a function begins, and when it jumps.

What somebody has sent to a thread (a KeyboardInterrupt, say) may arrive in the trap. It is raised
where the interpreter might have raised it: not between the end of a `with` block and the call of
its ``__exit__``, say, which would be left out; nor while another exception is on its way, which may
be what closes a generator that nobody refers to any more. There it is kept, and the events stay on
for the few instructions until it is raised.

Each change of that is one step, under one lock, that brings about what is needed now. So it may be
repeated, and the last one leaves what is right, whoever was there before.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from functools import partial
from opcode import opname
from types import CodeType, FrameType
from typing import Any, Final, Protocol, TypeVar

from freezethreads._ground.errors import FreezeError
from freezethreads._ground.original import RLock, get_ident, getpid, own_idents, sleep
from freezethreads._ground.uninterruptible import call_with, covered
from freezethreads._machine import looks
from freezethreads._machine.looks import is_claimed, under_way, wait_for_looks, wait_unclaimed
from freezethreads._machine.marks import freezable
from freezethreads._machine.monitoring import (
    AT_ENTRIES_AND_LOOPS,
    BEFORE_EACH_INSTRUCTION,
    is_available,
    is_on,
    switch,
)
from freezethreads._machine.sections import is_on_the_way_out
from freezethreads._machine.stacks import kind_of
from freezethreads._refrigerator.refrigerator import visit_safepoint
from freezethreads._registry.doors import call_shut
from freezethreads._registry.record import Parking, here
from freezethreads._registry.requests import Freeze

T = TypeVar("T")


class Stopping(Protocol):
    """What the trap asks: a bar. `codes` is where it needs the events of each instruction, when all
    have arrived; None before: everywhere."""

    freeze: Freeze

    @property
    def codes(self) -> frozenset[CodeType] | None: ...

    def concerns(self, ident: int, frame: FrameType) -> bool: ...

    def stops(self, ident: int, frame: FrameType) -> bool: ...

    def holds(self, ident: int) -> bool: ...

    def stand(self, ident: int) -> None: ...


# Those that stand or are on their way to, the oldest first.
bars: dict[Stopping, None] = {}
# Freezes that stop threads at their doors, while code is marked as a door.
_doors: dict[Freeze, None] = {}
# The ident of the controller of the only bar, when all have arrived: it passes without a look.
_free: dict[int, None] = {}
# What a thread is to call when it comes to the trap, by ident: for itself alone.
_calls: dict[int, Callable[[], object]] = {}
# Those who may wait in the trap, by ident, and the frame to which each comes back.
_stays: dict[int, tuple[Parking, FrameType]] = {}
# What is to be raised in a thread as soon as that may be, by ident.
_kept: dict[int, BaseException] = {}
# Who forks just now, by ident; and under 0, that the events are being switched.
_forking: dict[int, None] = {}
_switching: dict[int, None] = {}
# Guards whether the events are on. Nests in nothing; under it only a fork is waited for.
_engine = RLock()
_pid = getpid()
_over = False  # whether the interpreter ends
# What a generator ends with that is closed, also one that was left in the middle and is collected:
# then what is raised there is lost.
_LAST_HANDLER: Final = ("CALL_INTRINSIC_1", "RERAISE")
_PAUSE: Final = 0.001  # seconds between two looks at who forks, or switches
_MOST_PAUSES: Final = 100


def put_up(bar: Stopping) -> None:
    """From here on each thread meets it. From any thread; may be repeated.

    Raises `FreezeError` if the interpreter's ids for tools are all taken, or if it ends.
    """
    if _over:
        raise FreezeError("the interpreter is about to end: no thread can be stopped any more")
    bars[bar] = None
    change()


def take_down(bar: Stopping) -> None:
    """It stops nobody any more. From any thread; may be repeated."""
    bars.pop(bar, None)
    wait_for_looks(bar)
    change()


def change() -> None:
    """Have what is needed now, and nothing else. From any thread; may be repeated."""
    call_shut(call_with, _engine, _switch)


def end() -> None:
    """Nobody is stopped from here on. By the main thread, when it has run all there is to run.

    Threads that are daemons are cut off soon, perhaps in the middle of a freeze, and nobody would
    let the main thread go, which has yet to tidy up.
    """
    global _over
    _over = True
    wait_for_looks(None)
    change()


def is_up(bar: Stopping) -> bool:
    """Whether each thread meets it, for as long as a look of it lasts that has begun by now."""
    return bar in bars and not _over


def inside() -> dict[int, FrameType]:
    """Those who may wait in the trap, by ident, and the frame to which each comes back."""
    return {ident: frame for ident, (_, frame) in _stays.copy().items()}


def stands(ident: int) -> bool:
    """Whether a thread in the trap stands, and makes no call there: else it has yet to decide, or
    has been let go."""
    stay = _stays.get(ident)
    if stay is None:
        return False
    status = stay[0].word.value
    return status.stay is not None and not status.calling


def is_in_child() -> bool:
    """Whether this is the child of a fork, and has yet to be put in order."""
    return getpid() != _pid


@covered
def trap(code: CodeType, offset: int, *rest: object) -> None:
    """What the interpreter calls before an instruction, in the thread that is to execute it."""
    try:
        ident = get_ident()
        if ident in _free and not _calls and not _kept:
            return
        if _calls and (call := _calls.pop(ident, None)) is not None:
            _stay(sys._getframe(1), call)
        else:
            _meet(sys._getframe(1))
        if ident in _kept:
            raise _kept[ident]
    except BaseException as error:
        _meet(sys._getframe(1))
        if not rest and _may_raise(code, offset):  # rest: an exception is on its way already
            _stay(sys._getframe(1), partial(_forget, error))
            raise
        _stay(sys._getframe(1), partial(_keep, error))


def _may_raise(code: CodeType, offset: int) -> bool:
    """Whether the interpreter might raise there what somebody has sent: nobody is prepared for it
    anywhere else."""
    name = opname[code.co_code[offset]]
    if kind_of(code) == "own":
        return name.startswith(("RESUME", "JUMP_BACKWARD"))
    return name not in _LAST_HANDLER and not is_on_the_way_out(code, offset)


def _keep(error: BaseException) -> None:
    """Raise it later, in the calling thread: at the next instruction where that may be."""
    _kept.setdefault(get_ident(), error)
    change()  # whoever has taken the last bar down has not seen it


def _forget(error: BaseException) -> None:
    """It is about to be raised."""
    if _kept.get(get_ident()) is error:
        del _kept[get_ident()]
        if not (bars or _kept):
            change()


def call_in_trap(call: Callable[[], T]) -> T:
    """Return `call()`, made by the calling thread in the trap, where it has no events itself.

    Outside, each instruction of the library costs as much as one of the program.
    """
    ident, results = get_ident(), list[T]()
    try:
        _calls[ident] = lambda: results.append(call())
        _knock()
        is_left = _calls.pop(ident, None) is not None
    except BaseException:
        _calls.pop(ident, None)
        raise
    return call() if is_left else results[0]  # the former if everybody has been let go meanwhile


def _knock() -> None:
    """Come to the trap, if there is one."""


def _meet(frame: FrameType) -> None:
    ident = get_ident()
    if ident not in own_idents and (
        (under_way and is_claimed(ident)) or any([bar.concerns(ident, frame) for bar in list(bars)])
    ):
        _stay(frame, partial(_stand, ident, frame))


def _stay(frame: FrameType, call: Callable[[], object]) -> None:
    """Make a call in the trap in which the calling thread may wait; come and go unclaimed."""
    ident = get_ident()
    try:
        _stays[ident] = here.parking, frame
        wait_unclaimed(ident)
        call()
        wait_unclaimed(ident)
    finally:
        _stays.pop(ident, None)


def _stand(ident: int, frame: FrameType) -> None:
    """As long as a bar stops the calling thread there."""
    bar = next((bar for bar in list(bars) if bar.stops(ident, frame)), None)
    while bar is not None:
        bar.stand(ident)
        wait_unclaimed(ident)  # by a look of another bar, at which it may have arrived then
        # Whoever is let go executes an instruction before anybody stops it anew. So of one
        # freeze after the other each thread goes on, if slowly.
        bar = next((bar for bar in list(bars) if bar.holds(ident)), None)


def open_doors(freeze: Freeze) -> None:
    """Have `freeze` stop threads in freezable code as well. By its controller."""
    if freezable and is_available():
        _doors[freeze] = None
        change()


def close_doors(freeze: Freeze) -> None:
    """It is done. From any thread; may be repeated."""
    if freeze in _doors or is_on():  # the latter: an exception may have come in between
        _doors.pop(freeze, None)
        change()


def _at_door(code: object, offset: object, *rest: object) -> None:
    """What the interpreter calls when a function begins, or jumps, in the thread that does."""
    frame = sys._getframe(1)
    name = freezable.name_in(frame)
    if name is not None and not is_in_child():
        for freeze in list(_doors):
            registry: Any = freeze.registry
            visit_safepoint(registry, freezable.label_of(name), frame, "freezable")


def before_fork() -> None:
    """Nobody switches the events while the calling thread forks.

    Without a GIL that stops the world of the interpreter, and CPython 3.13 leaves the child the
    lock for it as it was: held by a thread that is not there. Neither waits long for the other: a
    thread that forks may have to wait for locks of the program, or to stand, on its way.
    """
    _forking[get_ident()] = None
    for _ in range(_MOST_PAUSES):
        if not _switching:
            break
        sleep(_PAUSE)


def after_fork_in_parent() -> None:
    """It has forked, or failed to."""
    _forking.pop(get_ident(), None)


def _switch() -> None:
    """Have what is needed now, and nothing else. Called with _engine held."""
    try:
        for _ in range(_MOST_PAUSES):
            _switching[0] = None  # first this, and then the look; a fork the other way round
            if not _forking or get_ident() in _forking:
                break
            _switching.pop(0, None)
            sleep(_PAUSE)
        _switch_now()
    finally:
        _switching.pop(0, None)


def _switch_now() -> None:
    global _pid
    _pid = getpid()
    _free.clear()
    if _over:
        switch({})
        return
    traps: dict[str, Callable[..., object]] = {}
    if _doors:
        traps.update(dict.fromkeys(AT_ENTRIES_AND_LOOPS, _at_door))
    up = list(bars)
    codes = [bar.codes for bar in up]
    if up or _kept:
        traps.update(dict.fromkeys(BEFORE_EACH_INSTRUCTION, trap))
    if up and None not in codes and not _kept:
        if len(up) == 1 and up[0].freeze.asked.kind == "freeze":  # which ends with its thread
            _free[up[0].freeze.asked.ident] = None
        switch(traps, {code for some in codes for code in some or ()})
    else:
        switch(traps)


def below_trap(frame: FrameType) -> tuple[FrameType, bool]:
    """The innermost frame that is not the trap's, and whether there is a trap above it."""
    at: FrameType | None = frame
    while at is not None and kind_of(at.f_code) in ("own", "threading"):
        if at.f_code is trap.__code__ and at.f_back is not None:
            return at.f_back, True
        at = at.f_back
    return frame, False


def reset() -> None:
    """In the child of a fork: no bar, no event. (See `inherited`.)"""
    global _engine, bars, _doors, _calls, _free, _kept, _stays, _forking, _switching
    bars, _doors, _calls, _free = {}, {}, {}, {}
    _kept, _stays, _forking, _switching = {}, {}, {}, {}
    looks.reset()
    _engine = RLock()
    switch({})


# It comes after the end of all threads that are no daemons, and after what the program has
# registered since.
atexit.register(end)
