# /// script
# dependencies = ["dask"]
# ///
"""Dask, on its pool of threads."""

from __future__ import annotations

import dask

dask.config.set(scheduler="threads", num_workers=4)


@dask.delayed
def total(number: int) -> int:
    return sum(range(number))


for turn in range(5):
    parts = [total(number + turn) for number in range(200)]
    print("turn", turn, "sum", sum(dask.compute(*parts)))
