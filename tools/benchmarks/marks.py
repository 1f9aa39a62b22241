"""What it costs that hot functions are marked, as `atomic` or `freezable`, while nobody freezes.

The same program runs in three processes, plain and marked in each way, which are asked in turns.
The plain one knows nothing of this library, and is never frozen.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.programs import Program
from benchmarks.rows import Group, Row, Sample, Scale

_SCRIPT = str(Path(__file__).with_name("hot.py"))
KINDS = ("atomic", "freezable")
_COUNT = 100
_FREEZES = 2  # of each kind, before each sample


@contextmanager
def _programs(scale: Scale, freezes: int) -> Iterator[Sequence[Sample]]:
    count = 2 if scale.tiny else _COUNT

    def sample(kind: str, program: Program) -> Mapping[str, float]:
        if freezes and kind != "plain":
            program.time("freeze", freezes)
        return {kind: program.time("time", count)}

    with ExitStack() as stack:
        yield [
            functools.partial(sample, kind, stack.enter_context(Program([_SCRIPT, kind])))
            for kind in ("plain", *KINDS)
        ]


def _group(when: str, freezes: int) -> Group:
    rows = [
        Row(f"hot functions marked {kind}, {when}", kind, "plain", 1.02, 1.01) for kind in KINDS
    ]
    return Group(rows, functools.partial(_programs, freezes=freezes))


# Before CPython 3.12 a marked function is wrapped.
GROUPS = (
    (_group("before any freeze", 0), _group("between freezes", _FREEZES))
    if sys.version_info >= (3, 12)
    else ()
)
