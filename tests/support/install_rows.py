"""The rows of the table that there are on this Python, and what an installation puts there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import freezethreads
from freezethreads import Freezer
from freezethreads._install._patches import Row
from freezethreads._install._table import TABLE

ROWS = [row for row in TABLE if row.find_owner() is not None]
CALLED = [row for row in TABLE if row.name != "io"]  # which is a module

Names = dict[tuple[str, str, str], object]


def names_of_owners() -> Names:
    """Everything in every module and class that the table mentions."""
    found: Names = {}
    for row in TABLE:
        owner = row.find_owner()
        for name, value in vars(owner).items() if owner else ():
            found[row.module, row.owner, name] = value
    return found


def differences(one: Names, other: Names) -> set[str]:
    """The names whose values are not the same objects."""
    nothing = object()
    return {
        ".".join(filter(None, key))
        for key in one.keys() | other.keys()
        if one.get(key, nothing) is not other.get(key, nothing)
    }


@contextmanager
def installed(rows: Iterable[Row] = ROWS) -> Iterator[dict[Row, Any]]:
    """An installation, and what was in the place of each row before."""
    before = {row: getattr(row.find_owner(), row.name) for row in rows}
    with freezethreads.install(Freezer("under test")):
        yield before
