"""Several groups: each stops when the one before stands, and they are let go in reverse."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from freezethreads import FreezeError, Freezer, FreezeTimeout, LeaseExpired, State, World
from freezethreads._controller import controller
from freezethreads._controller.nowait import HoldRequest
from freezethreads._controller.standing import standing
from freezethreads._registry.requests import Freeze
from freezethreads.integrations import asyncio_loop
from freezing import actor, before, handing_on, left_at_rest, looping, puppet, puppets
from helpers import WAIT, wait_until
from in_steps import Request, passing, wait_until_asked
from machine import needs_monitoring

ORDER = ("compute", "io", "log")


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    with left_at_rest() as freezer:
        yield freezer


def names(stopped: Any) -> list[str]:
    return [info.group for info in stopped.threads]


def freeze(freezer: Freezer, **more: Any) -> list[str]:
    with freezer.freeze(timeout=WAIT, **more) as world:
        return names(world)


def hold(freezer: Freezer, **more: Any) -> list[str]:
    with freezer.hold(timeout=WAIT, **more) as held:
        return names(held)


def run_frozen(freezer: Freezer, **more: Any) -> list[str]:
    def look() -> list[str]:
        return [one.group for one in freezer.threads() if one.state is State.FROZEN]

    return freezer.run_frozen(look, timeout=WAIT, **more)


def request(freezer: Freezer, **more: Any) -> list[str]:
    asked = Request(freezer, **{"timeout": WAIT, **more})
    while (world := asked.poll()) is None:
        asked.news.wait(WAIT)  # at the deadline it looks as well
        asked.news.clear()
    with world:
        return names(world)


def hold_request(freezer: Freezer, **more: Any) -> list[str]:
    held = HoldRequest(freezer, timeout=WAIT, **more)
    while (stopped := held.wait(WAIT)) is None:
        pass
    with stopped:
        return names(stopped)


def in_a_loop(freezer: Freezer, **more: Any) -> list[str]:
    async def look() -> list[str]:
        async with asyncio_loop.freeze(freezer, timeout=WAIT, **more) as world:
            return names(world)

    return asyncio.run(look())


WAYS = [freeze, hold, run_frozen, request, hold_request, in_a_loop]
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
Way = Callable[..., list[str]]


@ways
def test_each_is_asked_when_that_before_stands(freezer: Freezer, way: Way) -> None:
    with puppets(freezer, *reversed(ORDER)) as threads, actor() as other:
        threads.reverse()
        frozen = other.tell(way, freezer, group=ORDER)
        going: list[Any] = []
        over = threading.Event()
        for number, thread in enumerate(threads):
            wait_until_asked(thread)
            assert not any(later.record.is_asked for later in threads[number + 1 :])
            assert not frozen.done()
            going.append(thread.pass_safepoints(over))
        assert sorted(frozen.result(WAIT)) == sorted(ORDER)
        over.set()
        for done in going:
            done.result(WAIT)


@ways
def test_they_are_let_go_in_reverse(
    freezer: Freezer, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[bool]] = []

    def look(part: Freeze) -> None:
        if part.members:
            asked.append([record.is_asked_to_stop for record in records])

    with puppets(freezer, *ORDER) as threads:
        records = [thread.record for thread in threads]
        before(monkeypatch, controller, "close_doors", look)
        first, second, third = (passing(freezer, thread) for thread in threads)
        with first, second, third:
            way(freezer, group=list(ORDER))
    assert asked[:3] == [[True, True, False], [True, False, False], [False, False, False]]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the ways give up soon, but not before who can stop has had the time for it."""
    monkeypatch.setitem(globals(), "WAIT", 1)


@ways
@pytest.mark.usefixtures("impatient")
def test_one_that_does_not_stop_has_all_let_go(freezer: Freezer, way: Way) -> None:
    with looping(freezer, 2, "compute") as loops, puppet(freezer, "io.disk"):
        text = r"1 of 1 threads did not stop .* 'compute', 'io', 'log' by .*> at 'io'; everybody"
        with pytest.raises(FreezeTimeout, match=text) as caught:
            way(freezer, group=ORDER)
        (straggler,) = caught.value.stragglers
        assert straggler.state is State.RUNNING
        loops.progress()


def test_all_threads_may_come_last(freezer: Freezer) -> None:
    with looping(freezer, 1, "compute") as some, looping(freezer, 1, "io") as others:
        with freezer.freeze(group=["compute", ""], timeout=WAIT) as world:
            assert sorted(names(world)) == ["compute", "io"]
            assert {info.state for info in world.threads} == {State.FROZEN}
        some.progress()
        others.progress()


def test_others_go_on(freezer: Freezer) -> None:
    with (
        looping(freezer, 1, "compute"),
        looping(freezer, 1, "io"),
        looping(freezer, 1) as others,
        freezer.freeze(group=["compute", "io"], timeout=WAIT),
    ):
        others.progress()


def test_it_counts_as_one_freeze(freezer: Freezer) -> None:
    with looping(freezer, 1, "compute"), looping(freezer, 1, "io"):
        with freezer.freeze(group=["compute", "io"], reason="a picture", timeout=WAIT) as world:
            (one,) = standing(freezer)
            assert repr(one) == "<freeze of groups 'compute', 'io' by MainThread for 'a picture'>"
            assert repr(world) == f"<World of {one!r}, standing>"
        assert freezer.statistics().freezes == freezer.statistics().frozen_time.count == 1


def test_ones_own_world_covers_each(freezer: Freezer) -> None:
    with (
        looping(freezer, 1, "compute"),
        looping(freezer, 1, "io"),
        freezer.freeze(group=["compute", "io"], timeout=WAIT) as world,
    ):
        for group in ("io", "compute.fast", ["io", "compute"]):
            with freezer.freeze(group=group, timeout=0) as inner:
                assert sorted(names(inner)) == sorted(names(world))
        for group in ("", "log", ["io", "log"]):
            with pytest.raises(FreezeError, match=r"does not cover group '(log)?': thaw it"):
                freezer.freeze(group=group)


def test_a_call_runs_in_a_thread_of_any(freezer: Freezer) -> None:
    with (
        looping(freezer, 1, "compute") as some,
        looping(freezer, 1, "io") as others,
        freezer.freeze(group=["compute", "io"], timeout=WAIT) as world,
    ):
        for loops in (some, others):
            (thread,) = loops.threads
            assert world.call(thread, threading.get_ident) == thread.ident
        assert {*some.threads, *others.threads}.isdisjoint(world.unregistered)


def test_what_is_pending_in_any_is_told(freezer: Freezer) -> None:
    with puppets(freezer, "compute", "io") as threads:
        over = [threading.Event() for _ in threads]
        going = [
            thread.tell(wait_pending, freezer, each)
            for thread, each in zip(threads, over, strict=True)
        ]
        with freezer.freeze(group=["compute", "io"], timeout=WAIT) as world:
            assert [one.thread.group for one in world.pending] == ["compute", "io"]
        for each, done in zip(over, going, strict=True):
            each.set()
            done.result(WAIT)


def wait_pending(freezer: Freezer, over: threading.Event) -> None:
    with freezer.pending("tx"), freezer.blocking():
        assert over.wait(WAIT)


def test_who_comes_into_a_group_stops_if_that_is_asked(freezer: Freezer) -> None:
    with puppet(freezer, "io") as late, actor() as other, actor() as newcomer:
        frozen = other.tell(freeze, freezer, group=ORDER)
        wait_until_asked(late)
        registered = newcomer.tell(freezer.register, group="compute")
        wait_until(lambda: State.FROZEN in [one.state for one in freezer.threads()])
        with puppet(freezer, "log") as last:
            assert not last.record.is_asked
            with passing(freezer, late), passing(freezer, last):
                assert sorted(frozen.result(WAIT)) == sorted(ORDER)
        newcomer.do(registered.result(WAIT).__exit__, None, None, None)


def test_who_moves_is_asked_by_its_new_group(freezer: Freezer) -> None:
    with puppet(freezer, "compute") as thread, puppet(freezer, "io") as late, actor() as other:
        frozen = other.tell(freeze, freezer, group=ORDER)
        wait_until_asked(thread)
        stopped = thread.tell(freezer.safepoint)
        wait_until_asked(late)
        thread.registration.move("log")
        stopped.result(WAIT)
        assert not thread.record.is_asked
        with passing(freezer, late):
            wait_until_asked(thread)
            with passing(freezer, thread):
                assert sorted(frozen.result(WAIT)) == ["io", "log"]


@ways
def test_what_is_outstanding_is_waited_for_before_the_last_is_asked(
    freezer: Freezer, way: Way
) -> None:
    jobs = freezer.outstanding("job")
    jobs.add()
    with puppets(freezer, "producers", "workers") as (producer, worker), actor() as other:
        frozen = other.tell(way, freezer, group=["producers", "workers"], settled="job")
        wait_until_asked(producer)
        with passing(freezer, producer):
            wait_until(lambda: bool(freezer._registry.settling))
            assert producer.record.state is State.FROZEN
            assert not worker.record.is_asked
            jobs.done()
            with passing(freezer, worker):
                assert sorted(frozen.result(WAIT)) == ["producers", "workers"]


def test_those_who_add_stand_before_it_waits_for_what_is_outstanding(freezer: Freezer) -> None:
    """What the error advises."""
    jobs = freezer.outstanding("job")
    with handing_on(freezer, jobs, "producers", "workers"):
        for way in WAYS:
            found = way(freezer, group=["producers", "workers"], settled="job")
            assert sorted(found) == ["producers", "workers"]
        with freezer.freeze(group=["producers", ""], settled="job", timeout=WAIT):
            assert jobs.count == 0


@ways
@pytest.mark.usefixtures("impatient")
def test_what_is_never_done_has_all_let_go(freezer: Freezer, way: Way) -> None:
    freezer.outstanding("job").add()
    with looping(freezer, 1, "compute") as loops, looping(freezer, 1, "io") as others:
        with pytest.raises(FreezeTimeout, match="1 of 'job' outstanding"):
            way(freezer, group=["compute", "io"], settled="job")
        loops.progress()
        others.progress()


def test_a_thread_of_one_of_them_freezes_the_others(freezer: Freezer) -> None:
    with puppet(freezer, "compute") as thread, looping(freezer, 1, "compute") as loops:
        assert thread.do(freeze, freezer, group=["compute", "io"]) == ["compute"]
        held = thread.do(freezer.hold, group=["compute", "io"], timeout=WAIT)
        stopped = thread.tell(freezer.safepoint)
        wait_until(lambda: thread.record.state is State.FROZEN)
        assert not stopped.done()
        held.thaw()
        stopped.result(WAIT)
        loops.progress()


def leave(world: World) -> None:
    world.thaw()


def expire(world: World) -> None:
    with pytest.raises(LeaseExpired), world:
        wait_until(lambda: world.expired)


def drop(world: World) -> None:
    del world


@pytest.mark.parametrize("end", [leave, expire, drop], ids=lambda end: end.__name__)
def test_however_it_ends_all_are_let_go(freezer: Freezer, end: Callable[[World], None]) -> None:
    lease = 0.01 if end is expire else None
    with looping(freezer, 1, "compute") as some, looping(freezer, 1, "io") as others:
        end(freezer.freeze(group=["compute", "io"], lease=lease, timeout=WAIT))
        some.progress()
        others.progress()


def test_given_up_while_it_waits_for_the_first(freezer: Freezer) -> None:
    with puppets(freezer, "compute", "io") as (first, _), actor() as other:
        frozen = other.tell(freezer.freeze, group=["compute", "io"], timeout=2 * WAIT)
        wait_until_asked(first)
        (one,) = standing(freezer)
        freezer._controller.thaw_abandoned(one, "given up", "the test says so")
        with pytest.raises(FreezeError, match="was given up, and everybody was let go"):
            frozen.result(WAIT)
        assert not first.record.is_asked


@needs_monitoring
@pytest.mark.parametrize("where", ["unlocked", "anywhere"])
def test_between_two_bytecodes_likewise(freezer: Freezer, where: Any) -> None:
    lock = threading.Lock()

    def compute(over: threading.Event) -> None:
        while not over.is_set():
            with lock:
                sum(range(100))
            time.sleep(0)

    over = threading.Event()
    with puppets(freezer, "compute", "io", "other") as threads:
        going = [thread.tell(compute, over) for thread in threads]
        for way in (freeze, hold, hold_request):
            assert sorted(way(freezer, group=["compute", "io"], where=where)) == ["compute", "io"]
        with freezer.freeze(group=["compute", ""], where="unlocked", timeout=WAIT) as world:
            assert not lock.locked()
            assert world.locks == ()
            stopped = {thread.worker.ident for thread in threads}
            assert stopped <= {info.ident for info in world.threads}
        over.set()
        for done in going:
            done.result(WAIT)


@pytest.mark.parametrize(
    ("group", "error", "says"),
    [
        ((), ValueError, "name a group at least"),
        (5, TypeError, "or a list of such names in the order in which they are to stop, not 5"),
        (b"io", TypeError, "not b'io'"),
        ({"io", "log"}, TypeError, "in the order in which"),
        (["io", 5], TypeError, "must be a dotted name such as 'io.disk', not 5"),
        (["io", "log."], ValueError, "must be a dotted name such as 'io.disk', not 'log.'"),
        (["io", "io"], ValueError, "group 'io' stops with 'io', which comes before it"),
        (["io", "io.disk"], ValueError, "group 'io.disk' stops with 'io'"),
        (["", "io"], ValueError, "group 'io' stops with '', which comes before it: put it first"),
    ],
)
@ways
def test_what_is_no_order_is_refused(
    freezer: Freezer, way: Way, group: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        way(freezer, group=group)


def test_a_group_that_stops_nobody_is_told(
    freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    with looping(freezer, 1, "compute"):
        freeze(freezer, group=["compute", "logs"])
    assert "stops nobody: nobody is in group 'logs', or ever was; there is 'compute'" in caplog.text
