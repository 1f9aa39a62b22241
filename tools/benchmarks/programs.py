"""What whole programs take: under `install()`, and under `run --unpatched`, against plain Python.

Each of `workloads` runs in three processes at once, which are asked in turns. Nobody freezes
meanwhile: it is what a program pays that only might be frozen.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.rows import Group, Row, Sample, Scale
from benchmarks.workloads import WORKLOADS

_SCRIPT = str(Path(__file__).with_name("workloads.py"))
_RUN = ("-m", "freezethreads", "run")

# How each is started, and what a quantity is called.
KINDS: dict[str, Sequence[str]] = {
    "plain": (),
    "under install()": _RUN,
}
if sys.version_info >= (3, 12):
    KINDS["under run --unpatched"] = (*_RUN, "--unpatched")

# The share of the plain throughput that is to be kept under `install()`, by the name's beginning.
_SHARES = {
    "queue": 0.9,
    "SimpleQueue": 0.9,
    "socket": 0.9,
    "http": 0.9,
    "pool": 0.8,
    "logging": 0.8,
    "lock": 0.6,
}


def _limit(name: str) -> float | None:
    share = next((share for begin, share in _SHARES.items() if name.startswith(begin)), None)
    return None if share is None else round(1 / share, 2)


class Program:
    """A process that does what its input asks for, and says how long that took."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()  # its input ends, and so does it

    def time(self, name: str, count: int) -> float:
        """How many seconds that many operations take."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name} {count}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the program ended in the middle of {name!r}: see its error above")
        return float(answer)


@contextmanager
def _programs(name: str, scale: Scale) -> Iterator[Sequence[Sample]]:
    _, count = WORKLOADS[name]
    if scale.tiny:
        count = 24

    def sample(kind: str, program: Program) -> Mapping[str, float]:
        return {kind: program.time(name, count)}

    with ExitStack() as stack:
        yield [
            functools.partial(sample, kind, stack.enter_context(Program([*arguments, _SCRIPT])))
            for kind, arguments in KINDS.items()
        ]


def _group(name: str) -> Group:
    plain, installed, *others = KINDS
    rows = [
        Row(f"{name} {installed}", installed, plain, _limit(name), _limit(name)),
        *[Row(f"{name} {other}", other, plain) for other in others],
    ]
    return Group(rows, functools.partial(_programs, name))


GROUPS = tuple(_group(name) for name in WORKLOADS)
