"""Event loops that are stopped between two callbacks, and coroutines that freeze."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from freezethreads import FreezeTimeout, State, World
from freezethreads.integrations import asyncio_loop
from freezethreads.testing import Actor, Role, Scenario, Violation

REST = 0.0005
"""Seconds between two steps of the threads, all together."""
TASKS = 3


class Loops(Scenario):
    """Loops whose tasks change data between two awaits, frozen by threads and by each other.

    A thread's freeze finds no task in between, nor does one that a coroutine has made in another
    thread; there the loop stands with all its tasks. In `async with freeze()` everybody else
    stands while the loop goes on. Tasks that freeze are cancelled at random, and give up at random.
    """

    pause = 0.002

    def setup(self) -> None:
        self.pairs: dict[str, list[int]] = {}
        self.steps: dict[str, Actor] = {}

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.work, max(1, self.threads // 2)),
            Role(self.run_loop, max(1, min(4, self.threads // 2)), registered=False),
        ]

    def work(self, actor: Actor) -> None:
        pair = self.begin(actor, actor.name)
        while not actor.over:
            pair[0] += 1
            pair[1] += 1
            self.freezer.safepoint("worked")
            actor.pause(REST * self.threads)
            actor.step()

    def begin(self, actor: Actor, name: str) -> list[int]:
        self.steps[actor.name] = actor
        return self.pairs.setdefault(name, [0, 0])

    def run_loop(self, actor: Actor) -> None:
        asyncio.run(self.live(actor))

    async def live(self, actor: Actor) -> None:
        with asyncio_loop.enrol(self.freezer, name=actor.name):
            tasks = [asyncio.create_task(self.tick(actor, index)) for index in range(TASKS)]
            ways = [self.freeze_others, self.freeze_all, self.cancel, self.give_up]
            while not actor.over:
                await asyncio.sleep(min(actor.random.expovariate(1 / self.pause), 0.1))
                await actor.random.choice(ways)(actor)
            for task in tasks:
                await task

    async def tick(self, actor: Actor, index: int) -> None:
        pair = self.begin(actor, f"{actor.name}, task {index}")
        while not actor.over:
            pair[0] += 1
            pair[1] += 1
            actor.step()
            await asyncio.sleep(actor.random.choice([0, REST * self.threads]))

    async def freeze_others(self, actor: Actor) -> None:
        async with asyncio_loop.freeze(self.freezer, timeout=self.freeze_timeout) as world:
            self.invariant(world)
            names = [info.name for info in world.threads]
            before = {name: self.steps[name].steps for name in names if name in self.steps}
            own = actor.steps
            while actor.steps == own and not actor.over:
                await asyncio.sleep(0)
            self.compare(before)
            self.invariant(world)

    async def freeze_all(self, actor: Actor) -> None:
        def look() -> int:
            with self.freezer.freeze(timeout=self.freeze_timeout) as world:
                self.invariant(world)
                before = {name: each.steps for name, each in list(self.steps.items())}
                if actor.name not in [info.name for info in world.threads]:
                    raise Violation(f"{actor.name} is enrolled, and a world does not cover it")
                self.compare(before)
            return actor.steps

        await asyncio.to_thread(look)

    async def cancel(self, actor: Actor) -> None:
        task = asyncio.create_task(self.freeze_others(actor))
        await asyncio.sleep(actor.random.choice([0, 0.0002, 0.001]))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def give_up(self, actor: Actor) -> None:
        with contextlib.suppress(FreezeTimeout):
            async with asyncio_loop.freeze(self.freezer, timeout=0.0002) as world:
                self.invariant(world)

    def compare(self, before: dict[str, int]) -> None:
        moved = [name for name, steps in before.items() if self.steps[name].steps != steps]
        if moved:
            raise Violation(f"all have to stand still until the thaw, but {moved} made steps")

    def invariant(self, world: World) -> None:
        running = [info.name for info in world.threads if info.state is not State.FROZEN]
        if running:
            raise Violation(f"{', '.join(running)} run in a world")
        for name, (one, other) in list(self.pairs.items()):
            if one != other:
                raise Violation(f"{name} stands between its halves: {one} and {other}")
