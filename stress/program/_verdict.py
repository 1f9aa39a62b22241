"""What comes of a search."""

from __future__ import annotations

from dataclasses import dataclass

from freezethreads.testing import Finding
from stress.program._program import Program


@dataclass
class Verdict:
    """What came of a search. `found_after` and `seconds` are from its beginning."""

    programs: int = 0
    rounds: int = 0
    seconds: float = 0.0
    found_after: float = 0.0
    program: Program | None = None
    """The smallest that has failed."""
    finding: Finding | None = None
    """What was found with it."""
