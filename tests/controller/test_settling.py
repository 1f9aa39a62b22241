"""A freeze that is to find a kind settled: it waits for what is outstanding, and begins anew."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fork_helpers import Fork, forked
from freezethreads import FreezeError, Freezer, FreezeTimeout, Outstanding, State
from freezethreads._controller import settling
from freezethreads._controller.controller import Controller
from freezethreads._controller.nowait import HoldRequest
from freezethreads.integrations import asyncio_loop
from freezing import actor, after, handing_on, left_at_rest, looping, puppet
from helpers import WAIT, wait_until
from in_steps import Request, passing, wait_until_asked
from machine import needs_monitoring


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    with left_at_rest() as freezer:
        yield freezer


@pytest.fixture
def rpc(freezer: Freezer) -> Outstanding:
    return freezer.outstanding("rpc")


def freeze(freezer: Freezer, **more: Any) -> list[State]:
    with freezer.freeze(settled="rpc", timeout=WAIT, **more) as world:
        return [info.state for info in world.threads]


def hold(freezer: Freezer, **more: Any) -> list[State]:
    with freezer.hold(settled=["rpc", "tx"], timeout=WAIT, **more) as held:
        return [info.state for info in held.threads]


def run_frozen(freezer: Freezer, **more: Any) -> list[State]:
    return freezer.run_frozen(
        lambda: [info.state for info in freezer.threads()], settled="rpc", timeout=WAIT, **more
    )


def request(freezer: Freezer) -> list[State]:
    with Request(freezer, settled="rpc").take() as world:
        return [info.state for info in world.threads]


def hold_request(freezer: Freezer) -> list[State]:
    held = HoldRequest(freezer, settled="rpc", timeout=WAIT)
    while (hold := held.wait(WAIT)) is None:
        pass
    with hold:
        return [info.state for info in hold.threads]


WAYS = [freeze, hold, run_frozen, request, hold_request]
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


def stop_and_finish(freezer: Freezer, outstanding: Outstanding) -> None:
    freezer.safepoint()
    outstanding.done()


def is_waited_for(freezer: Freezer) -> bool:
    return bool(freezer._registry.settling)


@ways
@pytest.mark.parametrize("kind", ["rpc", "rpc.write"])
def test_nobody_is_stopped_before_it_is_done(
    freezer: Freezer, way: Callable[[Freezer], list[State]], kind: str
) -> None:
    outstanding = freezer.outstanding(kind)
    outstanding.add(2)
    with looping(freezer, 1) as loops, actor() as other:
        frozen = other.tell(way, freezer)
        wait_until(lambda: is_waited_for(freezer))
        loops.progress()
        outstanding.done()
        loops.progress()
        assert not freezer._registry.active
        assert not frozen.done()
        outstanding.done()
        assert frozen.result(WAIT) == [State.FROZEN]
        loops.progress()


def test_others_take_no_notice(freezer: Freezer, rpc: Outstanding) -> None:
    rpc.add()
    with looping(freezer, 1):
        freezer.freeze(timeout=WAIT).thaw()
        freezer.freeze(settled="tx", timeout=WAIT).thaw()
        freezer.freeze(settled="rpc.write", timeout=WAIT).thaw()
        assert not is_waited_for(freezer)


@ways
def test_who_can_finish_it_is_let_go_again(
    freezer: Freezer, way: Callable[[Freezer], list[State]], rpc: Outstanding
) -> None:
    """One stands already, and has to finish what the other, who does not, has just added."""
    with puppet(freezer, "one") as one, puppet(freezer, "two") as two, actor() as other:
        frozen = other.tell(way, freezer)
        wait_until_asked(one)
        finished = one.tell(stop_and_finish, freezer, rpc)
        wait_until(lambda: one.record.state is State.FROZEN)
        two.do(rpc.add)
        finished.result(WAIT)
        with passing(freezer, one), passing(freezer, two):
            assert frozen.result(WAIT) == [State.FROZEN] * 2


def test_what_the_last_one_adds_on_its_way_is_seen(freezer: Freezer, rpc: Outstanding) -> None:
    def add_and_stop() -> None:
        rpc._added.append(None)  # without a word to anybody
        freezer.safepoint()
        rpc.done()

    with puppet(freezer) as thread, actor() as other:
        frozen = other.tell(freezer.run_frozen, lambda: rpc.count, settled="rpc", timeout=WAIT)
        wait_until_asked(thread)
        thread.do(add_and_stop)
        with passing(freezer, thread):
            assert frozen.result(WAIT) == 0


@needs_monitoring
@pytest.mark.parametrize("where", ["unlocked", "anywhere"])
def test_between_two_bytecodes_likewise(freezer: Freezer, rpc: Outstanding, where: str) -> None:
    over = threading.Event()

    def add_and_finish() -> None:
        while not over.is_set():
            rpc.add()
            sum(range(200))
            rpc.done()
            sum(range(2000))

    with puppet(freezer) as thread:
        done = thread.tell(add_and_finish)
        for _ in range(20):
            with freezer.freeze(where=where, settled="rpc", timeout=WAIT):  # type: ignore[arg-type]
                assert rpc.count == 0
        over.set()
        done.result(WAIT)


def test_it_says_what_it_has_waited_for(freezer: Freezer, rpc: Outstanding) -> None:
    rpc.add(2)
    freezer.outstanding("job").add()
    with looping(freezer, 1) as loops:
        with pytest.raises(FreezeTimeout, match=r"2 of 'rpc' outstanding after 0\.0") as caught:
            freezer.freeze(settled="rpc", timeout=0.01)
        assert caught.value.stragglers == ()
        assert "have those who add pass safepoints" in str(caught.value)
        with pytest.raises(FreezeTimeout, match="2 of 'rpc' outstanding, 1 of 'job' outstanding"):
            freezer.hold(settled=("rpc", "job"), timeout=0)
        for asked in (Request(freezer, settled="rpc", timeout=0),):
            with pytest.raises(FreezeTimeout, match="2 of 'rpc' outstanding"):
                asked.poll()
        assert freezer.statistics().timeouts == 3
        loops.progress()


def test_it_says_that_there_was_always_more(freezer: Freezer, rpc: Outstanding) -> None:
    """Each time that all stand something is outstanding, and it is done when they are let go."""
    with looping(freezer, 1) as loops, pytest.MonkeyPatch.context() as patch:
        after(patch, Controller, "_arm", lambda *_: rpc.add())
        after(patch, settling, "ask", lambda *_: rpc.done())
        with pytest.raises(FreezeTimeout, match=r"rpc.* outstanding after|was added each time"):
            freezer.freeze(settled="rpc", timeout=0.05)
        loops.progress()


def test_a_straggler_is_named_all_the_same(freezer: Freezer, rpc: Outstanding) -> None:
    with puppet(freezer), pytest.raises(FreezeTimeout, match="1 of 1 threads did not stop"):
        freezer.freeze(settled="rpc", timeout=0.01)


def test_one_would_wait_for_oneself(freezer: Freezer, rpc: Outstanding) -> None:
    with rpc, pytest.raises(FreezeError, match=r"is itself inside outstanding\('rpc'\), and would"):
        freezer.freeze(settled="rpc")


def test_the_controller_counts_as_stopped_while_it_waits(
    freezer: Freezer, rpc: Outstanding
) -> None:
    rpc.add()
    with puppet(freezer, "controllers") as controller:
        frozen = controller.tell(freeze, freezer)
        wait_until(lambda: is_waited_for(freezer))
        with freezer.freeze(timeout=WAIT):
            rpc.done()
            wait_until(lambda: controller.record.state is State.FROZEN)
            assert not frozen.done()
        frozen.result(WAIT)


def test_who_gives_up_is_forgotten(freezer: Freezer, rpc: Outstanding) -> None:
    rpc.add()
    asked = Request(freezer, settled="rpc")
    assert asked.poll() is None
    assert is_waited_for(freezer)
    asked.close()
    assert not is_waited_for(freezer)


def test_what_a_thread_asked_for_ends_with_it(freezer: Freezer, rpc: Outstanding) -> None:
    rpc.add()
    with actor() as other:
        assert other.do(lambda: Request(freezer, settled="rpc").poll()) is None
        assert is_waited_for(freezer)
    wait_until(lambda: not is_waited_for(freezer))


def test_a_hold_that_is_asked_for_in_steps_comes_back(freezer: Freezer, rpc: Outstanding) -> None:
    rpc.add()
    held = HoldRequest(freezer, settled="rpc", timeout=WAIT)
    assert held.wait(0.001) is None
    assert not freezer._registry.active
    rpc.done()
    hold = held.wait(WAIT)
    assert hold is not None
    hold.thaw()


def test_those_who_add_can_be_stopped_before(freezer: Freezer, rpc: Outstanding) -> None:
    with handing_on(freezer, rpc, "producers", "workers"):
        for _ in range(5):
            with (
                freezer.hold(group="producers", timeout=WAIT),
                freezer.freeze(settled="rpc", timeout=WAIT) as world,
            ):
                assert rpc.count == 0
                assert {info.state for info in world.threads} == {State.FROZEN}


def test_a_loop_waits_for_its_own_tasks(freezer: Freezer, rpc: Outstanding) -> None:
    order: list[str] = []

    async def answer(asked: asyncio.Event) -> None:
        with rpc:
            asked.set()
            await asyncio.sleep(0.02)
            order.append("answered")

    async def main() -> None:
        with asyncio_loop.enrol(freezer):
            asked = asyncio.Event()
            task = asyncio.create_task(answer(asked))
            await asked.wait()
            async with asyncio_loop.freeze(freezer, settled="rpc", timeout=WAIT):
                order.append("frozen")
            await task

    asyncio.run(main())
    assert order == ["answered", "frozen"]


def test_a_fork_ends_the_wait_of_a_thread_that_is_gone(freezer: Freezer, rpc: Outstanding) -> None:
    rpc.add()
    with actor() as other:
        frozen = other.tell(freeze, freezer)
        wait_until(lambda: is_waited_for(freezer))

        def body(fork: Fork) -> None:
            fork()

        def check() -> None:
            assert not is_waited_for(freezer)
            assert freeze(freezer) == []

        forked(body, check)
        rpc.done()
        frozen.result(WAIT)
