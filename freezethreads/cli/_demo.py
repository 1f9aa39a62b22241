"""``freezethreads demo``: what it can be asked."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from freezethreads.cli._parser import count, seconds

__all__ = ["NAME", "SUMMARY", "describe", "run"]

NAME = "demo"
SUMMARY = "index real source code with many threads, checkpointed, and show what freezing does"

DESCRIPTION = """\
Threads tokenize every .py file below a directory, and build one shared index out of several
structures that agree only at safepoints. Every so often all threads are frozen there, the index is
checked, and a checkpoint is saved. After a kill -9, the same command with the same --out goes on
from the last checkpoint, and ends with the same digest. In the end part of the work is done again
with snapshots but without freezing, to compare.
"""
EPILOG = """\
examples:
  freezethreads demo                                 the standard library, within a minute
  freezethreads demo --root src --out index          kill it, run it again, and it goes on
  freezethreads demo --plot freezes.png              a picture of each freeze
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    add = parser.add_argument
    add(
        "--root",
        type=Path,
        metavar="DIR",
        help="index what is below this (default: the standard library)",
    )
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help="directory for the index (default: a temporary one, removed when it is complete)",
    )
    add("--fresh", action="store_true", help="throw away the index that is in --out")
    add("--threads", type=count, metavar="N", default=8, help="number of workers (default: 8)")
    add(
        "--every",
        type=seconds,
        metavar="S",
        default=0.5,
        help="take a snapshot every S seconds (default: 0.5)",
    )
    only = parser.add_mutually_exclusive_group().add_argument
    only("--no-freeze", action="store_true", help="only the run without freezing; nothing is kept")
    only("--no-compare", action="store_true", help="only the run with freezing")
    add("--json", action="store_true", help="print one JSON object, and nothing else")
    add("--plot", type=Path, metavar="FILE", help="draw each freeze into FILE (.png, .svg, .pdf)")
    add("--serve", action="store_true", help="let 'freezethreads ps' and others look at it")
    add("--verbose", action="store_true", help="print a line about each snapshot")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and return the exit status. Raises `WrongUse`."""
    try:
        from freezethreads.cli._run_demo import run_demo  # which no other verb should have to load
    except ModuleNotFoundError as error:
        if error.name not in ("sqlite3", "_sqlite3"):
            raise
        print("freezethreads demo: this Python was built without sqlite3", file=sys.stderr)
        return 1
    return run_demo(arguments)
