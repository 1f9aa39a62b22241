"""An exception at every bytecode of the bar and the trap: nobody is left stopped, nothing is left
in the interpreter, and the exception arrives.

While a thread is in the trap the interpreter tells no tool of its bytecodes, and so nothing can be
injected there. So some of these have threads that call the trap by hand, and the interpreter has no
events of the engine's at all; the others have those, and what runs in the trap is left out.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from freezethreads import Freezer
from freezethreads._ground.arguments import Where
from freezethreads._machine import looks, marks, trap
from freezethreads._registry.doors import call_shut
from helpers import WAIT, start, wait_for, wait_until
from injection import Boom, Injection, injections, watching
from machine import needs_monitoring, nothing_is_left

pytestmark = [
    needs_monitoring,
    pytest.mark.timeout(300),
    # A file in `/proc` that was opened, and not yet entered.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PAUSE = 0.0002
"""Seconds between two rounds of a thread: each bytecode costs a call while it is watched."""
ENGINE = ("_machine/bar", "_machine/looks", "_machine/trap")
LIMIT = sys.getrecursionlimit()


@pytest.fixture
def by_hand(request: Any, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the threads come to the trap by themselves, and the interpreter has no events."""
    is_by_hand: bool = getattr(request, "param", True)
    if is_by_hand:
        monkeypatch.setattr(trap, "switch", lambda traps, codes=None: None)
    return is_by_hand


class Program:
    """Two threads that nobody prepared: one counts, and one does it in a section."""

    def __init__(self, by_hand: bool) -> None:
        self.freezer = Freezer("program")
        self.lock = threading.Lock()
        self.counts = [0, 0]
        self._come = come_by_hand if by_hand else do_nothing
        self._over = False
        ready = [threading.Event() for _ in self.counts]
        self.threads = [
            start(run, ready[n], name=f"w{n}") for n, run in enumerate((self._plain, self._locked))
        ]
        for event in ready:
            wait_for(event)

    def _plain(self, ready: threading.Event) -> None:
        ready.set()
        while not self._over:
            time.sleep(PAUSE)
            self._come()
            self.counts[0] += 1

    def _locked(self, ready: threading.Event) -> None:
        ready.set()
        while not self._over:
            time.sleep(PAUSE)
            self._come()
            with self.lock:
                self._come()
                self.counts[1] += 1

    def check(self) -> None:
        """All go on, nothing of the engine is left, and they can be stopped again."""
        before = list(self.counts)
        wait_until(lambda: all(a < b for a, b in zip(before, self.counts, strict=True)))
        wait_until(nothing_is_left_in_the_library)
        assert nothing_is_left()
        assert sys.getrecursionlimit() == LIMIT
        assert not trap._engine._is_owned()  # type: ignore[attr-defined]
        assert not looks._looking._is_owned()  # type: ignore[attr-defined]
        assert not self.freezer._registry.active
        assert self.freezer._controller._turns.current is None
        with self.freezer.freeze(where="unlocked", timeout=WAIT):
            stood = list(self.counts)
            assert self.lock.acquire(blocking=False)
            self.lock.release()
            assert stood == self.counts

    def end(self) -> None:
        self._over = True
        for thread in self.threads:
            thread.finish()


def nothing_is_left_in_the_library() -> bool:
    kept = (trap.bars, trap._doors, trap._calls, trap._kept, trap._stays, looks.under_way)
    return not any(kept)


def come_by_hand() -> None:
    frame = sys._getframe(1)
    trap.trap(frame.f_code, frame.f_lasti)


def do_nothing() -> None:
    """The interpreter sees to it."""


@pytest.fixture
def program(by_hand: bool) -> Iterator[Program]:
    program = Program(by_hand)
    yield program
    program.end()


def freeze_unlocked(program: Program) -> None:
    with program.freezer.freeze(where="unlocked"):
        pass


def hold(program: Program) -> None:
    with program.freezer.hold(where="unlocked"):
        pass


def freeze_with_lease(program: Program) -> None:
    with program.freezer.freeze(where="unlocked", lease=60):
        pass


def look_at_locks(program: Program) -> None:
    with program.freezer.freeze(where="anywhere") as world:
        assert len(world.locks) <= 1


@pytest.mark.parametrize(
    ("by_hand", "scenario"),
    [
        (False, freeze_unlocked),
        (False, hold),
        (True, freeze_unlocked),
        (True, hold),
        (True, freeze_with_lease),
        (True, look_at_locks),
    ],
    indirect=["by_hand"],
    ids=lambda one: getattr(one, "__name__", "by hand" if one else "by events"),
)
def test_an_exception_in_the_controller_leaves_nobody_stopped(
    program: Program, scenario: Callable[[Program], None]
) -> None:
    hits = 0
    # (Not into one that has a name for its world: the traceback would keep that.)
    with watching(freeze_unlocked, hold, freeze_with_lease, only=ENGINE, restart=True):
        for injection in injections():
            try:
                with injection:
                    scenario(program)
            except Boom as boom:
                check_after(program, boom)
            else:
                assert injection.hit is None, f"lost: an exception at {injection.hit}"
            hits += injection.hit is not None
    assert hits > 100


def check_after(program: Program, boom: Boom) -> None:
    try:
        program.check()
    except BaseException as error:
        error.add_note(f"after an exception {boom}")
        raise


class Subject:
    """A thread that comes to the trap with what is injected, once in each freeze."""

    def __init__(self, come: Callable[[Subject], None], registered: bool, where: Where) -> None:
        self.freezer = Freezer("subject")
        self.lock = threading.Lock()
        self.where = where
        self.is_out = False
        self.caught: list[Boom] = []
        self._come = come
        self._registered = registered
        self._given: list[Injection] = []
        self._over = False
        self._go, self._done = threading.Event(), threading.Event()
        ready = threading.Event()
        self.thread = start(self._run, ready, name="subject")
        wait_for(ready)

    def _run(self, ready: threading.Event) -> None:
        with ExitStack() as stack:
            if self._registered:
                stack.enter_context(self.freezer.register(group="subject"))
            ready.set()  # it stops in register() no more
            while True:
                self._wait()
                if self._over:
                    return
                try:
                    with self._given.pop():
                        self._come(self)
                        come_by_hand()  # which brings what may not have been raised before
                except Boom as boom:
                    self.caught.append(boom)
                self.is_out = True
                self.freezer.safepoint()  # a door that an exception has come before
                self._done.set()

    def _wait(self) -> None:
        """Nobody counts it as stopped here, and it stops nowhere before it comes to the trap."""
        if self.where == "safepoint":
            call_shut(self._wait_until_asked)
        else:
            with self.freezer.no_freeze():
                self._wait_until_asked()

    def _wait_until_asked(self) -> None:
        wait_for(self._go)
        self._go.clear()
        record = self.freezer._registry.own.record
        if self.where == "safepoint" and record is not None:
            wait_until(lambda: self._over or record.is_asked)
        else:
            wait_until(lambda: bool(self._over or trap.bars))

    def freeze_with(self, injection: Injection) -> None:
        """It stands, as long as the world does; then the exception is there, and nothing else."""
        ident = self.thread.ident or 0
        self.is_out = False
        self.left = looks.Look(None, [ident])
        self.caught.clear()
        self._given.append(injection)
        self._go.set()
        with self.freezer.freeze(where=self.where, timeout=WAIT):
            if self.where != "safepoint":
                wait_until(lambda: ident in trap._stays)
                assert not self.is_out
            assert self.lock.acquire(blocking=False)
            self.lock.release()
        wait_for(self._done)
        self._done.clear()
        assert len(self.caught) == (injection.hit is not None)
        wait_until(nothing_is_left_in_the_library)

    def end(self) -> None:
        self._over = True
        self._go.set()
        self.thread.finish()


def come(subject: Subject) -> None:
    come_by_hand()


def come_in_a_section(subject: Subject) -> None:
    try:
        with subject.lock:
            come_by_hand()
    finally:
        come_by_hand()


def come_claimed(subject: Subject) -> None:
    """By a look that exceptions have left as it was."""
    looks.under_way[subject.left] = None
    come_by_hand()


def come_to_a_door(subject: Subject) -> None:
    trap._at_door(None, None)


@pytest.mark.parametrize(
    ("scenario", "where", "registered"),
    [
        (come, "unlocked", False),
        (come, "anywhere", True),
        (come_in_a_section, "unlocked", False),
        (come_in_a_section, "unlocked", True),
        (come_claimed, "anywhere", False),
        (come_to_a_door, "safepoint", True),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_an_exception_in_the_trap_lets_nobody_out(
    by_hand: bool,
    scenario: Callable[[Subject], None],
    where: Where,
    registered: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(marks.freezable, "_names", {f"{__name__}:come_to_a_door": None})
    monkeypatch.setattr(marks.freezable, "_known", {})
    monkeypatch.setattr(looks, "_PATIENCE", 0.001)
    subject = Subject(scenario, registered, where)
    hits = 0
    try:
        with watching(only=ENGINE, restart=True):
            for injection in injections():
                try:
                    subject.freeze_with(injection)
                except BaseException as error:
                    error.add_note(f"after an exception at {injection.hit}")
                    raise
                hits += injection.hit is not None
    finally:
        subject.end()
    assert hits > (10 if where == "safepoint" else 100)


def test_an_exception_while_code_is_marked_leaves_what_a_repetition_completes() -> None:
    frame = sys._getframe()
    with watching(only=("_machine/marks",)):
        for injection in injections():
            fresh = marks.Marks("marked")
            fresh.name_in(frame)  # not yet
            try:
                with injection:
                    fresh.add(__name__)
                    fresh.name_in(frame)
            except Boom:
                fresh.add(__name__)
            assert fresh.name_in(frame) == __name__
