"""pending(): regions of one kind, in which the freezes that ask for it stop nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import freezethreads
from freezethreads import FreezeError, Freezer, FreezeTimeout, World, sync
from helpers import WAIT, Worker, start, wait_for, wait_until
from injection import Boom, injections, watching
from machine import needs_monitoring


class Middle:
    """A thread in the middle of a region of `kind`, until told to go on; then it passes safepoints.

    What it does in there is `wait`, over and over.
    """

    def __init__(
        self, freezer: Freezer, kind: str, wait: Callable[[Freezer], None], registered: bool = True
    ) -> None:
        self.freezer = freezer
        self.over, self.end, self.inside = (threading.Event() for _ in range(3))
        self._kind, self._wait = kind, wait
        self.thread: Worker[None] = start(self._register if registered else self._run)
        wait_for(self.inside)

    def _register(self) -> None:
        with self.freezer.register("middle"):
            self._run()

    def _run(self) -> None:
        with self.freezer.pending(self._kind):
            while not self.over.is_set():
                self.inside.set()
                self._wait(self.freezer)
        while not self.end.is_set():
            self.freezer.safepoint()
            sync.sleep(0.0001)

    def close(self) -> None:
        self.over.set()
        self.end.set()
        self.thread.finish()


@contextmanager
def middle(
    freezer: Freezer, kind: str, wait: Callable[[Freezer], None], **more: Any
) -> Iterator[Middle]:
    one = Middle(freezer, kind, wait, **more)
    try:
        yield one
    finally:
        one.close()


def pass_safepoint(freezer: Freezer) -> None:
    freezer.safepoint()
    sync.sleep(0.0001)


def pass_region(freezer: Freezer) -> None:
    with freezer.blocking("io"):
        threading.Event().wait(0.0001)


def wait_freezably(freezer: Freezer) -> None:
    sync.Event().wait(0.0001)


def compute(freezer: Freezer) -> None:
    sum(range(100))


WAYS = [pass_safepoint, pass_region, wait_freezably]
named = pytest.mark.parametrize("wait", WAYS, ids=lambda wait: wait.__name__)


@named
@pytest.mark.parametrize("settled", ["tx", "tx.write", ["other", "tx"]], ids=str)
def test_a_freeze_waits_until_what_it_asks_for_is_settled(
    wait: Callable[[Freezer], None], settled: Any
) -> None:
    freezer = Freezer()
    with middle(freezer, "tx.write", wait) as one:
        with pytest.raises(FreezeTimeout, match=r"it is in pending\('tx.write'\)") as caught:
            freezer.freeze(settled=settled, timeout=0.05)
        assert caught.value.stragglers[0].name == "middle"
        threading.Timer(0.05, one.over.set).start()
        with freezer.freeze(settled=settled, timeout=WAIT) as world:
            assert one.over.is_set()
            assert world.pending == ()


@named
@pytest.mark.parametrize("settled", [(), "tx.read", "t", "tx.write.page"], ids=str)
def test_another_freeze_takes_no_notice(wait: Callable[[Freezer], None], settled: Any) -> None:
    freezer = Freezer()
    with (
        middle(freezer, "tx.write", wait),
        freezer.freeze(settled=settled, timeout=WAIT) as world,
    ):
        (found,) = world.pending
        assert (found.thread.name, found.kind) == ("middle", "tx.write")
        assert found.site.function == "Middle._run"
    assert world.pending == ()


def test_a_hold_and_a_freeze_that_asks_for_more_overlap() -> None:
    """Who stands for the hold in the middle of something does not count for the freeze."""
    freezer = Freezer()
    with middle(freezer, "tx", pass_safepoint) as one:
        hold = freezer.hold(timeout=WAIT)
        with pytest.raises(FreezeTimeout):
            freezer.freeze(settled="tx", timeout=0.05)
        asked: Worker[World] = start(lambda: freezer.freeze(settled="tx", timeout=WAIT))
        wait_until(lambda: len(freezer._registry.active) == 2)
        one.over.set()
        assert asked.is_alive(), "it is held in the middle"
        hold.thaw()
        asked.finish().thaw()


def test_regions_nest_and_may_end_in_another_order() -> None:
    freezer = Freezer()
    outer, inner = freezer.pending("a"), freezer.pending("b.c")
    with freezer.register("me") as registration:
        outer.__enter__()
        inner.__enter__()
        inner.__enter__()
        outer.__exit__(None, None, None)
        inner.__exit__(None, None, None)
        assert [each.kind for each in registration._record.unfinished] == ["b.c"]
        inner.__exit__(None, None, None)
        with pytest.raises(FreezeError, match=r"has not entered pending\('b.c'\)"):
            inner.__exit__(None, None, None)
        assert registration._record.unfinished == []


@pytest.mark.parametrize("value", ["", "a..b", " a", 1, None, b"tx"], ids=repr)
def test_a_kind_is_a_dotted_name(value: Any) -> None:
    freezer = Freezer()
    with pytest.raises((TypeError, ValueError), match="must be a"):
        freezer.pending(value)
    for ask in (freezer.freeze, freezer.hold):
        with pytest.raises((TypeError, ValueError), match="must be a"):
            ask(settled=[value])
    with pytest.raises((TypeError, ValueError), match="must be a"):
        freezer.run_frozen(int, settled=[value])
    assert not freezer.armed


def test_a_world_settles_no_more_than_was_asked_for() -> None:
    freezer = Freezer()
    with freezer.freeze(settled="tx"):
        freezer.freeze(settled="tx.write").thaw()
        with pytest.raises(FreezeError, match="was not asked to find other settled"):
            freezer.freeze(settled="other")


def test_the_module_has_it_for_the_default_freezer() -> None:
    with freezethreads.pending("tx"), freezethreads.register("me"):
        (me,) = freezethreads.default_freezer._registry.records.values()
        assert [each.kind for each in me.unfinished] == ["tx"]
    assert me.unfinished == []


@needs_monitoring
@pytest.mark.parametrize("where", ["unlocked", "anywhere"])
@pytest.mark.parametrize("registered", [True, False], ids=["registered", "stranger"])
@pytest.mark.parametrize("wait", [compute, wait_freezably], ids=lambda wait: wait.__name__)
def test_between_two_bytecodes_it_is_a_section(
    where: Any, registered: bool, wait: Callable[[Freezer], None]
) -> None:
    freezer = Freezer()
    with middle(freezer, "tx", wait, registered=registered) as one:
        with freezer.freeze(where=where, timeout=WAIT) as world:
            assert [each.kind for each in world.pending] == ["tx"]
        with pytest.raises(FreezeTimeout, match=r"pending\('tx'\)"):
            freezer.freeze(where=where, settled="tx", timeout=0.3)
        one.over.set()
        with freezer.freeze(where=where, settled="tx", timeout=WAIT) as world:
            assert world.pending == ()


@needs_monitoring
@pytest.mark.parametrize("registered", [True, False], ids=["registered", "stranger"])
def test_a_loop_is_caught_between_two_of_its_regions(registered: bool) -> None:
    freezer = Freezer()
    busy: list[int] = []
    ready, over = threading.Event(), threading.Event()

    def run() -> None:
        while not over.is_set():
            with freezer.pending("tx"):
                busy.append(1)
                time.sleep(0.0001)
                busy.clear()
            ready.set()

    def enrolled() -> None:
        with freezer.register():
            run()

    thread = start(enrolled if registered else run)
    wait_for(ready)
    try:
        for _ in range(20):
            with freezer.freeze(where="anywhere", settled="tx", timeout=WAIT):
                assert not busy
    finally:
        over.set()
        thread.finish()


def pass_pending(freezer: Freezer) -> None:
    with freezer.pending("tx"):
        freezer.safepoint()


def pass_pending_in_region(freezer: Freezer) -> None:
    with freezer.blocking("io"), freezer.pending("tx"):
        pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("call", [pass_pending, pass_pending_in_region])
def test_an_exception_anywhere_leaves_nothing_unfinished(call: Callable[[Freezer], None]) -> None:
    """But for the end of the `with` block itself, as in `Blocking`."""
    freezer = Freezer()
    hits = 0
    with freezer.register("me") as registration, watching(call):
        record = registration._record
        for injection in injections():
            try:
                with injection:
                    call(freezer)
            except Boom:
                hits += 1
            own = injection.hit is not None and injection.hit[0] == call.__qualname__
            if own and record.unfinished:
                freezer.pending("tx").__exit__(None, None, None)
            if own and record.depth:
                freezer.blocking().__exit__(None, None, None)
            assert record.unfinished == [], injection.hit
            assert (record.depth, record.away) == (0, None), injection.hit
    assert hits > 50
