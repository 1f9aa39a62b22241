"""The kernel's cgroup v2 freezer tests that name a number: tools/testing/selftests/cgroup."""

from __future__ import annotations

from freezethreads._ground.arguments import Where
from freezing import looping
from helpers import WAIT
from peers.looking import check_still, freezer_of, frozen_groups, witness


def simple(threads: int, where: Where = "safepoint") -> None:
    """Hold so many looping threads and let them go."""
    freezer = freezer_of("simple", where)
    with looping(freezer, threads, "a") as loops, witness() as others:
        assert frozen_groups(freezer) == []
        with freezer.hold(group="a", timeout=WAIT):
            assert frozen_groups(freezer) == ["a"] * threads
            check_still(loops, others)
        assert frozen_groups(freezer) == []
        loops.progress()
    assert freezer.threads() == ()
