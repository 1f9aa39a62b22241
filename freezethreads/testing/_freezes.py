"""Freezes by the actors: whether all stand still in them, and how the worst one went."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from freezethreads import FreezeTimeout, State, World
from freezethreads.testing._events import Event
from freezethreads.testing._scenario import Violation

if TYPE_CHECKING:
    from freezethreads.testing._actor import Actor
    from freezethreads.testing._run import Run

RECENT = 512
"""Freezes whose times are kept."""
BEFORE = 0.01
"""Seconds of each thread's life before the worst freeze that are kept."""


@dataclass(frozen=True)
class Standing:
    """Where one thread stood in a freeze, and when it came there (None: not known)."""

    name: str
    group: str
    kind: str
    site: str
    since: float | None


@dataclass
class Timeline:
    """One freeze in full. All times on one clock, in seconds.

    ``lanes`` has each thread's events, from shortly before the freeze was armed until the next one
    stood: see `freezethreads.testing._events`. A thread without events has ``standing`` at least.
    """

    controller: str
    armed: float
    stood: float
    thawed: float
    standing: list[Standing]
    lanes: dict[str, list[Event]] = field(default_factory=dict)


class Freezes:
    """All freezes of one run that went through `Actor.freeze`.

    Worlds do not overlap, so what is written while all stand is written by one thread at a time.
    """

    def __init__(self, run: Run) -> None:
        self.recent: deque[tuple[float, float, float]] = deque(maxlen=RECENT)
        self.worst: Timeline | None = None
        self._run = run
        self._unfinished: Timeline | None = None

    @contextmanager
    def freeze(self, actor: Actor, **what: Any) -> Iterator[World]:
        """See `Actor.freeze`."""
        freezer = self._run.scenario.freezer
        try:
            world = freezer.freeze(**what)
        except FreezeTimeout:
            actor.timeouts += 1
            raise
        stood = monotonic()
        armed = stood - world.waited
        with world:
            try:
                steps = self._look(world)
                self.finish()
                if self.worst is None or world.waited > self.worst.stood - self.worst.armed:
                    self._note_worst(actor, world, armed, stood)
                yield world
                self._check_stillness(world, steps)
            except Exception as error:
                self._run.fail(actor.name, error)  # while all stand, so that their stacks tell
                raise
            thawed = monotonic()
            self.recent.append((armed, stood, thawed))
            if self.worst is not None and self.worst.stood == stood:
                self.worst.thawed = thawed
        actor.note("thawed")

    def finish(self) -> None:
        """Note what the threads did after the worst freeze; called when the next one stands."""
        worst, self._unfinished = self._unfinished, None
        if worst is not None:
            for ring in self._run.rings.all():
                lane = worst.lanes.setdefault(ring.name, [])
                lane += [event for event in ring.copy() if event[0] > worst.stood]

    def _look(self, world: World) -> dict[Actor, int]:
        """Check that all who are to stand do; return how many steps they have made."""
        infos = world.threads
        running = [info for info in infos if info.state is not State.FROZEN]
        if running and not world.expired:
            names = ", ".join(f"{info.name} is {info.state.name}" for info in running)
            raise Violation(f"the world stands, but {names}")
        idents = {info.ident for info in infos}
        return {
            actor: actor.steps for actor in list(self._run.actors) if actor.thread.ident in idents
        }

    def _check_stillness(self, world: World, steps: dict[Actor, int]) -> None:
        moved = [actor for actor, before in steps.items() if actor.steps != before]
        if moved and not world.expired:
            names = ", ".join(f"{actor.name} made a step" for actor in moved)
            raise Violation(f"all have to stand still until the thaw, but {names}")

    def _note_worst(self, actor: Actor, world: World, armed: float, stood: float) -> None:
        infos = world.threads
        if not infos:
            return  # all have ended on the way, and nothing can be seen in it
        standing = [
            Standing(
                info.name,
                info.group,
                info.site.kind if info.site else "",
                str(info.site or ""),
                info.since,
            )
            for info in infos
        ]
        rings = self._run.rings.all()
        lanes = {ring.name: _since(armed - BEFORE, ring.copy(), stood) for ring in rings}
        self.worst = self._unfinished = Timeline(actor.name, armed, stood, stood, standing, lanes)


def _since(begin: float, events: list[Event], end: float) -> list[Event]:
    """The events from `begin` to `end`, and the one before them."""
    first = next((index for index, event in enumerate(events) if event[0] >= begin), len(events))
    return [event for event in events[max(first - 1, 0) :] if event[0] <= end]
