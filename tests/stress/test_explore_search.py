"""The search leaves nothing out: against all schedules of small programs, by brute force."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import pytest

from stress.exploration._core import ModelLock, modelled
from stress.exploration._search import Explorer
from stress.exploration._stage import Scenario, Stage

VARIABLES = 2

Op: TypeAlias = tuple[str, int]
Program: TypeAlias = tuple[tuple[Op, ...], ...]
"""What each actor does: read or write a variable, acquire or release the lock, or pause."""

Outcome: TypeAlias = tuple[tuple[object, ...], ...]
"""What each actor has read, and what the variables are in the end."""


@pytest.fixture(autouse=True)
def _models() -> Iterator[None]:
    with modelled():
        yield


class Now(NamedTuple):
    """Where a program is: how far each actor has come, and what there is."""

    made: tuple[int, ...]
    read: tuple[tuple[object, ...], ...]
    values: tuple[object, ...]
    locked: bool
    acting: int | None
    used: int


def all_outcomes(program: Program, bound: int) -> set[Outcome]:
    """What can come of it with so many preemptions."""
    nothing: tuple[object, ...] = ()
    todo = [
        Now((0,) * len(program), (nothing,) * len(program), (None,) * VARIABLES, False, None, 0)
    ]
    seen = set(todo)
    outcomes = set()
    while todo:
        now = todo.pop()
        able = [actor for actor in range(len(program)) if can_go_on(program, now, actor)]
        if not able:
            outcomes.add((*now.read, now.values))
            continue
        acting = now.acting if now.acting in able else None
        for actor in able:
            used = now.used + (acting is not None and actor != acting)
            after = perform(program, now._replace(acting=actor, used=used))
            if used <= bound and after not in seen:
                seen.add(after)
                todo.append(after)
    return outcomes


def can_go_on(program: Program, now: Now, actor: int) -> bool:
    """Whether it has not ended, and does not wait for the lock."""
    rest = program[actor][now.made[actor] :]
    return bool(rest) and not (rest[0][0] == "acquire" and now.locked)


def perform(program: Program, now: Now) -> Now:
    """One step of the acting actor."""
    actor = now.acting
    assert actor is not None
    kind, which = program[actor][now.made[actor]]
    made = replaced(now.made, actor, now.made[actor] + 1)
    now = now._replace(made=made)
    if kind == "read":
        return now._replace(read=replaced(now.read, actor, (*now.read[actor], now.values[which])))
    if kind == "write":
        return now._replace(values=replaced(now.values, which, (actor, made[actor])))
    if kind == "pause":
        return now._replace(acting=None)
    return now._replace(locked=kind == "acquire")


def replaced(these: tuple, at: int, new: object) -> tuple:  # type: ignore[type-arg]
    """The same with one thing in another's place."""
    return (*these[:at], new, *these[at + 1 :])


def explored_outcomes(program: Program, bound: int) -> tuple[set[Outcome], int]:
    """What the explorer finds, and in how many schedules."""
    outcomes: set[Outcome] = set()

    def set_stage(stage: Stage) -> None:
        lock = ModelLock()
        values: list[object] = [None] * VARIABLES
        read: list[tuple[object, ...]] = [()] * len(program)

        def act(actor: int) -> None:
            for number, (kind, which) in enumerate(program[actor]):
                if kind == "read":
                    stage.run.touch(values, str(which), False)
                    read[actor] = (*read[actor], values[which])
                elif kind == "write":
                    stage.run.touch(values, str(which), True)
                    values[which] = (actor, number + 1)
                elif kind == "pause":
                    stage.pause()
                elif kind == "acquire":
                    lock.acquire()
                else:
                    lock.release()

        for actor in range(len(program)):
            stage.actor(f"A{actor}", functools.partial(act, actor))

        def note() -> str:
            outcomes.add((*read, tuple(values)))
            return ""

        stage.at_end(note)

    verdict = Explorer(Scenario("a test's", "", set_stage)).explore(bound, math.inf)
    assert verdict.exhausted
    assert not verdict.misfits
    return outcomes, verdict.schedules


def random_program(seed: int) -> Program:
    """A few actors with a few steps each."""
    draw = random.Random(seed)
    actors = draw.choice((2, 3, 3))

    def ops(most: int) -> list[Op]:
        kinds = ("read", "read", "write", "write", "pause")
        return [
            (draw.choice(kinds), draw.randrange(VARIABLES)) for _ in range(draw.randint(1, most))
        ]

    def actor() -> tuple[Op, ...]:
        if draw.random() < 0.4:
            return (*ops(2), ("acquire", 0), *ops(2), ("release", 0), *ops(1))
        return tuple(ops(4))

    return tuple(actor() for _ in range(actors))


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("bound", [0, 1, 2])
def test_whatever_can_happen_is_found(seed: int, bound: int) -> None:
    program = random_program(seed)
    found, _ = explored_outcomes(program, bound)
    assert found == all_outcomes(program, bound)
