"""Whom a freeze from outside has caught in the middle of something, perhaps."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from control_programs import runtime as runtime
from freezethreads import Freezer, State, sync
from freezethreads.control import Serving, connect
from freezing import Puppet, looping, puppets
from helpers import HAS_GIL, WAIT, start_own, wait_until
from machine import needs_monitoring

ME = os.getpid()


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("served")


@pytest.fixture(autouse=True)
def serving(runtime: Path, freezer: Freezer) -> Iterator[Serving]:
    with freezer.serve() as serving:
        yield serving
    wait_until(lambda: not freezer.armed)


def caught_by(**what: Any) -> list[tuple[str, str, str]]:
    with connect(ME) as client:
        answer = client.request("freeze", timeout=WAIT, **what)
        return [(one["name"], one["kind"], one["what"]) for one in answer["caught"]]


def wait_inside(region: threading.Lock | nullcontext[None], lock: sync.Lock) -> None:
    with region, lock:
        pass


def is_blocked(thread: Puppet) -> bool:
    return thread.record.state is State.BLOCKED


def test_who_waits_or_holds_a_lock_is_named(freezer: Freezer) -> None:
    """Those who stand at safepoints or in blocking regions are not."""
    lock, over, region = sync.Lock(), threading.Event(), threading.Lock()
    with looping(freezer, 1), puppets(freezer, "", "", "") as (holder, waiter, blocked):
        with lock:
            waits = [holder.tell(wait_inside, region, lock)]
            waits.append(waiter.tell(wait_inside, nullcontext(), lock))
            left = blocked.block(over)
            wait_until(lambda: is_blocked(holder) and is_blocked(waiter))
            caught = caught_by()
        for wait in waits:
            wait.result(WAIT)
        over.set()
        left.result(WAIT)
    assert {name for name, _, _ in caught} == {"puppet"}
    kinds = sorted(kind for _, kind, _ in caught)
    assert kinds == (["section", "wait"] if HAS_GIL else ["wait", "wait"])
    said = sorted(what.partition(" at ")[0] for _, _, what in caught)
    assert said[-1] == "wait 'Lock.acquire'"
    assert said[0] == ("a section of region," if HAS_GIL else "wait 'Lock.acquire'")


@needs_monitoring
def test_where_it_stops_threads_elsewhere_nobody_is(freezer: Freezer) -> None:
    lock = sync.Lock()
    with puppets(freezer, "") as (waiter,):
        with lock:
            wait = waiter.tell(wait_inside, nullcontext(), lock)
            wait_until(lambda: is_blocked(waiter))
            assert start_own(lambda: caught_by(where="anywhere")).finish() == []
        wait.result(WAIT)
