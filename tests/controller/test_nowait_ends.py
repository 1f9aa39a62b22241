"""What was asked for in steps ends: given up, too late, without its thread, or in an error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from freezethreads import FreezeError, Freezer, FreezeTimeout, LeaseExpired, State, World
from freezethreads._controller.controller import Controller
from freezethreads._controller.nowait import FreezeRequest
from freezing import actor, before, left_at_rest, looping, puppet, puppets
from helpers import WAIT, start
from in_steps import Request


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    with left_at_rest() as freezer:
        yield freezer


def test_a_request_can_be_given_up_by_any_thread(freezer: Freezer) -> None:
    with puppets(freezer, "", "") as (stands, runs):
        request = Request(freezer, timeout=None)
        assert request.poll() is None
        standing = stands.tell(freezer.safepoint)
        start(request.close).finish()
        standing.result(WAIT)
        with pytest.raises(FreezeError, match="given up"):
            request.poll()
        runs.do(freezer.safepoint)


def test_its_thread_can_be_stopped_again_whoever_gave_the_request_up(freezer: Freezer) -> None:
    over = threading.Event()
    with puppets(freezer, "", "") as (mine, other):
        request = mine.do(Request, freezer)
        assert mine.do(request.poll) is None
        with pytest.raises(FreezeTimeout) as caught:
            freezer.hold(timeout=0)
        assert [each.ident for each in caught.value.stragglers if each.in_no_freeze] == [
            mine.worker.ident
        ]
        request.close()
        with pytest.raises(FreezeTimeout) as caught:
            freezer.freeze(timeout=0)
        assert len(caught.value.stragglers) == 2
        assert not any(each.in_no_freeze for each in caught.value.stragglers)
        passing = [thread.pass_safepoints(over) for thread in (mine, other)]
        with freezer.freeze(timeout=WAIT) as world:
            over.set()
            assert [info.state for info in world.threads] == [State.FROZEN] * 2
        for future in passing:
            future.result(WAIT)


def test_a_request_given_up_before_its_turn_keeps_nobody(freezer: Freezer) -> None:
    with actor() as other:
        world = other.do(freezer.freeze)
        request = Request(freezer)
        assert request.poll() is None
        request.close()
        other.do(world.thaw)
    freezer.freeze(timeout=0).thaw()


def test_a_request_given_up_as_it_is_armed_leaves_nothing_armed(freezer: Freezer) -> None:
    """Given up by another thread between the look at the turn and the arming."""
    with puppet(freezer), pytest.MonkeyPatch.context() as patch:
        request = Request(freezer)
        before(patch, Controller, "_arm", lambda *_: start(request.close).finish())
        with pytest.raises(FreezeError, match="given up"):
            request.poll()


def test_stragglers_are_named_at_the_deadline(freezer: Freezer) -> None:
    with puppets(freezer, "", "") as (stands, runs):
        request = Request(freezer, timeout=0)
        with pytest.raises(FreezeTimeout) as caught:
            request.poll()
        assert len(caught.value.stragglers) == 2
        stands.do(freezer.safepoint)
        runs.do(freezer.safepoint)
        assert freezer.statistics().timeouts == 1


def test_the_deadline_passes_while_another_has_the_turn(freezer: Freezer) -> None:
    with actor() as other:
        world = other.do(freezer.freeze)
        with pytest.raises(FreezeTimeout, match="had the freezer"):
            Request(freezer, timeout=0).poll()
        other.do(world.thaw)


@pytest.mark.parametrize("stage", ["queued", "armed", "standing"])
def test_the_end_of_the_thread_ends_what_it_asked_for(freezer: Freezer, stage: str) -> None:
    over = threading.Event()
    kept: list[object] = []

    def ask() -> None:
        request = Request(freezer)
        kept.extend([request, request.poll()])

    with actor() as other, puppet(freezer) as thread:
        world = other.do(freezer.freeze, group="nobody") if stage == "queued" else None
        blocked = thread.block(over) if stage == "standing" else None
        start(ask).finish()
        assert isinstance(kept[1], World) == (stage == "standing")
        over.set()
        if world is not None:
            other.do(world.thaw)
        if blocked is not None:
            blocked.result(WAIT)
        thread.do(freezer.safepoint)
        with freezer.freeze(timeout=0, group="nobody"):
            pass
    assert not freezer.armed


def test_the_lease_runs_from_when_all_stand(freezer: Freezer) -> None:
    with looping(freezer, 1) as loops:
        request = Request(freezer, lease=0.05)
        with pytest.raises(LeaseExpired), request.take():
            loops.progress()
        request.close()


def test_a_world_whose_thread_was_given_up_ends_in_an_error(freezer: Freezer) -> None:
    request = Request(freezer)
    world = request.take()
    request.thaw_abandoned("a test says so")
    with pytest.raises(FreezeError, match="given up") as caught, world:
        pass
    assert not isinstance(caught.value, LeaseExpired)
    assert not world.expired
    request.close()


def test_what_raises_when_told_is_logged(
    freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError("no")

    with puppet(freezer) as thread:
        request = FreezeRequest(freezer, fail)
        assert request.poll() is None
        standing = thread.tell(freezer.safepoint)
        while (world := request.poll()) is None:
            start(int).finish()
        world.thaw()
        request.close()
        standing.result(WAIT)
    assert "OSError" in caplog.text


def test_a_blocking_region_is_no_place_to_ask_from(freezer: Freezer) -> None:
    with freezer.register(), freezer.blocking(), pytest.raises(FreezeError, match="region"):
        Request(freezer).poll()


@pytest.mark.parametrize(
    "arguments", [{"timeout": -1}, {"lease": 0}, {"group": ".a"}, {"reason": None}]
)
def test_bad_arguments(freezer: Freezer, arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Request(freezer, **arguments)
    not_callable: Callable[[], object] = None  # type: ignore[assignment]
    with pytest.raises(TypeError):
        FreezeRequest(freezer, not_callable)
