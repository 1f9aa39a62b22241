"""An exception at every bytecode of a thread that stops: it cannot get out before the thaw."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from freezethreads import Freezer, ThreadBlocked, World
from helpers import WAIT, Worker, start, wait_for, wait_until
from injection import Boom, Injection, watching
from interruptions import Interruptions, interrupting, pairs

PAUSE = 0.0002
"""Seconds between two rounds of a thread: those that never rest keep the others from running."""


class Subject:
    """A registered thread which stops once with what is injected, then as usual.

    Two more stop before it, so that after the thaw it is its turn to wake the next.
    """

    def __init__(
        self, injection: Injection | Interruptions, stop: Callable[[Subject], None]
    ) -> None:
        self.freezer = Freezer("subject")
        self.injection = injection
        self.escaped = False
        self.depth = 0  # how many regions it is in where the exception comes
        self.rounds = [0, 0]
        self.go_on = threading.Event()
        self._end = threading.Event()
        self.others = [self._start(self._stand_by, index) for index in range(2)]
        self.thread = self._start(self._run, stop)

    def _start(self, run: Callable[..., None], argument: object) -> Worker[None]:
        self.ready = threading.Event()
        thread = start(run, argument)
        wait_for(self.ready)
        return thread

    def _stand_by(self, index: int) -> None:
        with self.freezer.register():
            self.ready.set()
            while not self._end.is_set():
                self.rounds[index] += 1
                self.freezer.safepoint()
                time.sleep(PAUSE)

    def _run(self, stop: Callable[[Subject], None]) -> None:
        with self.freezer.register():
            stop(self)
            while not self._end.is_set():
                self.run_application()
                self.freezer.safepoint("afterwards")

    def run_application(self) -> None:
        """What it does between two safepoints: nothing, but nobody may think it stopped."""
        record = self.freezer._registry.records[threading.get_ident()]
        for freeze in list(self.freezer._registry.active):
            if record in freeze.members and record not in freeze.awaited and not freeze.done:
                self.escaped = True
        time.sleep(PAUSE)

    def inject(self, call: Callable[..., object], *args: Any) -> None:
        """`call(*args)`, interrupted. By the subject."""
        try:
            with self.injection:
                call(*args)
        except Boom:
            pass
        self._leave_again()

    def _leave_again(self) -> None:
        """After an exception between the end of a `with` block and the call of its `__exit__`.

        The thread does not know that the block is over: it stays marked as away (or as not to be
        frozen) until it leaves another region. That is the one thing which code in Python cannot
        help: see `Blocking`.
        """
        record = self.freezer._registry.records[threading.get_ident()]
        hits = self.injection.hits
        if "_pass_region" in hits and record.depth:
            self.freezer.blocking().__exit__(None, None, None)
        if "_pass_no_freeze" in hits and record.shut:
            self.freezer.no_freeze().__exit__(None, None, None)
        assert (record.depth, record.shut) == (self.depth, 0), f"still in a region after {hits}"

    def wait_for_the_others(self) -> None:
        """Until the others stand in the refrigerator."""
        me = threading.get_ident()
        records = [r for i, r in self.freezer._registry.records.items() if i != me]
        wait_until(lambda: all(record.parking.word.value.stay for record in records))

    def check(self, world: World) -> None:
        """The subject stands in the refrigerator: it answers from there."""
        wait_until(lambda: self._answers(world))
        assert not self.escaped, f"ran while frozen after {self.injection.hits}"

    def _answers(self, world: World) -> bool:
        try:
            return world.call(self.thread, threading.get_ident) == self.thread.ident
        except Boom:
            return True
        except ThreadBlocked:
            return False

    def check_all_run(self) -> None:
        """The thaw has reached everybody."""
        before = list(self.rounds)
        wait_until(lambda: all(a < b for a, b in zip(before, self.rounds, strict=True)))

    def end(self) -> None:
        self._end.set()
        for thread in (*self.others, self.thread):
            thread.finish()


def at_a_safepoint(subject: Subject) -> None:
    subject.ready.set()
    subject.wait_for_the_others()
    subject.inject(subject.freezer.safepoint)


def entering_a_region(subject: Subject) -> None:
    subject.ready.set()
    subject.wait_for_the_others()
    subject.inject(_pass_region, subject)


def leaving_a_region(subject: Subject) -> None:
    region = subject.freezer.blocking("region")
    region.__enter__()
    subject.ready.set()
    wait_for(subject.go_on)
    subject.inject(region.__exit__, None, None, None)


def opening_no_freeze(subject: Subject) -> None:
    with subject.freezer.blocking("region"):
        subject.depth = 1
        subject.ready.set()
        wait_for(subject.go_on)
        subject.inject(_pass_no_freeze, subject)


def _pass_region(subject: Subject) -> None:
    with subject.freezer.blocking("region"):
        pass


def _pass_no_freeze(subject: Subject) -> None:
    with subject.freezer.no_freeze():
        subject.run_application()


STOPS: list[Callable[[Subject], None]] = [
    at_a_safepoint,
    entering_a_region,
    leaving_a_region,
    opening_no_freeze,
]


def stop_it(subject: Subject) -> None:
    """Freeze it twice: it stands in both worlds, and runs afterwards."""
    try:
        for _ in range(2):
            with subject.freezer.freeze(timeout=WAIT) as world:
                subject.go_on.set()
                subject.check(world)
            subject.check_all_run()
    except BaseException as error:
        error.add_note(f"after exceptions in {subject.injection.hits}")
        raise
    finally:
        subject.go_on.set()
        subject.end()


# Python reports an exception in `__del__`, and goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__)
def test_an_exception_anywhere_does_not_let_a_thread_out(stop: Callable[[Subject], None]) -> None:
    with watching(_pass_region, _pass_no_freeze):
        for at in itertools.count():
            injection = Injection(at)
            stop_it(Subject(injection, stop))
            if injection.hit is None:
                break
        assert at > 30


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__)
def test_two_exceptions_in_a_row_do_not_let_a_thread_out(stop: Callable[[Subject], None]) -> None:
    with interrupting(_pass_region, _pass_no_freeze):
        both = 0
        for interruptions in pairs():
            stop_it(Subject(interruptions, stop))
            both += len(interruptions.hits) == 2
        assert both > 100


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(300)
def test_an_exception_anywhere_loses_no_todo() -> None:
    def make_two(subject: Subject) -> None:
        for number in range(2):
            futures.append(subject.freezer.todo(threading.get_ident(), calls.append, number))
        subject.ready.set()
        subject.inject(subject.freezer.safepoint)

    with watching():
        for at in itertools.count():
            calls: list[int] = []
            futures: list[Any] = []
            injection = Injection(at)
            subject = Subject(injection, make_two)
            outcomes = [future.exception(WAIT) for future in futures]
            subject.end()
            made = sorted(calls)
            assert made == sorted(set(made)), f"made twice after {injection.hits}"
            for number, error in enumerate(outcomes):
                assert error is not None or number in made, f"lost after {injection.hits}"
            if injection.hit is None:
                break
        assert at > 100
        assert made == [0, 1]
