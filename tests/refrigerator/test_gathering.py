"""Who would begin more, while a freeze waits for what is outstanding, waits at its safepoint."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from freezethreads import Freezer, FreezeTimeout, Outstanding, State
from freezethreads._controller.nowait import HoldRequest
from freezethreads._controller.settling import ask_again, seconds_to_wait
from freezethreads._ground import deadline
from freezethreads._ground.deadline import Deadline
from freezethreads._refrigerator import gathering
from freezethreads.integrations import asyncio_loop
from freezing import Actor, Puppet, actor, left_at_rest, puppet, puppets
from helpers import WAIT, start, wait_for, wait_until
from in_steps import Request, passing


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    with left_at_rest() as freezer:
        yield freezer


@pytest.fixture
def rpc(freezer: Freezer) -> Outstanding:
    return freezer.outstanding("rpc")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody goes on because nothing has changed."""
    monkeypatch.setattr(gathering, "_PATIENCE", WAIT)


@contextmanager
def freezing(freezer: Freezer, other: Actor, *stand: Puppet) -> Iterator[None]:
    """A freeze waits in the block for what is outstanding; it stands, and is over, after that, when
    these pass safepoints."""
    frozen = other.tell(lambda: freezer.freeze(settled="rpc", timeout=WAIT).thaw())
    wait_until(lambda: bool(freezer._registry.settling))
    assert not frozen.done()
    yield
    with ExitStack() as stack:
        for thread in stand:
            stack.enter_context(passing(freezer, thread))
        frozen.result(WAIT)


@pytest.mark.usefixtures("patient")
def test_who_adds_waits_until_all_is_done(freezer: Freezer, rpc: Outstanding) -> None:
    with puppet(freezer) as producer, actor() as other:
        producer.do(rpc.add)
        with freezing(freezer, other):
            passed = producer.tell(freezer.safepoint)
            wait_until(lambda: producer.record.state is State.BLOCKED)
            assert not freezer._registry.active
            assert not passed.done()
            rpc.done()
        passed.result(WAIT)


@pytest.mark.usefixtures("patient")
def test_who_finishes_goes_on(freezer: Freezer, rpc: Outstanding) -> None:
    with puppet(freezer) as worker, puppet(freezer) as both, actor() as other:
        rpc.add(4)
        worker.do(rpc.done)
        both.do(rpc.add)
        both.do(rpc.done)
        with freezing(freezer, other, worker, both):
            worker.do(freezer.safepoint)
            both.do(freezer.safepoint)
            worker.do(lambda: rpc.done(3))


@pytest.mark.usefixtures("patient")
def test_who_has_yet_to_begin_goes_on(freezer: Freezer, rpc: Outstanding) -> None:
    with puppet(freezer) as stranger, actor() as other:
        rpc.add()
        with freezing(freezer, other, stranger):
            stranger.do(freezer.safepoint)
            rpc.done()


@pytest.mark.usefixtures("patient")
def test_who_is_in_a_block_goes_on_to_its_end(freezer: Freezer, rpc: Outstanding) -> None:
    with puppet(freezer) as worker, actor() as other:
        worker.do(rpc.__enter__)
        with freezing(freezer, other, worker):
            worker.do(freezer.safepoint)
            worker.do(rpc.__exit__, None, None, None)


@pytest.mark.usefixtures("patient")
def test_what_another_adds_lets_it_go_if_it_finishes(freezer: Freezer, rpc: Outstanding) -> None:
    """It waits since nothing is outstanding, and that has changed."""
    with puppet(freezer) as worker, actor() as other:
        rpc.add()
        with freezing(freezer, other, worker):
            (freeze,) = freezer._registry.settling
            freeze.not_before = Deadline(WAIT)
            worker.do(rpc.done)
            passed = worker.tell(freezer.safepoint)
            wait_until(lambda: worker.record.state is State.BLOCKED)
            rpc.add()
            passed.result(WAIT)
            freeze.not_before = None
            worker.do(rpc.done)


@pytest.mark.usefixtures("patient")
def test_nobody_waits_for_a_freeze_that_waits_for_a_world(
    freezer: Freezer, rpc: Outstanding
) -> None:
    """Neither who has it, nor whom it lets go on."""
    with puppets(freezer, "a", "b") as (controller, goes_on), actor() as other:
        world = controller.do(freezer.freeze, group="others", timeout=WAIT)
        frozen = other.tell(lambda: freezer.freeze(settled="rpc", timeout=WAIT).thaw())
        wait_until(lambda: bool(freezer._registry.settling))
        for thread in (controller, goes_on):
            rpc.add()
            rpc.done()
            thread.do(freezer.safepoint)
        controller.do(world.thaw)
        with passing(freezer, controller), passing(freezer, goes_on):
            frozen.result(WAIT)


@pytest.mark.parametrize("how", ["given up", "time-out"])
@pytest.mark.usefixtures("patient")
def test_a_freeze_that_is_over_lets_it_go(freezer: Freezer, rpc: Outstanding, how: str) -> None:
    rpc.add()
    asked = Request(freezer, settled="rpc", timeout=0.05 if how == "time-out" else WAIT)
    assert asked.poll() is None
    with puppet(freezer) as producer:
        producer.do(rpc.add)
        passed = producer.tell(freezer.safepoint)
        wait_until(lambda: producer.record.state is State.BLOCKED)
        if how == "given up":
            asked.close()
        else:
            wait_until(asked._deadline.passed)
            with pytest.raises(FreezeTimeout):
                asked.poll()
        passed.result(WAIT)


@pytest.mark.usefixtures("patient")
def test_it_makes_a_todo_that_comes_meanwhile(freezer: Freezer, rpc: Outstanding) -> None:
    """Which may be what has to be done before the count is 0."""
    with puppet(freezer) as producer, actor() as other:
        producer.do(rpc.add)
        with freezing(freezer, other, producer):
            passed = producer.tell(freezer.safepoint)
            wait_until(lambda: producer.record.state is State.BLOCKED)
            made = freezer.todo(producer.record.ident, rpc.done)
            rpc.add()
            made.result(WAIT)
            passed.result(WAIT)
            rpc.done()


def test_it_goes_on_when_nothing_happens(
    freezer: Freezer, rpc: Outstanding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may be waiting for it. It waits no more before something has happened."""
    with puppet(freezer) as producer, actor() as other:
        producer.do(rpc.add, 2)
        with freezing(freezer, other):
            monkeypatch.setattr(gathering, "_PATIENCE", 0.001)
            producer.do(freezer.safepoint)
            monkeypatch.setattr(gathering, "_PATIENCE", 3 * WAIT)
            producer.do(freezer.safepoint)
            rpc.done()
            passed = producer.tell(freezer.safepoint)
            wait_until(lambda: producer.record.state is State.BLOCKED)
            rpc.done()
        passed.result(WAIT)


def test_it_does_not_wait_for_a_controller_that_is_stopped(
    freezer: Freezer, rpc: Outstanding
) -> None:
    with puppet(freezer, "controllers") as controller, puppet(freezer, "workers") as worker:
        rpc.add()
        frozen = controller.tell(freezer.freeze, settled="rpc", timeout=WAIT)
        wait_until(lambda: bool(freezer._registry.settling))
        hold = freezer.hold(group="controllers", timeout=WAIT)
        rpc.done()
        worker.do(freezer.safepoint)
        with passing(freezer, worker):
            hold.thaw()
            controller.do(frozen.result(WAIT).thaw)


def test_the_one_who_asks_does_not_wait_for_itself(freezer: Freezer, rpc: Outstanding) -> None:
    with freezer.register():
        rpc.add()
        asked = Request(freezer, settled="rpc")
        assert asked.poll() is None
        freezer.safepoint()
        rpc.done()
        freezer.safepoint()
        asked.take().thaw()


@pytest.mark.usefixtures("patient")
def test_another_group_goes_on(freezer: Freezer, rpc: Outstanding) -> None:
    with puppet(freezer, "producers") as producer:
        producer.do(rpc.add)
        asked = Request(freezer, settled="rpc", group="workers")
        assert asked.poll() is None
        producer.do(freezer.safepoint)
        rpc.done()
        asked.take().thaw()


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_those_who_always_begin_something_stand(
    freezer: Freezer, rpc: Outstanding, threads: int
) -> None:
    """After each safepoint: without this they would never all be found between two."""
    over = threading.Event()

    def work() -> None:
        with freezer.register():
            while not over.is_set():
                freezer.safepoint()
                with rpc:
                    time.sleep(0.0005)

    workers = [start(work) for _ in range(threads)]
    wait_until(lambda: len(freezer.threads()) == threads)
    for _ in range(10):
        with freezer.freeze(settled="rpc", timeout=WAIT):
            assert rpc.count == 0
    over.set()
    for worker in workers:
        worker.finish()


def freeze(freezer: Freezer, seen: Callable[[], None]) -> None:
    with freezer.freeze(settled="rpc", timeout=WAIT):
        seen()


def hold(freezer: Freezer, seen: Callable[[], None]) -> None:
    with freezer.hold(settled="rpc", timeout=WAIT):
        seen()


def hold_in_steps(freezer: Freezer, seen: Callable[[], None]) -> None:
    request = HoldRequest(freezer, settled="rpc", timeout=WAIT)
    while (held := request.wait(WAIT)) is None:
        pass
    with held:
        seen()


def freeze_in_a_loop(freezer: Freezer, seen: Callable[[], None]) -> None:
    async def stop_them() -> None:
        async with asyncio_loop.freeze(freezer, settled="rpc", timeout=WAIT):
            seen()

    asyncio.run(stop_them())


@pytest.mark.parametrize("stop", [freeze, hold, hold_in_steps, freeze_in_a_loop])
def test_those_who_add_before_their_safepoint_stand(
    freezer: Freezer, rpc: Outstanding, stop: Callable[[Freezer, Callable[[], None]], None]
) -> None:
    over, ready = threading.Event(), threading.Event()

    def produce() -> None:
        with freezer.register():
            while not over.is_set():
                rpc.add()
                ready.set()
                freezer.safepoint()
                time.sleep(0.0005)  # where it is asked to stop, and adds before it comes to that

    def finish() -> None:
        with freezer.register():
            while not over.is_set() or rpc.count:
                freezer.safepoint()
                if rpc.count:
                    rpc.done()

    def seen() -> None:
        assert rpc.count == 0

    workers = [start(produce), start(finish)]
    try:
        wait_for(ready)
        for _ in range(10):
            stop(freezer, seen)
    finally:
        over.set()
        for worker in workers:
            worker.finish()


def test_the_pauses_between_tries_grow_and_end(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are followed by tries that ask at once, for as long."""
    now = [0.0]
    monkeypatch.setattr(deadline, "monotonic", lambda: now[0])
    freeze = Request(freezer, settled="rpc")._freeze
    pauses = []
    for _ in range(3000):
        freeze = ask_again(freezer._registry, freeze)
        pause = seconds_to_wait(freeze, 100)
        now[0] += 0.001 if pause == 100 else pause
        pauses += [] if pause == 100 else [pause]
    assert pauses[:4] == pytest.approx([0.002, 0.004, 0.008, 0.016])
    assert pauses[-2:] == pytest.approx([1.0, 1.0])
    assert 2 * sum(pauses) == pytest.approx(now[0], rel=0.5)
