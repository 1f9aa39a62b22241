"""The oracle of most scenarios: something that is in order at each safepoint, and not between."""

from __future__ import annotations

import random

from freezethreads.testing import Violation

LONGEST = 300
"""Turns of a loop for which a pair is torn, at most: some 10 us."""


class Pair:
    """Two numbers, written by one thread, that agree wherever that thread may stand."""

    __slots__ = ("left", "right", "who")

    def __init__(self, who: str) -> None:
        self.who = who
        self.left = 0
        self.right = 0

    def change(self, choices: random.Random) -> None:
        """Tear it, and mend it a moment later. By its own thread, while that may run."""
        self.left += 1
        for _ in range(choices.randrange(LONGEST)):
            pass
        self.right += 1

    def check(self) -> None:
        """Raise `Violation` if it is torn. By whoever has stopped its thread."""
        left, right = self.left, self.right
        if left != right:
            raise Violation(f"the pair of {self.who} is torn: {left} and {right}")
