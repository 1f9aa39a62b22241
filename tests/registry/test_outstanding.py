"""outstanding(): what no thread has in its hands, counted exactly, by anybody."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import freezethreads
from fork_helpers import Fork, forked
from freezethreads import FreezeError, Freezer, Outstanding
from helpers import start, wait_for
from injection import Boom, injections, watching


def test_each_kind_has_one_count() -> None:
    freezer = Freezer()
    rpc = freezer.outstanding("rpc")
    assert freezer.outstanding("rpc") is rpc
    assert freezer.outstanding("rpc.write") is not rpc
    assert Freezer().outstanding("rpc") is not rpc
    rpc.add()
    rpc.add(2)
    assert (rpc.count, repr(rpc)) == (3, "<Outstanding 'rpc', 3>")
    rpc.done(3)
    assert rpc.count == 0


def test_a_block_counts_while_it_lasts() -> None:
    rpc = Freezer().outstanding("rpc")
    with rpc:
        with rpc:
            assert rpc.count == 2
        assert rpc.count == 1
    assert rpc.count == 0


def test_the_module_has_it_too() -> None:
    assert freezethreads.outstanding("a.test") is freezethreads.default_freezer.outstanding(
        "a.test"
    )


@pytest.mark.parametrize("n", [True, 1.0, "1", None])
def test_what_is_no_number_is_refused(n: Any) -> None:
    rpc = Freezer().outstanding("rpc")
    for change in rpc.add, rpc.done:
        with pytest.raises(TypeError, match="n must be a whole number, not "):
            change(n)
    assert rpc.count == 0


@pytest.mark.parametrize("n", [0, -1])
def test_a_number_below_one_is_refused(n: int) -> None:
    rpc = Freezer().outstanding("rpc")
    rpc.add()
    for change in rpc.add, rpc.done:
        with pytest.raises(ValueError, match=f"n must be 1 or more, not {n}"):
            change(n)
    assert rpc.count == 1


def test_more_cannot_be_done_than_were_added() -> None:
    rpc = Freezer().outstanding("rpc")
    rpc.add(2)
    with rpc, pytest.raises(ValueError, match="3 of 'rpc' cannot be done: 2 that were added are"):
        rpc.done(3)
    assert rpc.count == 2


def test_a_block_is_left_by_its_own_thread() -> None:
    rpc = Freezer().outstanding("rpc")
    with rpc:
        other = start(rpc.__exit__, None, None, None)
        with pytest.raises(FreezeError, match=r"this thread has not entered outstanding\('rpc'\)"):
            other.finish()
        assert rpc.count == 1
    with pytest.raises(FreezeError, match="has not entered"):
        rpc.__exit__(None, None, None)
    assert rpc.count == 0


@pytest.mark.parametrize(
    ("kind", "error"), [(1, TypeError), ("", ValueError), ("a..b", ValueError)]
)
def test_a_kind_is_a_dotted_name(kind: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="kind must be a dotted name such as 'tx', not "):
        Freezer().outstanding(kind)


def test_nobody_makes_one_by_hand() -> None:
    with pytest.raises(TypeError, match=r"write `freezethreads.outstanding\(kind\)`"):
        Outstanding()  # type: ignore[call-arg]


def test_many_threads_lose_nothing() -> None:
    rpc = Freezer().outstanding("rpc")
    together = threading.Barrier(6)

    def work() -> None:
        together.wait()
        for _ in range(2000):
            rpc.add(2)
            with rpc:
                rpc.done()

    workers = [start(work) for _ in range(6)]
    for worker in workers:
        worker.finish()
    assert rpc.count == 12000
    rpc.done(12000)


def test_a_child_has_the_blocks_of_its_own_thread_alone() -> None:
    freezer = Freezer()
    rpc, end, inside = freezer.outstanding("rpc"), threading.Event(), threading.Event()
    counts: list[int] = []

    def stay() -> None:
        with rpc:
            inside.set()
            wait_for(end)

    def body(fork: Fork) -> None:
        with rpc:
            fork()
            counts.append(rpc.count)
        counts.append(rpc.count)

    def check() -> None:
        assert counts == [1, 0]
        freezer.freeze(settled="rpc", timeout=0).thaw()

    other = start(stay)
    wait_for(inside)
    rpc.add(3)
    try:
        forked(body, check)
    finally:
        end.set()
        other.finish()
    assert (counts, rpc.count) == ([5, 4], 3)


def _enter_and_leave(rpc: Outstanding) -> None:
    with rpc, rpc:
        pass


def test_an_exception_anywhere_leaves_no_block_outstanding() -> None:
    """But for the end of the `with` block itself, as in `Blocking`."""
    rpc = Freezer().outstanding("rpc")
    hits = 0
    with watching(_enter_and_leave):
        for injection in injections():
            try:
                with injection:
                    _enter_and_leave(rpc)
            except Boom:
                hits += 1
            if injection.hit is not None and injection.hit[0] == _enter_and_leave.__qualname__:
                for _ in range(rpc.count):
                    rpc.__exit__(None, None, None)
            assert (rpc.count, rpc._is_own()) == (0, False), injection.hit
    assert hits > 30
