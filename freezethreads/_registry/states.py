"""The states of a thread, and who may move it. Knows no locks and no threads.

::

             its thread               controller
   RUNNING <----------> BLOCKED <----------------> FROZEN
    |   ^                                            |
    |   +------- controller, at the thaw ------------+   if its own wait is over
    +-- its thread --> EXITED

*RUNNING* may execute the application's code. *BLOCKED* is inside a wait which it has declared
harmless. *FROZEN* is BLOCKED, and may not leave before the thaw.

A thread's state is not stored anywhere: it follows from its word and its `away` (see ``record``),
so that two controllers and the thread itself cannot disagree about it. This table is what such a
move is checked against.
"""

from __future__ import annotations

import enum

from freezethreads._ground.errors import FreezeError


class State(enum.Enum):
    """What a registered thread may do now."""

    RUNNING = "running"
    """It may execute the application's code."""
    BLOCKED = "blocked"
    """It is inside a wait which it has declared harmless, and counts as stopped."""
    FROZEN = "frozen"
    """It is stopped, and may not go on before the thaw."""
    EXITED = "exited"
    """It is no longer registered."""


class Mover(enum.Enum):
    """Who makes a move: the thread itself, or a controller."""

    THREAD = "its own thread"
    CONTROLLER = "a controller"


MOVES: frozenset[tuple[State, State, Mover]] = frozenset(
    {
        (State.RUNNING, State.BLOCKED, Mover.THREAD),
        (State.BLOCKED, State.RUNNING, Mover.THREAD),
        (State.BLOCKED, State.FROZEN, Mover.CONTROLLER),
        (State.FROZEN, State.BLOCKED, Mover.CONTROLLER),
        (State.FROZEN, State.RUNNING, Mover.CONTROLLER),
        (State.RUNNING, State.EXITED, Mover.THREAD),
    }
)


def check_move(old: State, new: State, mover: Mover) -> None:
    """Raise `FreezeError` if the table has no such arrow. Changes nothing."""
    if (old, new, mover) not in MOVES:
        raise FreezeError(
            f"a thread that is {old.name} cannot be made {new.name} by {mover.value}; "
            "nothing was changed"
        )
