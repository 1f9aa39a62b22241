"""One scenario to be run in a process of its own, and how the two processes talk.

The child reads nothing but the end of its standard input, which tells it to end early: it comes
when the parent asks for that, and when the parent is no more. It writes lines of JSON into a pipe:
``{"progress": ...}`` a few times a second, and ``{"result": ...}`` once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from freezethreads.testing import Plan

MUTANT = "FREEZETHREADS_STRESS_MUTANT"
"""The variable of the environment that tells a scenario's own programs which rule is broken."""


@dataclass(frozen=True)
class Job:
    """What a child has to do: which scenario, from which file (None: one that comes with the
    runner), according to which plan, and with which rule of the freezer broken (None: none)."""

    scenario: str
    plan: Plan
    load: str | None = None
    mutant: str | None = None

    def to_json(self) -> str:
        """For the child's command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """The way back."""
        fields = json.loads(text)
        return cls(**{**fields, "plan": Plan(**fields["plan"])})
