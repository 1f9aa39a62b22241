"""`Thread`: enrolled from its first line to its last, and the standard one in everything else."""

from __future__ import annotations

import contextvars
import sys
import threading
from typing import Any

import pytest

from fork_helpers import Fork, forked, in_child
from freezethreads import Freezer, State, default_freezer, install
from freezethreads._threads import Thread
from freezing import Pause, after, at_bell, puppet
from helpers import WAIT, wait_for
from thread_helpers import finish, members, running


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("threads")


# Enrolment.


def test_a_thread_is_enrolled_while_it_runs(freezer: Freezer) -> None:
    found: list[dict[str, str]] = []
    thread = Thread("io.disk", lambda: found.append(members(freezer)), "reader", freezer=freezer)
    assert members(freezer) == {}
    thread.start()
    finish(thread)
    assert found == [{"reader": "io.disk"}]
    assert members(freezer) == {}


def test_the_default_freezer_and_its_root_group_are_the_defaults() -> None:
    found: list[dict[str, str]] = []
    thread = Thread(target=lambda: found.append(members(default_freezer)), name="plain")
    thread.start()
    finish(thread)
    assert found == [{"plain": ""}]


def test_it_is_enrolled_under_the_name_that_it_has_when_it_begins(freezer: Freezer) -> None:
    found: list[dict[str, str]] = []
    thread = Thread(target=lambda: found.append(members(freezer)), name="old", freezer=freezer)
    thread.name = "new"
    thread.start()
    finish(thread)
    assert found == [{"new": ""}]


def test_the_arguments_are_those_of_the_standard_thread(freezer: Freezer) -> None:
    got: list[object] = []

    def work(*args: object, **kwargs: object) -> None:
        got.append((args, kwargs))

    thread = Thread(None, work, "named", (1, 2), {"three": 3}, daemon=True, freezer=freezer)
    assert (thread.name, thread.daemon) == ("named", True)
    thread.start()
    finish(thread)
    assert got == [((1, 2), {"three": 3})]


def test_what_the_interpreter_adds_to_the_arguments_is_passed_on(freezer: Freezer) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")
    context = contextvars.copy_context()
    context.run(variable.set, "inside")
    got: list[str] = []

    def make() -> Thread:
        return Thread(target=lambda: got.append(variable.get()), freezer=freezer, context=context)

    if sys.version_info < (3, 14):  # where the standard thread does not have it either
        with pytest.raises(TypeError, match="context"):
            make()
        return
    thread = make()
    thread.start()
    finish(thread)
    assert got == ["inside"]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"freezer": "default"}, TypeError, "freezer must be a freezethreads.Freezer"),
        ({"freezer": Freezer}, TypeError, "freezer must be a freezethreads.Freezer"),
        ({"group": 3}, TypeError, "group must be a dotted name"),
        ({"group": "io..disk"}, ValueError, "group must be a dotted name"),
        ({"unheard_of": 1}, TypeError, "unheard_of"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        Thread(**arguments)


def test_run_called_by_hand_enrols_nobody(freezer: Freezer) -> None:
    found: list[dict[str, str]] = []
    Thread(target=lambda: found.append(members(freezer)), freezer=freezer).run()
    assert found == [{}]


def test_it_goes_its_own_way_where_all_threads_are_enrolled(freezer: Freezer) -> None:
    """As it is told to, with the same freezer; and with both, if it is another one."""
    other = Freezer("other")
    found: list[dict[str, str]] = []

    def look() -> None:
        found.extend((members(freezer), members(other)))

    with install(freezer, group="app"):
        for each in freezer, other:
            thread = Thread("own", look, "new", freezer=each)
            thread.start()
            finish(thread)
    assert found == [{"new": "own"}, {}, {"new": "app"}, {"new": "own"}]
    assert members(freezer) == members(other) == {}


# The end.


def test_an_exception_is_reported_as_usual_by_a_thread_no_longer_enrolled(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, dict[str, str]]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append((args, members(freezer))))

    def fail() -> None:
        raise LookupError("from the target")

    thread = Thread(target=fail, freezer=freezer)
    thread.start()
    finish(thread)
    ((args, enrolled),) = seen
    assert (args.exc_type, str(args.exc_value)) == (LookupError, "from the target")
    assert args.thread is thread
    assert enrolled == {}


# join().


def test_join_counts_as_stopped_for_each_freezer_of_the_caller(freezer: Freezer) -> None:
    other = Freezer("other")
    with puppet(freezer, "joiner") as joiner:
        joiner.do(other.register)
        with running(freezer) as thread:
            joined = joiner.tell(thread.join)
            for each, group in (freezer, "joiner"), (other, ""):
                with each.freeze(group=group) as world:
                    (info,) = world.threads
                    assert info.site is not None
                    assert (info.site.kind, info.site.label) == ("wait", "Thread.join")
                    assert info.site.fork_safe
                    assert info.site.filename.endswith("freezing.py"), "where the caller is, not we"
        joined.result(WAIT)


def test_a_join_that_is_over_during_a_freeze_returns_after_the_thaw(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. The joiner is frozen. 2. What it waits for ends. 3. Its wait in C is over; it stays."""
    with puppet(freezer, "joiner") as joiner:
        over = Pause(joiner.worker)
        with running(freezer) as thread:
            after(monkeypatch, threading.Thread, "join", over)
            joined = joiner.tell(thread.join)
            world = freezer.freeze(group="joiner")
        with world:
            over.wait()
            parked = at_bell(monkeypatch, joiner.worker)
            over.go()
            wait_for(parked)
            assert not joined.done()
        joined.result(WAIT)


def test_join_returns_when_its_time_is_over(freezer: Freezer) -> None:
    with running(freezer) as thread, freezer.register():
        thread.join(0.01)
        thread.join(timeout=-1)
        assert thread.is_alive()


def test_join_raises_what_the_standard_one_raises(freezer: Freezer) -> None:
    raised: list[BaseException] = []

    def join_itself() -> None:
        with pytest.raises(RuntimeError, match="cannot join current thread") as caught:
            thread.join()
        raised.append(caught.value)

    thread = Thread(target=join_itself, freezer=freezer)
    with pytest.raises(RuntimeError, match="cannot join thread before it is started"):
        thread.join()
    thread.start()
    finish(thread)
    assert raised


# Fork.


def test_a_fork_in_such_a_thread(freezer: Freezer) -> None:
    """The child has that thread alone, which is enrolled there until its end, as in the parent."""
    failed: list[BaseException] = []

    def check() -> None:
        assert members(freezer) == {"forking": "io"}
        assert freezer.threads()[0].state is State.RUNNING
        assert not other.is_alive()
        other.join()

    def work() -> None:
        try:
            forked(lambda fork: fork(), check)
        except BaseException as error:  # noqa: BLE001 - the test raises it
            failed.append(error)

    with running(freezer) as other:
        thread = Thread("io", work, "forking", freezer=freezer)
        thread.start()
        finish(thread)
        assert set(members(freezer)) == {other.name}
    assert not failed, failed[0]


def test_a_thread_that_outlives_the_fork_in_the_child(freezer: Freezer) -> None:
    """What a child starts is enrolled there, whatever was about to start in the parent."""
    found: list[dict[str, str]] = []

    def body(fork: Fork) -> None:
        fork()
        if in_child():
            thread = Thread(target=lambda: found.append(members(freezer)), freezer=freezer)
            thread.start()
            finish(thread)

    def check() -> None:
        assert [list(each.values()) for each in found] == [[""]]
        assert members(freezer) == {}

    with running(freezer):
        forked(body, check)
