"""The thread that freezes all others at random, and looks whether they stand still.

It is an ordinary thread which is started before the suite is loaded, so what the suite takes for
its baseline (`threading.enumerate()`, `_thread._count()`) has it in already. It is not enrolled,
and waits on a raw lock alone: what the suite does to `threading` or `time` does not reach it.
"""

from __future__ import annotations

import dis
import gc
import random
import sys
import threading
import traceback
from _thread import allocate_lock
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Literal, TypeAlias

import freezethreads
from freezethreads import FreezeTimeout, State, Straggler
from storms.journal import Journal

OURS = freezethreads.__path__[0]
BOOTSTRAP = "Thread._bootstrap_inner"
AGAIN = 10
"""Times that stacks are read, at most, if some are cut."""

Where: TypeAlias = Literal["unlocked", "anywhere"]

Stack = list[tuple[str, str, int]]
"""From the outermost frame on: its file, its function, its instruction."""


@dataclass(frozen=True)
class Position:
    """Where a thread was found."""

    stack: Stack
    returns_to: frozenset[int] = frozenset()
    """If it is in a call of C: the instructions before which it may stand after that."""
    begins: bool = False
    """Whether its innermost function has executed nothing yet."""

    def has_moved_to(self, other: Position) -> bool:
        """Whether it has executed anything in between. A call of C may have come back, or have
        called a function; before the next instruction its thread stands."""
        if self.stack == other.stack:
            return False
        if not self.returns_to:
            return True
        if other.begins and other.stack[:-1] == self.stack:
            return False
        *outer, (file, function, _) = self.stack
        *later, (its_file, its_function, instruction) = other.stack
        same = (outer, file, function) == (later, its_file, its_function)
        return not (same and instruction in self.returns_to)


NOWHERE = Position([])


@dataclass(frozen=True)
class Weather:
    """How a storm blows."""

    seed: str
    every: float
    """Seconds between a thaw and the next freeze, on average."""
    timeout: float
    """Seconds after which a freeze gives up."""
    where: Where | None = None
    """Where every thread is stopped; None: those that are enrolled, at their safepoints."""
    hold: float = 0.0002
    """Seconds for which the threads stand, on average."""
    verdicts: float = 0.05
    """The share of the freezes after which the freezer is asked who can never go on."""


class Storm:
    """A context manager: freezes back to back, at random distances, until it is left."""

    def __init__(self, weather: Weather, journal: Journal) -> None:
        self._weather = weather
        self._journal = journal
        self._random = random.Random(weather.seed)
        self._main = threading.main_thread().ident
        self._verdicts = Verdicts(journal)
        self._over = allocate_lock()
        self._over.acquire()  # (in `__enter__` it would be the program's, which has it in hand)
        self._thread = threading.Thread(target=self._blow, name="storm", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc_info: object) -> None:
        self._over.release()
        self._thread.join()

    def _blow(self) -> None:
        try:
            while not self._pause(self._weather.every):
                self._freeze()
                if can_look() and self._random.random() < self._weather.verdicts:
                    self._verdicts.look()
        except BaseException:  # noqa: BLE001 - whatever it is, the storm is over, and must not be lost
            self._journal.note(fault=f"the controller failed: {traceback.format_exc()}")

    def _pause(self, mean: float) -> bool:
        """Wait for a random time; return whether the storm is over."""
        if not self._over.acquire(timeout=self._random.expovariate(1 / mean)):
            return False
        self._over.release()
        return True

    def _freeze(self) -> None:
        try:
            timeout, where = self._weather.timeout, self._weather.where
            with (
                uncollected(),
                freezethreads.freeze(timeout=timeout, reason="storm", where=where) as world,
            ):
                threads = {info.ident: info.name for info in world.threads}
                moved = self._watch(threads)
                locks = len(world.locks)
        except FreezeTimeout as error:
            self._journal.note(stragglers=[_describe(each) for each in error.stragglers])
            return
        main = self._main in threads
        self._journal.note(stood=len(threads) - main, main=main, locks=locks, waited=world.waited)
        if moved:
            self._journal.note(fault=f"these moved while they were frozen: {'; '.join(moved)}")

    def _watch(self, threads: dict[int, str]) -> list[str]:
        """Look twice at the stacks of the frozen threads; tell which of them moved, and where."""
        may_call = self._weather.where is not None
        first = _stacks(threads, may_call) if can_look() else {}
        self._pause(self._weather.hold)
        second = _stacks(threads, may_call) if first else {}
        return [
            f"{threads[ident]} at {position.stack[-3:]} and then at {later.stack[-3:]}"
            for ident, position in first.items()
            if (later := second.get(ident, NOWHERE)) is NOWHERE or position.has_moved_to(later)
        ]


class Verdicts:
    """Holds the freezer to what it says of deadlocks: who can never go on executes nothing more."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._stuck: dict[int, tuple[Stack, str]] = {}
        """Those of whom that was said: where each was, by its ident, and what was said."""

    def look(self) -> None:
        """See whether any of them has gone on, and ask who is stuck now."""
        stacks = stacks_of_all()
        gone = [ident for ident, (stack, _) in self._stuck.items() if stacks.get(ident) != stack]
        for ident in gone:
            stack, said = self._stuck.pop(ident)
            later = stacks.get(ident, [])[-3:]
            text = f"was at {stack[-3:]} and is now at {later}, which can never be: {said}"
            self._journal.note(fault=text)
        found = [each for each in freezethreads.deadlocks() if each.certain]
        stacks = stacks_of_all()
        for deadlock in found:
            for edge in deadlock.edges:
                self._stuck.setdefault(edge.ident, (stacks.get(edge.ident, []), str(deadlock)))
        self._journal.note(stuck=len(self._stuck))


@contextmanager
def uncollected() -> Iterator[None]:
    """The garbage collector does not run by itself, in any thread.

    It calls finalizers of the suite's objects in whichever thread sets it off. In the controller
    such a one could wait for a thread that stands, for ever: that of a multiprocessing.Pool does.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def can_look() -> bool:
    """Whether a thread can read another one's frames on this Python.

    Without the GIL they may be gone in the middle of it; and a frozen thread runs a little, of the
    freezer's own, where it stands.
    """
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _stacks(threads: dict[int, str], may_call: bool) -> dict[int, Position]:
    """Where they are; `may_call` says whether one in a call of C counts as stopped there.

    Keeps no frame, which would keep alive what the suite wants to see die: so they are in no
    variable here, in a frame which is one of them.

    A thread that stands executes a little of the freezer's own code. If a function of that returns
    while its callers are followed, they are lost: so they are read again, a few times, since some
    threads have really none.
    """
    for _ in range(AGAIN):
        stacks = _stacks_at(sys._current_frames(), threads, may_call)
        if all(position.stack for position in stacks.values()):
            break
    return stacks


def stacks_of_all() -> dict[int, Stack]:
    """Where all threads are in the program, by their idents. Keeps no frame, as `_stacks`."""
    return {ident: _application_part(frame) for ident, frame in sys._current_frames().items()}


def _stacks_at(
    frames: dict[int, FrameType], threads: dict[int, str], may_call: bool
) -> dict[int, Position]:
    return {ident: _position_of(frames[ident], may_call) for ident in threads if ident in frames}


def _position_of(frame: FrameType, may_call: bool) -> Position:
    stack, innermost = _application_part(frame), frame
    if not may_call:
        return Position(stack)
    code, instruction = frame.f_code, frame.f_lasti
    if not code.co_filename.startswith(OURS):
        return Position(stack, _next_steps(code, instruction))
    while innermost.f_back is not None and innermost.f_code.co_filename.startswith(OURS):
        innermost = innermost.f_back
    code, instruction = innermost.f_code, innermost.f_lasti
    return Position(stack, begins=dis.opname[code.co_code[instruction]] == "RESUME")


def _next_steps(code: CodeType, instruction: int) -> frozenset[int]:
    """Where a thread may be as soon as the call that is made there is over."""
    steps = [each for each in dis.get_instructions(code) if each.opname != "EXTENDED_ARG"]
    # (In a call of a function written in Python it is where that instruction ends.)
    index = max(i for i, each in enumerate(steps) if each.offset <= instruction)
    found = {each.offset for each in steps[index : index + 2]}
    if steps[index].opcode in dis.hasjrel:  # the end of a loop
        target = next(i for i, each in enumerate(steps) if each.offset == steps[index].argval)
        found.update(each.offset for each in steps[target : target + 3])
    return frozenset(found)


def _application_part(frame: FrameType | None) -> Stack:
    """The frames that have called into the freezer; all, if that was not called.

    What a thread in a wait runs in there while it is frozen does not count, nor a signal handler.
    """
    stack = []
    while frame is not None:
        stack.append((frame.f_code.co_filename, frame.f_code.co_qualname, frame.f_lasti))
        frame = frame.f_back
    stack.reverse()
    ours = [file.startswith(OURS) for file, _, _ in stack]
    functions = [function for _, function, _ in stack]
    begin = end = functions.index(BOOTSTRAP) + 1 if BOOTSTRAP in functions else 0
    while end < len(stack) and ours[end]:
        end += 1  # what has enrolled the thread is there for as long as it lives
    if end == len(stack):
        return stack[:begin]
    return stack[: ours.index(True, end)] if True in ours[end:] else stack


def _describe(straggler: Straggler) -> str:
    """Where it was: the innermost line that is not the freezer's own, and what that has called."""
    inside = ""
    late = "" if straggler.state is State.RUNNING else ", where it has stopped too late"
    for line in reversed(straggler.stack):
        if not line.filename.startswith(OURS):
            return f"{line.filename}:{line.lineno} in {line.name}{inside}{late}"
        inside = inside or f", inside the freezer's {line.name}, line {line.lineno}"
    return "nowhere"
