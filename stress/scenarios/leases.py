"""Controllers that stay too long, and leases that run out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager

from freezethreads import Hold, LeaseExpired, World
from freezethreads.testing import Actor, Role, Scenario, Violation

REST = 0.0005
"""Seconds between two steps of the counters, all together."""
LEASE = 0.003
"""Seconds that a lease lasts, on average."""
GENEROUS = 60.0
"""Seconds of a lease that does not run out."""

logger = logging.getLogger("freezethreads")


class Warnings(logging.Handler):
    """Counts the thaws by a watchdog that were logged, in place of printing them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        if "its lease ran out" in record.getMessage():
            self.count += 1  # called with the handler's lock held


class Leases(Scenario):
    """Worlds and holds whose controllers overstay: the watchdog thaws, and all is told.

    It does not thaw before the lease is over, and then everybody goes on while the controller is
    in its block still. The block ends in `LeaseExpired`, a warning is logged and the thaw counted;
    the next freeze works. A controller that leaves in time hears nothing, and one that leaves
    just when the lease runs out may hear of it or not, but nobody is left frozen.
    """

    def setup(self) -> None:
        self.counters: list[Actor] = []
        self.overstays = [0, 0]
        self.close = [0, 0]
        self.warnings = Warnings()
        self.propagated = logger.propagate
        logger.propagate = False
        logger.addHandler(self.warnings)

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.count, self.threads, group="workers"),
            Role(self.keep, group="keeper"),
        ]

    def count(self, actor: Actor) -> None:
        self.counters.append(actor)
        while not actor.over:
            self.freezer.safepoint("counted")
            actor.pause(REST * self.threads)
            actor.step()

    def control(self, actor: Actor) -> None:
        self.take_lease(actor, 0)

    def keep(self, actor: Actor) -> None:
        """The same as the controller, but registered, so that each can stop the other."""
        while not actor.over:
            self.take_lease(actor, 1)

    def take_lease(self, actor: Actor, index: int) -> None:
        actor.pause(self.pause)
        way = actor.random.choice([self.overstay, self.overstay, self.leave, self.leave_late])
        way(actor, index)
        actor.step()

    def stop(self, actor: Actor, lease: float) -> AbstractContextManager[World | Hold]:
        if actor.random.random() < 0.3:
            timeout = self.freeze_timeout
            return self.freezer.hold(group="workers", timeout=timeout, lease=lease)
        return actor.freeze(lease=lease)

    def overstay(self, actor: Actor, index: int) -> None:
        lease = actor.random.expovariate(1 / LEASE) + 0.0001
        began = time.monotonic()
        try:
            with self.stop(actor, lease) as stopped:
                actor.checks += 1
                while not stopped.expired:
                    time.sleep(0.0005)
                if time.monotonic() - began < lease:
                    raise Violation(f"a lease of {lease} s ran out too early")
                self.wait_for_steps(actor)
        except LeaseExpired:
            self.overstays[index] += 1
        else:
            raise Violation("a lease ran out, and the end of the block does not say so")

    def leave(self, actor: Actor, index: int) -> None:
        with self.stop(actor, GENEROUS) as stopped:
            if isinstance(stopped, World):
                actor.check(stopped)

    def leave_late(self, actor: Actor, index: int) -> None:
        """Leave, most likely, just when the lease runs out."""
        self.close[index] += 1
        lease = actor.random.expovariate(1 / LEASE) + 0.0001
        try:
            with self.stop(actor, lease):
                time.sleep(lease * actor.random.uniform(0.9, 1.1))
        except LeaseExpired:
            pass

    def wait_for_steps(self, actor: Actor) -> None:
        """Wait until all have gone on; the runner ends the run if one does not."""
        before = [(other, other.steps) for other in self.counters]
        while any(other.steps == steps for other, steps in before) and not actor.over:
            actor.pause(0.0005)

    def invariant(self, world: World) -> None:
        if world.expired:
            raise Violation("a world has expired long before its lease ran out")

    def teardown(self) -> None:
        logger.removeHandler(self.warnings)
        logger.propagate = self.propagated
        least = sum(self.overstays)
        most = least + sum(self.close)
        for what, count in (
            ("logged", self.warnings.count),
            ("counted", self.freezer.statistics().lease_expiries),
        ):
            if not least <= count <= most:
                raise Violation(f"{count} leases were {what} as run out, not {least} to {most}")
        self.wait_for_watchdogs()

    def wait_for_watchdogs(self) -> None:
        """One whose world was thawed in time has nothing to wait for."""
        for thread in threading.enumerate():
            if thread.name == "freezethreads-lease":
                thread.join(self.freeze_timeout)
                if thread.is_alive():
                    raise Violation("all is thawed, and a watchdog of a lease waits still")
