"""One thread of a scenario, and what is noted of what it does."""

from __future__ import annotations

import threading
from _thread import allocate_lock
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

Name: TypeAlias = tuple[int, int]
"""An object: who touched it first, and how many that one had touched first before."""

Cell: TypeAlias = tuple[Name, str]
"""An object, and which part of it: an attribute, or "" for its contents."""

OF_THE_RUN: Final = -2
"""Stands for who has touched it first, if that is nothing of the program's."""


@dataclass(slots=True)
class Step:
    """One access, before which others could have come in: `enabled` are they, as bits."""

    actor: int
    cells: tuple[Cell, ...]
    writes: bool
    enabled: int


@dataclass(slots=True)
class Stretch:
    """What one actor did without a break: its steps from `start` on, and who could have been
    chosen in its place (as bits)."""

    actor: int
    start: int
    choices: int
    forced: bool


class Actor:
    """One thread of a scenario. It makes steps from the curtain to the finale."""

    def __init__(self, index: int, name: str, act: Callable[[], object]) -> None:
        self.index = index
        self.name = name
        self.act = act
        self.turn = allocate_lock()
        self.turn.acquire()
        self.ready: Callable[[], bool] | None = None
        self.seconds: float | None = None
        self.expired = False
        self.begun = False
        self.ended = False
        self.bowed = False
        self.on_stage = False
        self.has_left = False
        self.lost = False
        self.is_main = False
        self.named = 0
        self.error: BaseException | None = None
        self.thread: threading.Thread | None = None

    @property
    def over(self) -> bool:
        """Whether it makes no steps any more."""
        return self.ended or self.lost

    def can_go_on(self) -> bool:
        """Whether it does not wait, or what it waits for has come."""
        return not self.over and (self.ready is None or self.ready())

    def can_expire(self) -> bool:
        """Whether the time of its wait may be up now."""
        return not self.over and self.ready is not None and self.seconds is not None


def of_interest(stack: list[str]) -> list[str]:
    """The lines of a stack without those of the explorer and of `threading`."""
    return [line for line in stack if "_run.py" not in line and "/threading.py" not in line]
