"""`Thread.start()`: it returns during a freeze, in which the new thread waits for the thaw."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from freezethreads import Freezer, FreezeTimeout, State, default_freezer, install, sync
from freezethreads._pool import ThreadPoolExecutor
from freezethreads._registry.registry import Registry
from freezethreads._threads import Thread
from freezing import after, before, puppet
from helpers import WAIT, wait_for
from machine import needs_monitoring
from thread_helpers import finish, members, running


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("threads")


class Held(sync.Event):
    """Takes the place of the event that `start()` waits for; the new thread is held at setting it.

    A freezable one, as the standard library's events are in a program that has them replaced.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = threading.Event()
        self.begun = threading.Event()
        self._go = threading.Event()

    def set(self) -> None:
        self.begun.set()
        wait_for(self._go)
        super().set()

    def wait(self, timeout: float | None = None) -> bool:
        self.waited_for.set()
        return super().wait(timeout)

    def go(self) -> None:
        self._go.set()


class Interrupted(Held):
    """The same; and the starter is hit by Ctrl-C while it waits for the new thread."""

    def wait(self, timeout: float | None = None) -> bool:
        wait_for(self.begun)
        raise KeyboardInterrupt


class Overrides(Thread):
    """Overrides `run()`, and makes the standard thread's `__init__()` do."""

    def __init__(self, freezer: Freezer, call: Callable[[], object]) -> None:
        threading.Thread.__init__(self, name="new")
        self._enrolment = (freezer, "")
        self._call = call

    def run(self) -> None:
        self._call()


def with_a_target(freezer: Freezer, call: Callable[[], object]) -> Thread:
    return Thread(target=call, name="new", freezer=freezer)


def with_a_run_of_its_own(freezer: Freezer, call: Callable[[], object]) -> Thread:
    thread = Thread(name="new", freezer=freezer)
    vars(thread)["run"] = call
    return thread


@pytest.mark.parametrize("make", [with_a_target, Overrides, with_a_run_of_its_own])
def test_the_first_line_waits_for_the_thaw(
    freezer: Freezer, make: Callable[..., Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran, enrolled = threading.Event(), threading.Event()
    after(monkeypatch, Registry, "enter", lambda *_: enrolled.set())
    with freezer.freeze():
        thread = make(freezer, ran.set)
        thread.start()
        wait_for(enrolled)
        (info,) = freezer.threads()
        assert (info.name, info.state) == ("new", State.FROZEN)
        assert not ran.is_set()
    wait_for(ran)
    finish(thread)


def test_a_subclass_that_skips_our_init_has_the_default_freezer() -> None:
    found: list[dict[str, str]] = []

    class Skips(Thread):
        def __init__(self) -> None:
            threading.Thread.__init__(self, name="skips")

        def run(self) -> None:
            found.append(members(default_freezer))

    thread = Skips()
    thread.start()
    finish(thread)
    assert found == [{"skips": ""}]


def test_who_starts_a_thread_is_not_frozen_there(freezer: Freezer) -> None:
    """It may hold a pool's locks, which the frozen program's controller may need."""
    with puppet(freezer) as starter:
        thread = Thread(target=int, freezer=freezer)
        held = Held()
        vars(thread)["_started"] = held
        started = starter.tell(thread.start)
        wait_for(held.waited_for)
        with pytest.raises(FreezeTimeout) as caught:
            freezer.freeze(timeout=0.05)
        assert [each.name for each in caught.value.stragglers] == [starter.worker.name]
        held.go()
        started.result(WAIT)
        finish(thread)


def test_an_interrupt_in_start_leaves_the_new_thread_enrolled(freezer: Freezer) -> None:
    found: list[dict[str, str]] = []
    thread = Thread(target=lambda: found.append(members(freezer)), name="new", freezer=freezer)
    held = Interrupted()
    vars(thread)["_started"] = held
    with pytest.raises(KeyboardInterrupt):
        thread.start()
    held.go()
    assert sync.Event.wait(held, WAIT)
    finish(thread)
    assert found == [{"new": ""}]


def in_a_thread(freezer: Freezer) -> Callable[[], object]:
    thread = Thread("io", target=int, freezer=freezer)
    thread.start()
    return lambda: finish(thread)


def in_a_pool(freezer: Freezer) -> Callable[[], object]:
    pool = ThreadPoolExecutor(1, freezer=freezer, group="io")
    pool.submit(int)
    return pool.shutdown


def in_an_installation(freezer: Freezer, **options: bool) -> Callable[[], object]:
    with install(freezer, group="io", **options):
        thread = threading.Thread(target=int)
        thread.start()
    return lambda: finish(thread)


def in_one_without_patches(freezer: Freezer) -> Callable[[], object]:
    return in_an_installation(freezer, patch=False)


@pytest.mark.parametrize(
    "begin",
    [
        in_a_thread,
        in_a_pool,
        in_an_installation,
        pytest.param(in_one_without_patches, marks=needs_monitoring),
    ],
)
def test_a_freeze_before_a_started_thread_is_enrolled_is_no_mistake(
    freezer: Freezer,
    begin: Callable[[Freezer], Callable[[], object]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go = threading.Event()
    before(monkeypatch, Registry, "enter", lambda *_: wait_for(go))
    end = begin(freezer)
    with freezer.freeze(group="io", timeout=WAIT) as world:
        assert not world.threads
    go.set()
    end()
    assert not caplog.records


def test_a_second_start_is_refused_and_changes_nothing(freezer: Freezer) -> None:
    with running(freezer) as thread:
        before = dict(vars(thread))
        with pytest.raises(RuntimeError, match="threads can only be started once"):
            thread.start()
        assert vars(thread) == before
    with pytest.raises(RuntimeError, match="threads can only be started once"):
        thread.start()


def test_nothing_of_ours_is_left_in_a_thread_that_runs(freezer: Freezer) -> None:
    """No cycle of references, which would keep it, and what it refers to, for the collector."""
    with running(freezer) as thread:
        assert "run" not in vars(thread)
        assert thread.run.__func__ is threading.Thread.run  # type: ignore[attr-defined]


def test_a_run_of_its_own_stays_with_the_thread(freezer: Freezer) -> None:
    ran = threading.Event()
    thread = with_a_run_of_its_own(freezer, ran.set)
    run = vars(thread)["run"]
    thread.start()
    finish(thread)
    assert ran.is_set()
    assert vars(thread)["run"] is run
