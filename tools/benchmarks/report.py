"""How results are shown: as a table for people, and as JSON with every round for machines."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.rows import Result, Scale

_NOTABLE = 0.05
_HEAD = f"{'what':<68} {'ratio':>8} {'quartiles':>17} {'must':>5} {'aim':>5}  verdict"


def facts(scale: Scale) -> dict[str, Any]:
    """The interpreter and the machine."""
    return {
        "python": platform.python_version(),
        "build": " ".join(platform.python_build()),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "switch_interval": sys.getswitchinterval(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "platform": platform.platform(),
        "rounds": scale.rounds,
        "quick": scale.tiny,
    }


def head(environment: Mapping[str, Any]) -> str:
    """The lines above the table."""
    gil = "with" if environment["gil"] else "without"
    lines = [
        f"CPython {environment['python']} {gil} GIL, {environment['cores']} cores, "
        f"load {environment['load']}, switch interval {environment['switch_interval']:g} s",
    ]
    if environment["quick"]:
        lines.append("QUICK: a few threads stand for any number; these numbers mean nothing")
    return "\n".join([*lines, "", _HEAD, "-" * len(_HEAD)])


def line(result: Result) -> str:
    """One row of the table."""
    row = result.row
    low, high = map(_number, result.quartiles)
    limits = f"{_limit(row.must):>5} {_limit(row.aim):>5}"
    sides = f"{_amount(result.what, row.unit)} / {_amount(result.against, row.unit)}"
    return (
        f"{row.name:<68} {_number(result.ratio):>8} {f'{low} .. {high}':>17} {limits}  "
        f"{verdict(result):<16} {sides}"
    ).rstrip()


def verdict(result: Result) -> str:
    """Whether the limits are met."""
    if result.row.must is None:
        return "(information)"
    if not result.meets(result.row.must):
        return "must MISSED"
    return "met, aim too" if result.meets(result.row.aim) else "met, aim MISSED"


def as_json(environment: Mapping[str, Any], results: Sequence[Result]) -> dict[str, Any]:
    """All there is to know. What was given up or has no ratio is null."""
    return {"environment": dict(environment), "rows": [_row_as_json(each) for each in results]}


@dataclass(frozen=True)
class Earlier:
    """What a run was that wrote its results: where, and the ratio and quartiles of each row."""

    where: str
    ratios: Mapping[str, float]
    quartiles: Mapping[str, Sequence[float | None]]


def read(path: str) -> Earlier:
    """An earlier run, from what its --json wrote. Ends the program if that is none."""
    try:
        found = json.loads(Path(path).read_text())
        gil = "" if found["environment"]["gil"] else " without GIL"
        rows = [row for row in found["rows"] if row["ratio"] is not None]
        return Earlier(
            f"CPython {found['environment']['python']}{gil}",
            {row["name"]: row["ratio"] for row in rows},
            {row["name"]: row["quartiles"] for row in rows},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{path}: not what --json writes: {error!r}")


def table(runs: Sequence[Earlier]) -> list[str]:
    """The lines of a table in Markdown: a row for each that one of the runs has, in their order."""
    names = dict.fromkeys(name for run in runs for name in run.ratios)
    lines = [f"| what | {' | '.join(run.where for run in runs)} |", "|---" * (len(runs) + 1) + "|"]
    for name in names:
        lines.append(f"| {name} | {' | '.join(_cell(run, name) for run in runs)} |")
    return lines


def _cell(run: Earlier, name: str) -> str:
    if name not in run.ratios:
        return ""
    low, high = (math.inf if value is None else value for value in run.quartiles[name])
    return f"{_number(run.ratios[name])} ({_number(low)} .. {_number(high)})"


def lost(before: Earlier, results: Sequence[Result]) -> list[str]:
    """A line for each row whose ratio is worse than before by more than `_NOTABLE`."""
    lines = []
    for result in results:
        old = before.ratios.get(result.row.name)
        if old is not None and result.ratio > old * (1 + _NOTABLE):
            change = "gave up" if math.isinf(result.ratio) else f"{result.ratio / old - 1:+.0%}"
            lines.append(
                f"{result.row.name}: {_number(old)} before, {_number(result.ratio)} now ({change})"
            )
    return lines


def _row_as_json(result: Result) -> dict[str, Any]:
    row = result.row
    return {
        "name": row.name,
        "ratio": _finite(result.ratio),
        "quartiles": [_finite(value) for value in result.quartiles],
        "must": row.must,
        "aim": row.aim,
        "meets_must": result.meets(row.must),
        "meets_aim": result.meets(row.aim),
        "what": row.what,
        "against": row.against,
        "unit": row.unit,
        "what_by_round": [_finite(value) for value in result.what],
        "against_by_round": [_finite(value) for value in result.against],
        "ratio_by_round": [_finite(value) for value in result.ratios],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "gave up"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _limit(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _amount(values: Sequence[float], unit: str) -> str:
    """The median with its unit."""
    middle = statistics.median(values)
    if not math.isfinite(middle):
        return "never"
    if unit != "s":
        return f"{middle:.0f} {unit}"
    for name, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if middle * factor >= 1:
            return f"{middle * factor:.3g} {name}"
    return f"{middle * 1e9:.3g} ns"
