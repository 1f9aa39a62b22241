# /// script
# dependencies = ["joblib"]
# ///
"""joblib, with its threads."""

from __future__ import annotations

from joblib import Parallel, delayed


def total(number: int) -> int:
    return sum(range(number))


for turn in range(8):
    with Parallel(n_jobs=4, backend="threading") as parallel:
        print("turn", turn, "sum", sum(parallel(delayed(total)(n + turn) for n in range(200))))
