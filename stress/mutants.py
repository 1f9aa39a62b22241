"""Broken freezers: each breaks one rule, at run time, and some scenario has to notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from freezethreads._controller import Controller
from freezethreads._deadline import Deadline
from freezethreads._todo import Freeze


@dataclass(frozen=True)
class Mutant:
    """One rule that is broken: which, how, and the scenarios that have to notice."""

    name: str
    rule: str
    apply: Callable[[], None]
    scenarios: tuple[str, ...]


def _wait_for_nobody() -> None:
    def wait(self: Controller, freeze: Freeze, deadline: Deadline) -> None:
        freeze.stood_at = monotonic()
        self._registry.recorder.stood(freeze.stood_at - freeze.armed_at)

    Controller._wait = wait  # type: ignore[method-assign]


MUTANTS = {
    mutant.name: mutant
    for mutant in (
        Mutant(
            "wait-for-nobody",
            "freeze() returns when all stand",
            _wait_for_nobody,
            ("bank", "pipeline"),
        ),
    )
}
