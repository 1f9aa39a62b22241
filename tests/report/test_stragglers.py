"""Stragglers: who did not stop, where it was and how long ago it was seen."""

from __future__ import annotations

import pickle
import threading

import pytest

from freezethreads import Freezer, FreezeTimeout, State, Straggler
from freezethreads._report import stragglers
from freezing import Pause, actor, before, looping, puppet
from helpers import WAIT, wait_for


def stragglers_of(freezer: Freezer, timeout: float = 0.05) -> tuple[Straggler, ...]:
    with pytest.raises(FreezeTimeout) as caught:
        freezer.freeze(timeout=timeout)
    return caught.value.stragglers


def test_a_thread_that_was_never_seen_is_named_with_its_stack() -> None:
    freezer = Freezer()
    release = threading.Event()
    with puppet(freezer, "io") as thread:
        waiting = thread.tell(wait_for, release)
        (late,) = stragglers_of(freezer)
        release.set()
        waiting.result(WAIT)
        assert (late.name, late.ident) == (thread.worker.name, thread.worker.ident)
        assert late.native_id == thread.worker.native_id
    assert (late.state, late.group) == (State.RUNNING, "io")
    assert "wait_for" in [frame.name for frame in late.stack]
    assert "not moving" in str(late)


def test_the_last_site_and_how_long_ago() -> None:
    freezer = Freezer()
    over, release = threading.Event(), threading.Event()
    with puppet(freezer) as thread:
        region = thread.block(over, "poll")
        over.set()
        region.result(WAIT)
        waiting = thread.tell(wait_for, release)
        (late,) = stragglers_of(freezer, timeout=0.1)
        release.set()
        waiting.result(WAIT)
    assert late.last_site is not None
    assert late.last_site.label == "poll"
    assert late.last_seen is not None
    assert 0.1 <= late.last_seen < WAIT
    assert "poll" in str(late)


def test_a_second_look_tells_whether_it_moves() -> None:
    freezer = Freezer()
    stop = threading.Event()

    def one() -> None:
        sum(range(50))

    def compute() -> None:
        while not stop.is_set():
            one()
            len(str(stop))
            sorted([2, 1])

    with puppet(freezer) as thread:
        computing = thread.tell(compute)
        # One look may find it where the other did, by chance.
        moving = any(stragglers_of(freezer)[0].moving for _ in range(50))
        stop.set()
        computing.result(WAIT)
        still = threading.Event()
        waiting = thread.tell(wait_for, still)
        assert not stragglers_of(freezer, timeout=0.2)[0].moving
        still.set()
        waiting.result(WAIT)
    assert moving


def test_no_freeze_is_told_as_the_reason() -> None:
    freezer = Freezer()
    release = threading.Event()
    with puppet(freezer) as thread:
        waiting = thread.wait_in(freezer.no_freeze(), release)
        (late,) = stragglers_of(freezer)
        release.set()
        waiting.result(WAIT)
    assert late.in_no_freeze
    assert "no_freeze()" in str(late)


def test_a_straggler_that_exits_while_the_report_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. the time is out, and the controller looks at who is late
    2. the thread exits
    3. the controller looks for the second time: nobody is late, and the freeze stands
    """
    freezer = Freezer()
    with actor() as controller:
        with puppet(freezer) as thread:
            pause = Pause(controller.worker)
            before(monkeypatch, stragglers, "sleep", pause)
            freezing = controller.tell(freezer.freeze, timeout=0)
            pause.wait()
            thread.do(freezer.unregister)
            pause.go()
            freezing.result(WAIT).thaw()
            thread.registration = thread.do(freezer.register)
        freezer_works(freezer)


def test_the_error_pickles_with_its_stragglers() -> None:
    freezer = Freezer()
    with puppet(freezer), pytest.raises(FreezeTimeout) as caught:
        freezer.freeze(timeout=0, reason="backup")
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.stragglers == caught.value.stragglers
    assert str(error) == str(caught.value)
    assert "backup" in str(error)
    assert "1 of 1 threads" in str(error)


def test_only_the_stragglers_are_named() -> None:
    freezer = Freezer()
    with looping(freezer, 2), puppet(freezer) as thread:
        assert [late.ident for late in stragglers_of(freezer, 0.3)] == [thread.worker.ident]


def freezer_works(freezer: Freezer) -> None:
    assert not freezer.armed
    with looping(freezer, 1, "after"):
        freezer.freeze(timeout=WAIT, group="after").thaw()


def test_who_exits_while_threads_are_listed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    freezer = Freezer()
    with puppet(freezer) as thread:
        record = thread.record
        before(monkeypatch, stragglers, "info_of", lambda _: thread.do(freezer.unregister))
        assert freezer.threads() == ()
        assert record.exited
