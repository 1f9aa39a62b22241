"""The kernel's cgroup v2 freezer selftests: a tree of groups."""

from __future__ import annotations

from contextlib import ExitStack

from freezethreads._ground.arguments import Where
from freezing import looping
from helpers import WAIT
from peers.looking import check_still, freezer_of, frozen_groups, witness


def test_tree(where: Where) -> None:
    """test_cgfreezer_tree: a/{b/{c,d},e/{f,g/h},i,k}, with processes in c, in h and three in k.

    A hold of b, f and g freezes c and h, one of a the rest; without the first three all stay
    frozen, and without that of a they run.
    """
    freezer = freezer_of("tree", where)
    with ExitStack() as stack:
        places = {"a.b.c": 1, "a.e.g.h": 1, "a.k": 3}
        c, h, k = [
            stack.enter_context(looping(freezer, count, group)) for group, count in places.items()
        ]
        others = stack.enter_context(witness())
        inner = [freezer.hold(group=group, timeout=WAIT) for group in ("a.b", "a.e.f", "a.e.g")]
        assert frozen_groups(freezer) == ["a.b.c", "a.e.g.h"]
        check_still(c, others)
        check_still(h, others)
        k.progress()
        outer = freezer.hold(group="a", timeout=WAIT)
        everyone = ["a.b.c", "a.e.g.h", "a.k", "a.k", "a.k"]
        assert frozen_groups(freezer) == everyone
        for hold in inner:
            hold.thaw()
        assert frozen_groups(freezer) == everyone
        for loops in (c, h, k):
            check_still(loops, others)
        outer.thaw()
        assert frozen_groups(freezer) == []
        for loops in (c, h, k):
            loops.progress()
