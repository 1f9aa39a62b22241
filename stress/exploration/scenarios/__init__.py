"""The scenarios, by what they are about. Each has filled its part of the table."""

from __future__ import annotations

from stress.exploration._stage import SCENARIOS
from stress.exploration.scenarios import calls, forks, interruptions, members, thaws

__all__ = ["FAMILIES", "SCENARIOS"]

FAMILIES = (thaws, calls, members, interruptions, forks)
