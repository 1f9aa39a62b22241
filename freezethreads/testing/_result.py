"""What came of a run, in a form that goes through JSON and back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from freezethreads._ground.original import OwnThread, enumerate_threads
from freezethreads._report.stacks import read_stacks, summary_of
from freezethreads.testing._events import Event


@dataclass(frozen=True)
class Finding:
    """One thing that went wrong: what, in which thread, how many seconds after the beginning, and
    the traceback, if it was raised."""

    what: str
    who: str
    at: float
    trace: str = ""


@dataclass
class Result:
    """What came of one scenario. Times in ``events``, ``worst`` and ``recent`` are seconds on the
    clock that ``began`` is on, too.

    ``steps`` has the steps of each actor that was there from the beginning; ``safepoints`` is None
    if the scenario's freezer does not count them. ``stacks`` and ``events`` are those of all
    threads when the first finding was made, else empty. ``statistics`` is the freezer's
    `Statistics`, ``sites`` the busiest of its `Site` places, ``worst`` a `Timeline` and ``recent``
    the times (armed, stood, thawed) of the last freezes. ``hung`` names the threads that did not
    end.
    """

    scenario: str
    seed: str
    threads: int
    switch_interval: float
    began: float = 0.0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    interrupted: bool = False
    hung: list[str] = field(default_factory=list)
    stacks: dict[str, str] = field(default_factory=dict)
    events: dict[str, list[Event]] = field(default_factory=dict)
    freezes: int = 0
    timeouts: int = 0
    checks: int = 0
    steps: dict[str, int] = field(default_factory=dict)
    all_steps: int = 0
    safepoints: int | None = None
    statistics: dict[str, Any] = field(default_factory=dict)
    sites: list[dict[str, Any]] = field(default_factory=list)
    worst: dict[str, Any] | None = None
    recent: list[tuple[float, float, float]] = field(default_factory=list)
    output: str = ""
    """The last of what the scenario's process has printed."""

    @property
    def passed(self) -> bool:
        """Whether every check held."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` is the way back."""
        return {**dataclasses.asdict(self), "passed": self.passed}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        """Make one of what `as_dict` returned."""
        fields = {name: value for name, value in data.items() if name != "passed"}
        fields["findings"] = [Finding(**finding) for finding in fields["findings"]]
        return cls(**fields)

    def __str__(self) -> str:
        """All that is known of what went wrong, for people."""
        lines = []
        for finding in self.findings:
            lines.append(f"{finding.at:.3f} s, {finding.who}: {finding.what}")
            lines += _indented(finding.trace)
        for name, stack in self.stacks.items():
            lines += [f"the stack of {name} then:", *_indented(stack)]
        for name, events in self.events.items():
            lines.append(f"the last events of {name}:")
            for at, kind, detail in events[-_SHOWN:]:
                lines.append(f"  {at - self.began:.6f} s {kind} {detail}".rstrip())
        if self.output:
            lines += ["what the process printed last:", *_indented(self.output)]
        return "\n".join(lines)


_SHOWN = 12
"""The events of each thread that a person is shown; all of them are in the JSON."""


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]


def stacks() -> dict[str, str]:
    """Where all threads are now, the innermost frame last; those that only look on are left out."""
    threads = {thread.ident: thread for thread in enumerate_threads()}
    found = {}
    for ident, stack in read_stacks().items():
        thread = threads.get(ident)
        if not isinstance(thread, OwnThread):
            name = "a thread" if thread is None else thread.name
            inner = tuple(call for call in stack if "_bootstrap" not in call.name)
            found[f"{name} ({ident})"] = "".join(summary_of(inner).format())
    return found
