"""An exception at every bytecode of a thread that stops: it cannot get out before the thaw."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from freezethreads import Freezer, FreezeError, ThreadBlocked, World
from helpers import WAIT, start, wait_for
from injection import Boom, Injection, watching


class Subject:
    """A registered thread which stops once with an exception at bytecode `at`, then as usual."""

    def __init__(self, at: int, stop: Callable[[Subject], None]) -> None:
        self.freezer = Freezer("subject")
        self.at = at
        self.hit: tuple[str, int] | None = None
        self.in_application = False  # whether it runs code that a freeze must have stopped
        self.ready = threading.Event()
        self.go_on = threading.Event()
        self.over = threading.Event()
        self._end = threading.Event()
        self.thread = start(self._run, stop)
        wait_for(self.ready)

    def _run(self, stop: Callable[[Subject], None]) -> None:
        with self.freezer.register():
            stop(self)
            self.in_application = True
            self.over.set()
            while not self._end.is_set():
                self.in_application = False
                self.freezer.safepoint("afterwards")
                self.in_application = True
                time.sleep(0)

    def inject(self, call: Callable[..., object], *args: Any) -> None:
        """`call(*args)`, interrupted. By the subject."""
        injection = Injection(self.at)
        try:
            with injection:
                call(*args)
        except Boom:
            pass
        self.hit = injection.hit
        self._leave_again()

    def _leave_again(self) -> None:
        """After an exception before the first step of a region's `__exit__`, or before its call.

        The `with` block is over, and the thread does not know: it stays marked as away (or as not
        to be frozen) until it leaves another region. That is the one thing which code in Python
        cannot help: see `Blocking`.
        """
        (record,) = self.freezer._registry.records.values()
        if self.hit is not None and self.hit[0].startswith(("Blocking.", "_pass_region")):
            if record.depth:
                self.freezer.blocking().__exit__(None, None, None)
        if self.hit is not None and self.hit[0].startswith(("NoFreeze.", "_pass_no_freeze")):
            if record.shut:
                self.freezer.no_freeze().__exit__(None, None, None)

    def wait_until_armed(self) -> None:
        deadline = time.monotonic() + WAIT
        while not self.freezer.armed:
            assert time.monotonic() < deadline
            time.sleep(0)

    def end(self) -> None:
        self._end.set()
        self.thread.finish()


def at_a_safepoint(subject: Subject) -> None:
    subject.ready.set()
    subject.wait_until_armed()
    subject.inject(subject.freezer.safepoint)


def entering_a_region(subject: Subject) -> None:
    subject.ready.set()
    subject.wait_until_armed()
    subject.inject(_pass_region, subject)


def leaving_a_region(subject: Subject) -> None:
    region = subject.freezer.blocking("region")
    region.__enter__()
    subject.ready.set()
    wait_for(subject.go_on)
    subject.inject(region.__exit__, None, None, None)


def opening_no_freeze(subject: Subject) -> None:
    with subject.freezer.blocking("region"):
        subject.ready.set()
        wait_for(subject.go_on)
        subject.inject(_pass_no_freeze, subject)


def _pass_region(subject: Subject) -> None:
    with subject.freezer.blocking("region"):
        pass


def _pass_no_freeze(subject: Subject) -> None:
    with subject.freezer.no_freeze():
        subject.in_application = True
        subject.in_application = False


def check_stillness(subject: Subject, world: World) -> None:
    """The subject answers from the refrigerator, and is in none of the application's code."""
    deadline = time.monotonic() + WAIT
    while True:
        assert not subject.in_application, f"ran while frozen after {subject.hit}"
        assert time.monotonic() < deadline, f"lost after {subject.hit}"
        try:
            assert world.call(subject.thread, threading.get_ident) == subject.thread.ident
            break
        except Boom:
            break  # it answered, with the exception
        except ThreadBlocked:
            time.sleep(0)


# Python reports an exception in `__del__`, and goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "stop",
    [at_a_safepoint, entering_a_region, leaving_a_region, opening_no_freeze],
    ids=lambda stop: stop.__name__,
)
def test_an_exception_anywhere_does_not_let_a_thread_out(stop: Callable[[Subject], None]) -> None:
    with watching(_pass_region, _pass_no_freeze):
        for at in itertools.count():
            subject = Subject(at, stop)
            try:
                with subject.freezer.freeze(timeout=WAIT) as world:
                    subject.go_on.set()
                    check_stillness(subject, world)
                wait_for(subject.over)
                with subject.freezer.freeze(timeout=WAIT) as world:
                    check_stillness(subject, world)
            except FreezeError as error:
                error.add_note(f"after an exception at bytecode {at}: {subject.hit}")
                raise
            finally:
                subject.go_on.set()
                subject.end()
            if subject.hit is None:
                break
        assert at > 30


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
            subject = Subject(at, make_two)
            wait_for(subject.over)
            outcomes = [future.exception(WAIT) for future in futures]
            subject.end()
            made = sorted(calls)
            assert made == sorted(set(made)), f"made twice after {subject.hit}"
            for number, error in enumerate(outcomes):
                assert error is not None or number in made, f"lost after {subject.hit}"
            if subject.hit is None:
                break
        assert at > 100
        assert made == [0, 1]
