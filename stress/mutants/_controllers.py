"""Controllers among each other."""

from __future__ import annotations

from freezethreads._controller.controller import Controller
from freezethreads._controller.turns import Turns
from freezethreads._registry.requests import Freeze
from freezethreads._registry.status import Status
from stress.mutants._mutant import breaks, put


@breaks(
    "who has a world, or waits for one to stand, stops for nobody",
    "controllers",
    explored="controller-and-hold",
)
def commander_parks() -> None:
    put(Status, "commands_in", lambda self, registry: False)


@breaks("worlds do not overlap", "controllers", explored="two-worlds")
def worlds_overlap() -> None:
    def take_at_once(self: Turns, freeze: Freeze, *_: object) -> None:
        self._join(freeze)

    put(Turns, "take", take_at_once)


@breaks("who stands frozen passes its turn on", "controllers", explored="controller-and-hold")
def turn_taken_along() -> None:
    put(Turns, "pass_on", lambda self, record, freeze: None)


@breaks("the last user of a world thaws, and nobody before", "controllers", explored="nested")
def inner_thaw_thaws_all() -> None:
    put(Controller, "drop_user", lambda self, freeze, user: self.thaw(freeze))
