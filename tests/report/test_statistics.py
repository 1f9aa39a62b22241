"""The counts: what a freezer says that it has done is what it has done."""

from __future__ import annotations

import pytest

from freezethreads import Freezer, FreezeTimeout, LeaseExpired
from freezing import actor, looping, puppet
from helpers import WAIT


def test_a_new_freezer_has_done_nothing() -> None:
    statistics = Freezer().statistics()
    assert (statistics.freezes, statistics.timeouts, statistics.lease_expiries) == (0, 0, 0)
    assert statistics.todos_run == 0
    assert statistics.last_time_to_stop is None
    assert statistics.last_frozen_time is None
    assert statistics.time_to_stop.buckets == ()


def test_worlds_and_holds_are_counted_with_their_times() -> None:
    freezer = Freezer()
    with looping(freezer, 2):
        with freezer.freeze() as world:
            assert freezer.statistics().last_frozen_time is None
        with freezer.freeze(), freezer.freeze():
            pass
        with freezer.hold() as hold:
            pass
        statistics = freezer.statistics()
    assert statistics.freezes == 3
    assert statistics.last_time_to_stop == pytest.approx(hold.waited)
    assert statistics.time_to_stop.count == statistics.frozen_time.count == 3
    assert statistics.time_to_stop.worst >= world.waited
    assert statistics.time_to_stop.total >= world.waited + hold.waited
    for histogram in (statistics.time_to_stop, statistics.frozen_time):
        assert sum(count for _, count in histogram.buckets) == 3
        bounds = [bound for bound, _ in histogram.buckets]
        assert bounds == sorted(set(bounds))
        assert bounds[-1] / 2 <= histogram.worst <= bounds[-1]


def test_a_thaw_that_is_repeated_counts_once() -> None:
    freezer = Freezer()
    with freezer.freeze() as world:
        world.thaw()
        world.thaw()
    assert freezer.statistics().frozen_time.count == 1


def test_every_kind_of_time_out_is_counted() -> None:
    freezer = Freezer()
    with puppet(freezer), actor() as other:
        with pytest.raises(FreezeTimeout):
            freezer.freeze(timeout=0)
        with pytest.raises(FreezeTimeout):
            freezer.hold(timeout=0)
        with freezer.freeze(group="nobody"), pytest.raises(FreezeTimeout):
            other.do(lambda: freezer.freeze(timeout=0))
    statistics = freezer.statistics()
    assert statistics.timeouts == 3
    assert statistics.freezes == 1


def test_a_lease_that_ran_out_is_counted_once() -> None:
    freezer = Freezer()
    world = freezer.freeze(lease=0.01)
    (lease,) = world._freeze.leases
    lease.join(WAIT)
    with pytest.raises(LeaseExpired):
        world.__exit__(None, None, None)
    assert freezer.statistics().lease_expiries == 1
    with freezer.freeze(lease=WAIT):
        pass
    assert freezer.statistics().lease_expiries == 1


def test_todos_are_counted_of_those_who_have_left_too() -> None:
    freezer = Freezer()
    with puppet(freezer) as thread:
        for _ in range(3):
            freezer.todo(thread.worker, int)
        thread.do(freezer.safepoint)
        assert freezer.statistics().todos_run == 3
    assert freezer.statistics().todos_run == 3


def test_many_visits_are_counted_and_do_not_pile_up() -> None:
    freezer = Freezer()
    with puppet(freezer) as thread:
        thread.do(freezer.blocking("wait").__enter__)
        for _ in range(5000):
            with freezer.freeze():
                pass
        assert len(freezer._registry.recorder._places) < 5000
        (site,) = (site for site in freezer.sites() if site.label == "wait")
        assert site.hits == 5000
        thread.do(lambda: freezer.blocking().__exit__(None, None, None))
