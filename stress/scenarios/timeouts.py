"""Threads that hold back until the time is out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from freezethreads import FreezeTimeout, State, Straggler, World
from freezethreads.testing import Actor, Role, Scenario, Violation

SLUGGARDS = 3
REST = 0.0005
"""Seconds between two steps of the others, all together."""
SHORTEST = 0.01
"""Seconds that the first freezes are given."""


class Gate:
    """Where one sluggard stays while it is closed. The controller closes and opens it."""

    def __init__(self, sluggard: Actor) -> None:
        self.sluggard = sluggard
        self.closed = False
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.way = ""

    def close(self) -> None:
        """Have the sluggard hold back, and wait until it does, or the run is over."""
        self.opened.clear()
        self.reached.clear()
        self.closed = True
        while not (self.reached.wait(0.01) or self.sluggard.over):
            pass

    def open(self) -> None:
        self.closed = False
        self.opened.set()

    def hold_back(self) -> None:
        """By the sluggard."""
        self.reached.set()
        self.opened.wait()


class Timeouts(Scenario):
    """Threads that hold back on purpose, in plain waits, in `no_freeze()` and in todos.

    A freeze of all has to time out then, and to name those threads and no others, each with its
    state and its stack. Nothing stays armed; the others go on at once, although the late ones are
    late still; and these go past their safepoints when they come. Each freeze that follows works.
    """

    may_time_out = True

    def setup(self) -> None:
        self.gates: list[Gate] = []
        self.counters: list[Actor] = []
        self.timeout = SHORTEST
        self.vain = 0

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.count, self.threads, group="workers"),
            Role(self.dawdle, SLUGGARDS, group="sluggards"),
        ]

    def count(self, actor: Actor) -> None:
        self.counters.append(actor)
        while not actor.over:
            self.freezer.safepoint("counted")
            actor.pause(REST * self.threads)
            actor.step()

    def dawdle(self, actor: Actor) -> None:
        gate = Gate(actor)
        self.gates.append(gate)
        ways = [self.stay, self.stay_in_no_freeze, self.stay_in_todo]
        while not actor.over or gate.closed:
            if gate.closed:
                way = actor.random.choice(ways)
                gate.way = way.__name__
                way(gate)
            self.freezer.safepoint("went on")
            actor.pause(REST * SLUGGARDS)
            actor.step()

    def stay(self, gate: Gate) -> None:
        gate.hold_back()

    def stay_in_no_freeze(self, gate: Gate) -> None:
        with self.freezer.no_freeze():
            gate.hold_back()

    def stay_in_todo(self, gate: Gate) -> None:
        self.freezer.todo(gate.sluggard.thread, gate.hold_back)
        self.freezer.safepoint("in a todo")

    def control(self, actor: Actor) -> None:
        actor.pause(self.pause)
        if not self.gates:
            return
        closed = actor.random.sample(self.gates, actor.random.randrange(len(self.gates) + 1))
        try:
            for gate in closed:
                gate.close()
            if actor.over:
                return
            self.freeze_in_vain(actor, closed)
            self.wait_for_steps(actor, self.counters)
            with actor.freeze(group="workers") as world:
                actor.check(world)
        finally:
            for gate in closed:
                gate.open()
        self.wait_for_steps(actor, [gate.sluggard for gate in closed])
        with actor.freeze() as world:
            actor.check(world)
        actor.step()

    def freeze_in_vain(self, actor: Actor, closed: list[Gate]) -> None:
        began = time.monotonic()
        try:
            with actor.freeze(timeout=self.timeout) as world:
                if closed:
                    raise Violation(f"a freeze stood while {self.names(closed)} did not stop")
                actor.check(world)
        except FreezeTimeout as error:
            if time.monotonic() - began < self.timeout:
                raise Violation(
                    f"a freeze was given up before {self.timeout} s had passed"
                ) from error
            self.vain += 1
            self.check_stragglers(error.stragglers, closed)
        if self.freezer.armed and all(gate.way != "stay_in_todo" for gate in closed):
            raise Violation("nobody asks for anything any more, but the freezer is armed")

    def check_stragglers(self, stragglers: Iterable[Straggler], closed: list[Gate]) -> None:
        late = {straggler.name: straggler for straggler in stragglers}
        for gate in closed:
            straggler = late.pop(gate.sluggard.name, None)
            if straggler is None:
                raise Violation(f"{gate.sluggard.name} holds back, and is not among the stragglers")
            if straggler.state is not State.RUNNING or straggler.in_no_freeze != (
                gate.way != "stay"
            ):
                raise Violation(f"a straggler that is held back is called {straggler}")
            if all(frame.name != "hold_back" for frame in straggler.stack):
                raise Violation(f"the stack of {gate.sluggard.name} is not where it holds back")
        if late and self.timeout > self.freeze_timeout:
            raise Violation(f"{', '.join(late)} did not stop within {self.timeout} s")
        if late:
            self.timeout *= 2  # the machine is too busy for so short a time

    def wait_for_steps(self, actor: Actor, others: list[Actor]) -> None:
        """Wait until all these have gone on; the runner ends the run if one does not."""
        before = [(other, other.steps) for other in others]
        while any(other.steps == steps for other, steps in before) and not actor.over:
            time.sleep(0.0005)

    def names(self, gates: Iterable[Gate]) -> str:
        return ", ".join(gate.sluggard.name for gate in gates)

    def invariant(self, world: World) -> None:
        running = [info.name for info in world.threads if info.state is not State.FROZEN]
        if running:
            raise Violation(f"{', '.join(running)} run in a world")

    def teardown(self) -> None:
        counted = self.freezer.statistics().timeouts
        if counted != self.vain:
            raise Violation(f"{self.vain} freezes timed out, and {counted} were counted")
