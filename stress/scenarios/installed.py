"""A program that knows nothing of freezing, under `install()`."""

from __future__ import annotations

import concurrent.futures
import queue
import threading
import time
from collections.abc import Callable, Iterable

import freezethreads
from freezethreads import State, World
from freezethreads.testing import Actor, Role, Scenario, Violation

ROUND = 0.3
"""Seconds that one installation lasts."""
SIZE = 4


class Pair:
    """Two counts of one thread that differ between its waits only."""

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.playing = True
        self.one = 0
        self.other = 0

    def add(self) -> None:
        self.one += 1
        self.other += 1


class Program:
    """Threads with queues, locks, sleeps, timers and pools. Its waits are the only safepoints."""

    def __init__(self, threads: int) -> None:
        self.pairs: list[Pair] = []
        self.ended = time.monotonic() + ROUND
        self.queue: queue.Queue[int | None] = queue.Queue(SIZE)
        self.lock = threading.Lock()
        parts = [self.put, self.take, self.sleep, self.use_pool]
        count = max(1, threads // len(parts))
        self.threads = [
            threading.Thread(target=self.play, args=(part,)) for part in parts for _ in range(count)
        ]

    def run(self, actor: Actor) -> None:
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()
            actor.step()

    def play(self, part: Callable[[Pair], None]) -> None:
        pair = Pair()
        self.pairs.append(pair)
        part(pair)
        pair.playing = False

    def is_over(self) -> bool:
        return time.monotonic() > self.ended

    def put(self, pair: Pair) -> None:
        while not self.is_over():
            pair.add()
            self.queue.put(pair.one)
        self.queue.put(None)

    def take(self, pair: Pair) -> None:
        while self.queue.get() is not None:
            pair.add()
            with self.lock:
                pair.add()

    def sleep(self, pair: Pair) -> None:
        while not self.is_over():
            pair.add()
            time.sleep(0.0002)

    def use_pool(self, pair: Pair) -> None:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            while not self.is_over():
                pair.add()
                pool.submit(self.call).result()
                timer = threading.Timer(0.001, self.call)
                timer.start()
                timer.join()

    def call(self) -> None:
        with self.lock:
            time.sleep(0.0001)


class Installed(Scenario):
    """Programs that come and go under `freezethreads.install()`, and are frozen at random.

    Each of a program's threads is covered from its start to its end, and stands in a wait of the
    standard library, never between. Each installation ends amid freezes, and leaves nobody behind.
    """

    def setup(self) -> None:
        self.program: Program | None = None

    def actors(self) -> Iterable[Role]:
        return [Role(self.run_programs, registered=False)]

    def run_programs(self, actor: Actor) -> None:
        # What watches over the run is not to be part of the program.
        while all(thread.name != "freezethreads-watchdog" for thread in threading.enumerate()):
            actor.pause(0.001)
        while not actor.over:
            with freezethreads.install(self.freezer) as installation:
                installation.enrol()
                self.program = program = Program(self.threads)
                program.run(actor)
            actor.step()

    def control(self, actor: Actor) -> None:
        actor.pause(self.pause)
        with actor.freeze() as world:
            actor.check(world)
            before = self.look()
            actor.pause(self.stand)
            if self.look() != before:
                raise Violation("a thread of the program went on in a world")
            actor.check(world)
        actor.step()

    def look(self) -> list[int]:
        return [pair.one + pair.other for pair in self.program.pairs] if self.program else []

    def invariant(self, world: World) -> None:
        program = self.program
        if program is None:
            return
        states = {info.ident: info.state for info in world.threads}
        for pair in program.pairs:
            state = states.get(pair.thread.ident or 0)
            if pair.playing and state is not State.FROZEN:
                raise Violation(f"{pair.thread.name} plays, and its state is {state}")
            if pair.one != pair.other:
                raise Violation(f"a thread stands between its halves: {pair.one}, {pair.other}")

    def teardown(self) -> None:
        left = [info.name for info in self.freezer.threads()]
        if left:
            raise Violation(f"the installation has ended, and {', '.join(left)} are registered")
