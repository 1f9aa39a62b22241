"""Promise 2: every frozen thread is at a site; and what `threads()` and `sites()` tell."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from freezethreads import Freezer, Site, State, ThreadInfo
from freezethreads._refrigerator import blocking as blocking_module
from freezing import Pause, actor, at_bell, before, looping, puppet
from helpers import WAIT, wait_for


def site_of(info: ThreadInfo) -> Site:
    assert info.site is not None, f"{info} is nowhere"
    return info.site


def test_a_safepoint_is_a_site() -> None:
    freezer = Freezer()
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            freezer.safepoint("here")

    with puppet(freezer) as thread:
        passing = thread.tell(loop)
        with freezer.freeze(timeout=WAIT) as world:
            site = site_of(world.threads[0])
        stop.set()
        passing.result(WAIT)
    assert (site.label, site.kind, site.filename) == ("here", "safepoint", __file__)
    assert site.lineno == loop.__code__.co_firstlineno + 2
    assert site.function.endswith("test_a_safepoint_is_a_site.<locals>.loop")
    assert f"safepoint 'here' at {__file__}:{site.lineno} in " in str(site)


def test_the_module_and_an_inline_poll_lead_to_the_caller_too() -> None:
    freezer = Freezer()
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            if freezer.armed:
                freezer.safepoint()

    with puppet(freezer) as thread:
        polling = thread.tell(poll)
        with freezer.freeze(timeout=WAIT) as world:
            site = site_of(world.threads[0])
        stop.set()
        polling.result(WAIT)
    assert (site.label, site.lineno) == (None, poll.__code__.co_firstlineno + 3)


@pytest.mark.parametrize("fork_safe", [False, True])
def test_a_blocking_region_is_a_site(fork_safe: bool) -> None:
    freezer = Freezer()
    over, inside = threading.Event(), threading.Event()

    def region() -> None:
        with freezer.blocking("poll", fork_safe=fork_safe):
            inside.set()
            wait_for(over)

    with puppet(freezer) as thread:
        blocked = thread.tell(region)
        wait_for(inside)
        (info,) = freezer.threads()
        assert info.state is State.BLOCKED
        with freezer.freeze(timeout=WAIT) as world:
            (frozen,) = world.threads
            assert frozen.state is State.FROZEN
            assert frozen.site == info.site
        over.set()
        blocked.result(WAIT)
    site = site_of(info)
    assert (site.label, site.kind, site.fork_safe) == ("poll", "blocking", fork_safe)
    assert (site.filename, site.lineno) == (__file__, region.__code__.co_firstlineno + 1)


def test_no_freeze_in_a_region_leaves_the_region_what_it_was() -> None:
    freezer = Freezer()
    with freezer.register(), freezer.blocking("poll"):
        (outside,) = freezer.threads()
        with freezer.no_freeze():
            (inside,) = freezer.threads()
        (again,) = freezer.threads()
    assert (inside.state, inside.site) == (State.RUNNING, None)
    assert site_of(again).label == site_of(outside).label == "poll"
    assert site_of(again).fork_safe is site_of(outside).fork_safe is False


def test_a_frozen_thread_on_its_way_out_of_a_region_is_still_somewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a freeze finds a thread in its region, and stands
    2. the thread takes its marker off, and has not come to the refrigerator
    3. the controller asks where it is
    """
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer) as thread:
        region = thread.block(over, "region")
        pause = Pause(thread.worker)
        before(monkeypatch, blocking_module, "visit", pause)
        with freezer.freeze(timeout=WAIT) as world:
            over.set()
            pause.wait()
            (info,) = world.threads
            pause.go()
            assert info.state is State.FROZEN
            assert site_of(info).label == "region"
        region.result(WAIT)


def test_a_frozen_thread_on_its_way_from_one_hold_to_another_is_still_somewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a thread stands under two holds; the first is thawed
    2. the thread has not woken
    3. the holder of the second asks where it is
    """
    freezer = Freezer()
    stop = threading.Event()
    with puppet(freezer) as thread:
        parked = at_bell(monkeypatch, thread.worker)
        passing = thread.pass_safepoints(stop)
        first, second = freezer.hold(timeout=WAIT), freezer.hold(timeout=WAIT)
        wait_for(parked)
        monkeypatch.setattr(thread.record.parking.bell.__class__, "ring", lambda bell: None)
        first.thaw()
        (info,) = second.threads
        monkeypatch.undo()
        thread.record.parking.bell.ring()
        second.thaw()
        stop.set()
        passing.result(WAIT)
    assert info.state is State.FROZEN
    assert site_of(info).label == "puppet"


def test_a_controller_that_waits_for_its_turn_is_where_it_asked() -> None:
    freezer = Freezer()

    def ask() -> None:
        freezer.run_frozen(lambda: None, timeout=WAIT)

    with puppet(freezer, "controllers") as thread, actor() as other:
        world = freezer.freeze(group="nobody")
        waiting = thread.tell(ask)
        with other.do(freezer.hold, timeout=WAIT, group="controllers") as hold:
            site = site_of(hold.threads[0])
        world.thaw()
        waiting.result(WAIT)
    assert (site.kind, site.filename) == ("blocking", __file__)
    assert site.lineno == ask.__code__.co_firstlineno + 1


def test_nobody_is_ever_frozen_inside_no_freeze() -> None:
    freezer = Freezer()
    stop = threading.Event()
    inside = [False] * 3

    def loop(index: int) -> None:
        with freezer.register():
            while not stop.is_set():
                with freezer.no_freeze():
                    inside[index] = True
                    freezer.safepoint()
                    with freezer.blocking(), freezer.no_freeze():
                        freezer.safepoint()
                    inside[index] = False
                freezer.safepoint()

    workers = [threading.Thread(target=loop, args=(index,)) for index in range(3)]
    for worker in workers:
        worker.start()
    seen = [freezer.run_frozen(inside.copy, timeout=WAIT) for _ in range(100)]
    stop.set()
    for worker in workers:
        worker.join(WAIT)
    assert not any(map(any, seen))


def test_sites_counts_who_was_stopped_where() -> None:
    freezer = Freezer()
    over = threading.Event()
    with looping(freezer, 3), puppet(freezer) as thread:
        region = thread.block(over, "region")
        for _ in range(4):
            freezer.freeze(timeout=WAIT).thaw()
        over.set()
        region.result(WAIT)
    loop, blocking = freezer.sites()
    assert (loop.label, loop.hits) == ("loop", 12)
    assert (blocking.label, blocking.hits) == ("region", 4)


def test_thread_info_tells_who_and_since_when() -> None:
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer, "io.disk") as thread:
        (running,) = freezer.threads()
        assert (running.state, running.site, running.since) == (State.RUNNING, None, None)
        begin = time.monotonic()
        region = thread.block(over)
        end = time.monotonic()
        future = freezer.todo(running, int)
        (info,) = freezer.threads()
        over.set()
        region.result(WAIT)
        assert future.result(WAIT) == 0
        assert "obey" in str(running.stack())
        worker = thread.worker
    assert (info.name, info.ident, info.native_id) == (worker.name, worker.ident, worker.native_id)
    assert (info.group, info.todo_pending) == ("io.disk", 1)
    assert info.since is not None
    assert begin <= info.since <= end
    assert not running.stack()
    assert freezer.threads() == ()


def test_a_region_is_as_unsafe_for_a_fork_as_what_is_in_it() -> None:
    freezer = Freezer()
    with freezer.register(), freezer.blocking("outer", fork_safe=True):
        (before,) = freezer.threads()
        with freezer.blocking("inner"):
            (inside,) = freezer.threads()
    assert before.site is not None
    assert inside.site is not None
    assert before.site.fork_safe
    assert not inside.site.fork_safe
    assert inside.site.label == "outer"


@pytest.mark.parametrize("label", [5, b"poll"])
def test_a_label_that_is_no_string_is_shown_as_one(label: Any) -> None:
    freezer, over = Freezer(), threading.Event()

    def loop() -> None:
        while not over.is_set():
            freezer.safepoint(label)

    with puppet(freezer) as thread:
        passing = thread.tell(loop)
        with freezer.freeze(timeout=WAIT) as world:
            (info,) = world.threads
            assert info.site is not None
            assert info.site.label == str(label)
        over.set()
        passing.result(WAIT)
