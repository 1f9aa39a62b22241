"""What a process says of its freezers, in JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from freezethreads import Freezer, Site, Straggler, ThreadInfo
from freezethreads._controller.standing import standing
from freezethreads._ground.deadline import monotonic

__all__ = ["describe_freezer", "describe_process", "describe_straggler", "describe_threads"]

_LONGEST_COMMAND = 100  # words


def describe_process(freezers: Mapping[str, Freezer]) -> dict[str, Any]:
    """What the process is, with each of its freezers that are served."""
    described = [describe_freezer(freezer) for freezer in freezers.values()]
    return {
        "pid": os.getpid(),
        "command": sys.orig_argv[:_LONGEST_COMMAND],
        "python": sys.version.partition(" ")[0],
        "free_threaded": "free-threading" in sys.version,
        "threads": sum(one["threads"] for one in described),
        "state": _most(one["state"] for one in described),
        "freezers": described,
    }


def describe_freezer(freezer: Freezer) -> dict[str, Any]:
    """Its threads counted, and the worlds and holds that are asked for or stand, in order.

    `seconds` is how long each has stood, or that it is asked for.
    """
    now = monotonic()
    freezes = [
        {
            "kind": freeze.kind,
            "group": freeze.group,
            "reason": freeze.reason,
            "by": freeze.thread.name,
            "state": "frozen" if freeze.stands else "freezing",
            "threads": len(freeze.members),
            "seconds": now - (freeze.stood_at or freeze.asked_at),
        }
        for freeze in standing(freezer)
        if not freeze.done
    ]
    state = _most(str(one["state"]) for one in freezes)
    threads = len(freezer.threads())
    return {"name": freezer.name, "threads": threads, "state": state, "freezes": freezes}


def _most(states: Iterable[str]) -> str:
    """The state of many: whoever looks wants to know that something stands."""
    found = set(states)
    return next((state for state in ("frozen", "freezing") if state in found), "running")


def describe_threads(threads: Iterable[ThreadInfo]) -> list[dict[str, Any]]:
    """One thread each. `seconds` is how long it has been at its site, None if it runs."""
    return [_describe_thread(info, monotonic()) for info in threads]


def _describe_thread(info: ThreadInfo | Straggler, now: float) -> dict[str, Any]:
    return {
        "name": info.name,
        "ident": info.ident,
        "native_id": info.native_id,
        "state": info.state.value,
        "group": info.group,
        "site": _describe_site(info.site),
        "seconds": None if info.since is None else max(0.0, now - info.since),
        "todo_pending": info.todo_pending,
    }


def describe_straggler(straggler: Straggler) -> dict[str, Any]:
    """A thread that did not stop, and what may tell why."""
    stack = [[frame.filename, frame.lineno, frame.name, frame.line] for frame in straggler.stack]
    return {
        **_describe_thread(straggler, monotonic()),
        "stack": stack,
        "moving": straggler.moving,
        "in_no_freeze": straggler.in_no_freeze,
        "waits_for": straggler.waits_for,
        "last_site": _describe_site(straggler.last_site),
        "last_seen": straggler.last_seen,
        "text": str(straggler),
    }


def _describe_site(site: Site | None) -> dict[str, Any] | None:
    return None if site is None else asdict(site)
