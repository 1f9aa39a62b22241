"""Results of the torture runner made by hand, for the tests of what shows them."""

from __future__ import annotations

from typing import Any

from freezethreads.testing import Result

BEGAN = 1000.0
ARMED, STOOD, THAWED = 1000.5, 1000.51, 1000.53
"""One freeze: 10 ms until all stood, thawed 20 ms later."""

HISTOGRAM = {
    "count": 100,
    "total": 0.2,
    "worst": 0.01,
    "buckets": [[2.0**-10, 60], [2.0**-8, 39], [2.0**-6, 1]],
}
"""In seconds: 60 below 0.98 ms, 39 from 1.95 to 3.91 ms, and one of 10 ms."""

SITE = "safepoint 'done' at bank.py:7 in work"
WORST: dict[str, Any] = {
    "controller": "boss",
    "armed": ARMED,
    "stood": STOOD,
    "thawed": THAWED,
    "standing": [
        {"name": "late", "group": "", "kind": "safepoint", "site": SITE, "since": 1000.509},
        {"name": "waiter", "group": "io", "kind": "wait", "site": "wait 'get'", "since": 1000.498},
        {"name": "door", "group": "", "kind": "safepoint", "site": SITE, "since": 1000.5005},
        {"name": "dark", "group": "", "kind": "blocking", "site": "blocking", "since": 1000.501},
    ],
    "lanes": {
        "late": [
            [1000.4, "running", ""],
            [1000.41, "noted", "before what is shown"],
            [1000.4992, "noted", "<here>"],
            [1000.509, "parked", "done"],
            [1000.532, "running", ""],
            [1000.538, "ended", ""],
        ],
        "waiter": [[1000.3, "running", ""], [1000.535, "todo", "look"]],
        "boss": [
            [1000.3, "thawed", ""],
            [1000.4999, "freezing", ""],
            [STOOD, "stood", ""],
            [1000.54, "thawed", ""],
        ],
        "door": [[1000.2, "blocking", ""], [1000.3, "running", ""]],
        "gone": [[1000.41, "running", ""], [1000.42, "ended", ""]],
        "MainThread": [],
    },
}


def passed(scenario: str = "bank", **fields: Any) -> Result:
    """A scenario that has passed."""
    common: dict[str, Any] = {
        "scenario": scenario,
        "seed": "abc",
        "threads": 3,
        "switch_interval": 0.0007,
        "began": BEGAN,
        "seconds": 2.0,
        "findings": [],
        "freezes": 100,
        "checks": 200,
        "timeouts": 1,
        "steps": {"late": 30, "waiter": 12},
        "all_steps": 42,
        "safepoints": 3000,
        "statistics": {
            "lease_expiries": 0,
            "todos_run": 5,
            "time_to_stop": HISTOGRAM,
            "frozen_time": HISTOGRAM,
        },
        "sites": [
            {
                "label": "done",
                "kind": "safepoint",
                "filename": "bank.py",
                "lineno": 7,
                "function": "work",
                "hits": 99,
                "fork_safe": True,
            }
        ],
        "worst": WORST,
        "recent": [(1000.1, 1000.2, 1000.3), (ARMED, STOOD, THAWED)],
    }
    return Result.from_dict({**common, **fields})


def failed(scenario: str = "torn", **fields: Any) -> Result:
    """One in which something was found 0.6 s after the beginning."""
    finding = {"what": "a pair is torn: 1 < 2", "who": "boss", "at": 0.6, "trace": "Traceback ..."}
    events = {
        "late": [[1000.509, "parked", "done"], [1000.532, "running", ""]],
        "boss": [[1000.59, "freezing", ""], [1000.595, "stood", ""]],
        "early": [[1000.58, "running", ""], [1000.591, "parked", "done"]],
        "MainThread": [],
    }
    stacks = {"late (7)": 'File "bank.py", line 7, in work'}
    found = {"findings": [finding], "events": events, "stacks": stacks, "output": "<last words>"}
    return passed(scenario, **{**found, **fields})


def crashed(scenario: str = "crashing") -> Result:
    """One whose process has reported nothing."""
    finding = {"what": "the process has not reported", "who": "the process", "at": 0.0}
    fields = {"scenario": scenario, "seed": "abc", "threads": 3, "switch_interval": 0.005}
    return Result.from_dict({**fields, "findings": [finding]})
