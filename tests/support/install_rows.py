"""The rows of the table that there are on this Python, and an installation over the originals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import freezethreads
from freezethreads import Freezer
from freezethreads._install._patches import Row
from freezethreads._install._table import TABLE

ROWS = [row for row in TABLE if row.find_owner() is not None]


@contextmanager
def installed(rows: Iterable[Row] = ROWS) -> Iterator[dict[Row, Any]]:
    """An installation, and what was in the place of each row before."""
    before = {row: getattr(row.find_owner(), row.name) for row in rows}
    with freezethreads.install(Freezer("under test")):
        yield before
