"""Stores on a disk that fails, without power, and in processes that are killed."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from freezethreads import World
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress.attack._calls import KILLED, Saving, available
from stress.attack._footprint import Footprint
from stress.attack._saver import STORES, WAYS
from stress.attack._trials import (
    LARGE,
    MANY,
    SAVES,
    SIZE,
    check,
    count_calls,
    each_failure,
    fail,
    kill_later,
    place,
    power_failures,
    record_calls,
    restore,
)

AT_RANDOM = 6
"""Power failures at each moment, besides those that are extreme."""
LATEST = 0.1
"""Seconds from the first save of a program until it is killed, at most."""

logger = logging.getLogger("freezethreads.checkpoint")


class Stores(Scenario):
    """Programs that save, whose writes are lost, torn and reordered, whose calls fail, who die.

    What was said to be durable is loaded then, or something newer; what is loaded was saved, as
    a whole; and the store goes on from there. A call that fails is an error, or none, and leaves
    nothing open. Where there is no strace, programs are killed, and nothing else is done to them.
    """

    def setup(self) -> None:
        logger.disabled = True  # it warns of damage
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # nothing waits for a disk there
        self.folder = Path(tempfile.mkdtemp(prefix="freezethreads-stores-", dir=memory))
        self.counts: Counter[str] = Counter()
        self.begun: dict[Actor, int] = {}
        self.footprint = Footprint()

    def actors(self) -> Iterable[Role]:
        roles = [Role(self.kill)]
        if available():
            roles += [Role(self.fail_power), Role(self.fail_calls)]
        return roles

    def kill(self, actor: Actor) -> None:
        """Kill programs at any moment, again and again at the same path."""
        self.play(actor, self.kills(actor))

    def fail_power(self, actor: Actor) -> None:
        """Write down what a save does, and look at all that a power failure may leave of it."""
        self.play(actor, self.power_failures(actor))

    def fail_calls(self, actor: Actor) -> None:
        """Let each call fail in each way, and kill the program at each."""
        self.play(actor, self.failed_calls(actor))

    def play(self, actor: Actor, attacks: Iterator[str]) -> None:
        """Do one after the other until the run is over; between two of them the thread may stop."""
        while not actor.over:
            self.begun[actor] = actor.steps + 1
            with self.freezer.blocking("attacking"):
                name = next(attacks)
            self.counts[name] += 1  # each name is one thread's own
            self.freezer.safepoint("attacked")
            actor.step()

    def kills(self, actor: Actor) -> Iterator[str]:
        while True:
            kind, way = actor.random.choice([*STORES]), actor.random.choice(WAYS)
            with place(self.folder) as path:
                for _ in range(actor.random.randrange(1, 6)):
                    later = actor.random.uniform(0, LATEST)
                    kill_later(Saving(kind, way, path, MANY, LARGE), later)
                    check(kind, path, f"a kill after {later:.3f} s, {way}")
                    yield "kills"

    def power_failures(self, actor: Actor) -> Iterator[str]:
        kinds = actor.random.sample([*STORES], len(STORES))
        for attacks in itertools.cycle([self.power_failures_of(kind, actor) for kind in kinds]):
            yield next(attacks)

    def power_failures_of(self, kind: str, actor: Actor) -> Iterator[str]:
        while True:
            size = actor.random.randrange(64, 4 * SIZE)
            with place(self.folder) as path:
                events = record_calls(Saving(kind, "inline", path, SAVES, size))
            name = path.parent.name
            for why, image in power_failures(name, events, actor.random, AT_RANDOM):
                with place(self.folder) as path:
                    restore(image, path)
                    check(kind, path, why)
                yield "power failures"

    def failed_calls(self, actor: Actor) -> Iterator[str]:
        ways = list(itertools.product(STORES, WAYS))
        each = [self.failed_calls_of(kind, way, actor) for kind, way in ways]
        for attacks in itertools.cycle(actor.random.sample(each, len(each))):
            yield next(attacks)

    def failed_calls_of(self, kind: str, way: str, actor: Actor) -> Iterator[str]:
        while True:
            with place(self.folder) as path:
                calls = count_calls(Saving(kind, way, path, SAVES, SIZE))
            for call, number, failure in each_failure(calls, actor.random):
                with place(self.folder) as path:
                    fail(Saving(kind, way, path, SAVES, SIZE), call, number, failure)
                yield "kills at calls" if failure == KILLED else "failed calls"

    def control(self, actor: Actor) -> None:
        super().control(actor)
        self.footprint.look()

    def invariant(self, world: World) -> None:
        for actor, begun in self.begun.items():
            if begun - actor.steps not in (0, 1):
                raise Violation(f"{actor.name} has begun {begun} attacks and ended {actor.steps}")

    def teardown(self) -> None:
        logger.disabled = False
        shutil.rmtree(self.folder)
        print(", ".join(f"{count} {name}" for name, count in sorted(self.counts.items())))
        print(self.footprint.check(self.freeze_timeout))
        if not available():
            print("without strace no call has failed, and no power")
