"""Several groups between any two bytecodes: who came first, and who has arrived for two of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

import freezethreads
from freezethreads import Freezer
from freezethreads._machine import trap
from freezing import Actor, Puppet, actor, puppet, puppets
from helpers import WAIT, wait_for, wait_until
from machine import needs_monitoring

pytestmark = needs_monitoring


def ask(who: Actor, stop: Callable[..., Any], *groups: str) -> Future[int]:
    """Have the actor stop these groups anywhere, and thaw; returns when the first is asked."""

    def stop_and_thaw() -> int:
        with stop(group=groups, where="anywhere", timeout=WAIT) as stopped:
            return len(stopped.threads)

    before = len(trap.bars)
    stopping = who.tell(stop_and_thaw)
    wait_until(lambda: len(trap.bars) > before)
    return stopping


def stay_out(freezer: Freezer, thread: Puppet, until: threading.Event) -> Future[None]:
    return thread.wait_in(freezer.no_freeze(), until)


def test_of_two_with_all_threads_last_the_one_that_began_first_is_let_be() -> None:
    one, another, over = Freezer(), Freezer(), threading.Event()
    with puppet(one, "a") as a, puppet(another, "b") as b, actor() as first, actor() as second:
        going = [stay_out(one, a, over), stay_out(another, b, over)]
        stopping = [
            ask(first, one.freeze, "a", ""),
            ask(second, another.freeze, "b", ""),
        ]
        over.set()
        for done in stopping:
            assert done.result(2 * WAIT) >= 4
        for each in going:
            each.result(WAIT)


@pytest.mark.parametrize("groups", [["controllers"], ["controllers", ""]])
def test_one_that_has_the_turn_stops_who_began_to_hold_it_meanwhile(groups: list[str]) -> None:
    freezer, over = Freezer(), threading.Event()
    with puppets(freezer, "controllers", "a") as (controller, a), actor() as other:
        going = stay_out(freezer, a, over)
        frozen = ask(controller, freezer.freeze, "a", "")
        held = ask(other, freezer.hold, *groups)
        over.set()
        assert frozen.result(2 * WAIT) >= 3
        assert held.result(2 * WAIT) >= 1
        going.result(WAIT)


def test_one_that_has_the_turn_stops_who_was_about_to_hold_all() -> None:
    freezer, over = Freezer(), threading.Event()
    with puppets(freezer, "a", "b") as (a, b), actor() as controller, actor() as other:
        going = [stay_out(freezer, each, over) for each in (a, b)]
        held = ask(other, freezer.hold, "a", "")
        frozen = ask(controller, freezer.freeze, "b", "")
        over.set()
        assert frozen.result(2 * WAIT) >= 3
        assert held.result(2 * WAIT) >= 3
        for each in going:
            each.result(WAIT)


def wait_for_an_answer(begun: threading.Event, over: threading.Event) -> None:
    begun.set()
    over.wait(WAIT)


def test_what_is_atomic_in_two_of_them_is_pending_once() -> None:
    freezethreads.atomic(wait_for_an_answer, kind="tx")
    freezer, begun, over = Freezer(), threading.Event(), threading.Event()
    with puppet(freezer, "a") as thread:
        waiting = thread.tell(wait_for_an_answer, begun, over)
        wait_for(begun)
        with freezer.freeze(group=["a", ""], where="anywhere", timeout=WAIT) as world:
            assert [one.kind for one in world.pending] == ["tx"]
        over.set()
        waiting.result(WAIT)
