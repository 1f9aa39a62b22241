"""Measures what the freezer costs: `tools/bench --help` says how."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import (
    alternatives,
    arrivals,
    dumps,
    freezes,
    marks,
    micro,
    programs,
    report,
    scale,
    waits,
)
from benchmarks.rows import Group, Result, Scale, measure, select

GROUPS: tuple[Group, ...] = (
    *micro.GROUPS,
    *waits.GROUPS,
    *arrivals.GROUPS,
    *freezes.GROUPS,
    *marks.GROUPS,
    *scale.GROUPS,
    *dumps.GROUPS,
    *alternatives.GROUPS,
)


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, write the JSON, compare. A limit that is missed is no failure."""
    options = parse(arguments)
    if options.table:
        print("\n".join(report.table([report.read(path) for path in options.table])))
        return 0
    groups = select(programs.GROUPS if options.programs else GROUPS, options.only)
    if not groups:
        sys.exit(f"no row has {' or '.join(options.only)} in its name")
    before = None if options.compare is None else report.read(options.compare)
    size = Scale(options.rounds, options.quick)
    environment = report.facts(size)
    # Of two outputs that go to one place the JSON alone is left.
    table = sys.stderr if options.json == "-" else sys.stdout
    print(report.head(environment), file=table, flush=True)
    results: list[Result] = []
    for result in measure(groups, size):
        results.append(result)
        print(report.line(result), file=table, flush=True)
    if options.json is not None:
        write(json.dumps(report.as_json(environment, results), indent=1), options.json)
    if before is None:
        return 0
    lost = report.lost(before, results)
    print("\n".join(["", *lost] if lost else ["", "no row lost more than 5 %"]), file=table)
    return 1 if lost else 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="tools/bench",
        description="Measure what the freezer costs, each row as a ratio of two things measured in "
        "turns: the median of the rounds' ratios, their quartiles, what the ratio must be at most "
        "and what it is to be, and the medians of both sides.",
    )
    parser.add_argument("--json", metavar="FILE", help="write all rounds there; - is the output")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="default: 9")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="the rows with NAME in their names"
    )
    parser.add_argument(
        "--programs",
        action="store_true",
        help="whole programs, under install() and under run --unpatched, against plain Python",
    )
    parser.add_argument(
        "--compare",
        metavar="FILE",
        help="show the rows that have lost more than 5 %% against what --json wrote there, and "
        "have the exit status be 1 if there are any",
    )
    parser.add_argument(
        "--table",
        nargs="+",
        default=[],
        metavar="FILE",
        help="measure nothing: print a table in Markdown of what --json wrote, a column for each",
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes and one round: shows only that it works"
    )
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds takes a number from 1 on")
    return options


def write(text: str, destination: str) -> None:
    """Write `text` to a file, or to the output if that is `-`."""
    if destination == "-":
        print(text)
    else:
        Path(destination).write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
