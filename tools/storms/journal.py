"""What a run of a suite writes down while it lasts, and what is read from that afterwards.

One line of JSON for each thing that happens, in the order in which it happens. A run that hangs or
crashes leaves what happened before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# From the least to the worst: what is said of a test more than once (by its subtests, or by its
# set-up, its call and its tear-down) counts by the worst.
OUTCOMES = ("skipped", "passed", "xfailed", "xpassed", "failed", "error")
GOOD = frozenset({"skipped", "passed", "xfailed"})

LITTER = "; it left something behind"
"""Follows the outcome of a test that altered its environment: by a thread that is left, mostly."""

DIED = "the process ended in it"
"""The outcome of a test that had begun when its process died or was killed."""


class Journal:
    """Writes the lines. From any thread; in the child of a fork it writes nothing."""

    def __init__(self, path: str) -> None:
        # The tests may replace what is in `os`.
        self._write, self._getpid = os.write, os.getpid
        self._pid = os.getpid()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, **entry: object) -> None:
        """Write one line: in one call, so that the lines of two threads do not mix."""
        if self._getpid() == self._pid:
            self._write(self._file, json.dumps(entry).encode() + b"\n")


@dataclass
class Account:
    """What one process has written: its tests, and the freezes that it went through."""

    outcomes: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    """What a test that failed has to say."""
    struck: set[str] = field(default_factory=set)
    """The tests in which at least one freeze stood."""
    stood: list[int] = field(default_factory=list)
    """For each freeze that stood: how many threads stood in it, the main thread apart."""
    waited: list[float] = field(default_factory=list)
    """For each of them: the seconds until all stood."""
    with_locks: int = 0
    """In how many of them some thread stood with a lock, as far as that can be told."""
    main_stood: int = 0
    """In how many of them the main thread stood."""
    stragglers: list[list[str]] = field(default_factory=list)
    """For each freeze that timed out: where the threads were that did not stop."""
    stuck: list[int] = field(default_factory=list)
    """For each time that the freezer was asked: how many threads it had called stuck for good."""
    faults: list[str] = field(default_factory=list)
    """What the freezer itself did wrong."""
    status: int | None = None
    """The exit status that the suite asked for; None if it did not come to its end."""

    def add(self, other: Account) -> None:
        """Take in what a later process has written, which ran other tests."""
        self.outcomes |= other.outcomes
        self.details |= other.details
        self.struck |= other.struck
        self.stood += other.stood
        self.waited += other.waited
        self.with_locks += other.with_locks
        self.main_stood += other.main_stood
        self.stragglers += other.stragglers
        self.stuck += other.stuck
        self.faults += other.faults
        self.status = other.status


def read(path: Path) -> Account:
    """Read what one process has written."""
    account = Account()
    running = ""
    for entry in _entries(path):
        if "begins" in entry:
            running = entry["begins"]
            account.outcomes.setdefault(running, DIED)
        elif "test" in entry:
            _note_outcome(account, entry["test"], entry["outcome"], entry["detail"])
        elif "litters" in entry:
            account.outcomes[entry["litters"]] += LITTER
        elif "ends" in entry:
            running = ""
        else:
            _note_weather(account, entry, running)
    return account


def _note_outcome(account: Account, test: str, outcome: str, detail: str) -> None:
    ranks = {name: rank for rank, name in enumerate((DIED, *OUTCOMES))}
    account.outcomes[test] = max(account.outcomes.get(test, DIED), outcome, key=ranks.__getitem__)
    if detail:
        account.details[test] = account.details.get(test, "") + detail


def _note_weather(account: Account, entry: dict[str, Any], running: str) -> None:
    if "stood" in entry:
        account.stood.append(entry["stood"])
        account.waited.append(entry["waited"])
        account.with_locks += bool(entry["locks"])
        account.main_stood += entry["main"]
        if running:
            account.struck.add(running)
    elif "stragglers" in entry:
        account.stragglers.append(entry["stragglers"])
    elif "stuck" in entry:
        account.stuck.append(entry["stuck"])
    elif "fault" in entry:
        account.faults.append(entry["fault"])
    else:
        account.status = entry["status"]


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):  # the last one may have been cut short with its process
            yield json.loads(line)
