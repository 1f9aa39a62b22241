"""LTP's cgroup_fj_stress for the freezer: deep, wide and mixed trees, with no thread, one and many.

Its numbers are 1_200 (deep), 200_1 (wide), 2_9, 3_3, 4_4 and 10_3.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from freezethreads._ground.arguments import Where
from machine import ANYWHERE
from peers import trees


@pytest.mark.parametrize("where", ["safepoint", ANYWHERE])
@pytest.mark.parametrize("populate", [trees.stress_empty, trees.stress_one, trees.stress_each])
@pytest.mark.parametrize(
    ("wide", "deep"), [(1, 12), (12, 1), (2, 3), (3, 2)], ids=["deep", "wide", "2_3", "3_2"]
)
def test_cgroup_fj_stress(
    populate: Callable[[int, int, Where], None], wide: int, deep: int, where: Where
) -> None:
    """Each group of the tree is held and thawed: none of it is lost, and nobody is held by less."""
    populate(wide, deep, where)
