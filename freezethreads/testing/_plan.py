"""What is to be done: the numbers that a run is given, and what follows from its seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from freezethreads._ground.arguments import check_count
from freezethreads._ground.deadline import check_seconds

INTERVALS = (0.005, 0.0005, 0.00005)
"""Python's switch intervals in seconds, of which the seed chooses: in each, other things race."""


@dataclass(frozen=True)
class Plan:
    """How long, with how many threads, and which choices are made. Durations in seconds.

    ``freeze_timeout`` is what a freeze is given before it counts as failed, and ``patience`` how
    long a thread may make no step before it counts as hanging. ``switch_interval`` is the
    interpreter's (None: one that the seed chooses). Raises TypeError or ValueError for what is no
    duration above 0, no number of threads from 1 on, or no string.
    """

    seed: str
    seconds: float = 1.0
    threads: int = 8
    freeze_timeout: float = 5.0
    patience: float = 10.0
    switch_interval: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.seed, str):
            raise TypeError(f"seed must be a string, not {self.seed!r}")
        check_count("threads", self.threads)
        for name in ("seconds", "freeze_timeout", "patience", "switch_interval"):
            value = check_seconds(name, getattr(self, name), positive=True)
            if value is None and name != "switch_interval":
                raise TypeError(f"{name} must be a number of seconds, not None")

    def random_of(self, scenario: str, who: str) -> random.Random:
        """The choices of one actor: the same for the same seed, scenario and number."""
        return random.Random(f"{self.seed}/{scenario}/{who}")

    def interval_of(self, scenario: str) -> float:
        """The switch interval for a scenario."""
        if self.switch_interval is not None:
            return self.switch_interval
        return self.random_of(scenario, "switch interval").choice(INTERVALS)


def new_seed() -> str:
    """A seed that nobody has used, short enough to be typed."""
    return f"{random.SystemRandom().randrange(16**6):06x}"
