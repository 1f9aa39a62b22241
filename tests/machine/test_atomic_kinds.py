"""Atomic code of a kind: `pending()` from outside, for the freezes of the second engine."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import freezethreads
from freezethreads import Freezer, FreezeTimeout
from freezethreads._machine.marks import all_marks
from helpers import WAIT, Worker, start, wait_until
from machine import loaded, needs_monitoring, spin

ledger = {"Ann": 0, "Bob": 0}


def transfer() -> None:
    ledger["Ann"] -= 1
    spin()
    ledger["Bob"] += 1


class Waiter:
    """A thread that has come to a wait in `request`, which is called by `handle`."""

    def __init__(self) -> None:
        self.has_come = threading.Event()
        self.answer = threading.Event()
        self.worker: Worker[None] = start(self.handle, name="waiter")
        assert self.has_come.wait(WAIT)

    def handle(self) -> None:
        self.request()

    def request(self) -> None:
        self.has_come.set()
        self.answer.wait(WAIT)

    def finish(self) -> None:
        self.answer.set()
        self.worker.finish()


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    waiter = Waiter()
    yield waiter
    waiter.finish()


@needs_monitoring
def test_a_freeze_that_is_to_find_a_kind_settled_stops_nobody_in_its_code(where: Any) -> None:
    freezethreads.atomic(transfer, kind="tx.write")
    with loaded(one=transfer) as load:
        for _ in range(20):
            with freezethreads.freeze(where=where, settled="tx", timeout=WAIT) as world:
                assert sum(ledger.values()) == 0
                assert world.pending == ()
            load.goes_on()


@needs_monitoring
def test_another_freeze_stops_it_there_and_says_so(waiter: Waiter, where: Any) -> None:
    for kind in "tx.write", "io":
        freezethreads.atomic(Waiter.request, kind=kind)
    freezethreads.atomic("threading:Event", kind="not.seen.by.anybody.below")
    for settled in (), "cache":
        with freezethreads.freeze(where=where, settled=settled, timeout=WAIT) as world:
            found = {pending.kind: pending for pending in world.pending}
            assert found.keys() == {"tx.write", "io", "not.seen.by.anybody.below"}
            pending = found["io"]
            assert pending.thread.name == "waiter"
            assert pending.site is not None
            assert pending.site.function == "Waiter.request"
        assert world.pending == ()


@needs_monitoring
@pytest.mark.parametrize("settled", ["tx", "tx.write", ("cache", "tx")])
def test_who_does_not_come_out_of_it_is_named(
    waiter: Waiter, where: Any, settled: str | tuple[str, ...]
) -> None:
    freezethreads.atomic(Waiter.request, kind="tx.write")
    with pytest.raises(FreezeTimeout, match=r"request, in which 'tx\.write' is pending"):
        freezethreads.freeze(where=where, settled=settled, timeout=0.1)
    waiter.answer.set()
    with freezethreads.freeze(where=where, settled=settled, timeout=WAIT) as world:
        assert world.pending == ()


@needs_monitoring
def test_code_may_be_of_several_kinds_and_atomic_for_all(waiter: Waiter, where: Any) -> None:
    freezethreads.atomic(Waiter.request, kind="io")
    freezethreads.atomic(Waiter.handle, kind="tx")
    for settled in "io", "tx":
        with pytest.raises(FreezeTimeout, match=f"in which '{settled}' is pending"):
            freezethreads.freeze(where=where, settled=settled, timeout=0.1)
    freezethreads.freeze(where=where, settled="cache", timeout=WAIT).thaw()
    freezethreads.atomic(Waiter.request)
    with pytest.raises(FreezeTimeout, match="request, which is atomic"):
        freezethreads.freeze(where=where, settled="cache", timeout=0.1)


@needs_monitoring
def test_where_nothing_is_marked_nothing_is_caught(waiter: Waiter, where: Any) -> None:
    freezethreads.atomic(transfer, kind="tx")
    with freezethreads.freeze(where=where, timeout=WAIT) as world:
        assert world.pending == ()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there it is done without a wrapper")
def test_before_monitoring_it_is_wrapped_in_pending() -> None:
    freezer = Freezer()
    inside, over = threading.Event(), threading.Event()

    @functools.partial(freezer.atomic, kind="tx")
    def move() -> None:
        inside.set()
        while not over.is_set():
            freezer.safepoint()

    def run() -> None:
        with freezer.register():
            move()

    worker = start(run)
    assert inside.wait(WAIT)
    with freezer.freeze(timeout=WAIT) as world:
        assert [pending.kind for pending in world.pending] == ["tx"]
    with pytest.raises(FreezeTimeout, match="tx"):
        freezer.freeze(settled="tx", timeout=0.1)
    over.set()
    worker.finish()


@pytest.mark.parametrize("kind", ["", "tx.", 3])
def test_a_wrong_kind_is_refused_before_anything_is_marked(kind: str) -> None:
    before = all_marks()
    with pytest.raises((TypeError, ValueError), match="kind"):
        freezethreads.atomic(transfer, kind=kind)
    assert all_marks() == before


@needs_monitoring
def test_a_name_of_nothing_is_told_before_a_freeze_that_heeds_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    freezethreads.atomic("nowhere:move", kind="tx")
    freezethreads.freeze(where="anywhere", timeout=WAIT).thaw()
    assert not caplog.records
    freezethreads.freeze(where="anywhere", settled="tx", timeout=WAIT).thaw()
    wait_until(lambda: len(caplog.records) == 1)
    assert "'nowhere:move' is marked as atomic, but" in caplog.text
