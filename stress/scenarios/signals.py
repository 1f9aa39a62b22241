"""Signal handlers that use the freezer wherever they have interrupted the main thread."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future

from freezethreads import (
    FreezeError,
    Freezer,
    NotRegistered,
    State,
    ThreadExited,
    World,
    sync,
)
from freezethreads.testing import Actor, Rings, Role, Scenario, Violation

REST = 0.0005
"""Seconds between two steps of the counters, all together."""
SIGNAL_EVERY = 0.001
DEEPEST = 3
"""Handlers that interrupt one another."""
MOST_PENDING = 10_000


class Signals(Scenario):
    """A main thread that is interrupted anywhere in this library, by handlers that use it, too.

    Handlers call `safepoint()`, ask threads for todos and freeze. None of that may hang, or let
    the main thread out before the thaw, or stop it inside `no_freeze()`; each todo is made once.
    A freeze in a handler may be refused, or time out since the main thread is in the way itself.
    """

    pause = 0.002

    def make_freezer(self, rings: Rings) -> Freezer:
        return Freezer(self.name)

    def setup(self) -> None:
        self.pairs: dict[int, list[int]] = {}
        self.made: dict[int, int] = {}
        self.asked: deque[Future[None]] = deque()
        self.successes = 0
        self.depth = 0
        self.lock = sync.Lock()
        self.main: Actor | None = None
        self.interrupted_at = 0
        self.problem: BaseException | None = None

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.count, self.threads, group="workers"),
            Role(self.be_interrupted, main=True),
            Role(self.interrupt, registered=False),
        ]

    def count(self, actor: Actor) -> None:
        pair = self.begin()
        while not actor.over:
            pair[0] += 1
            pair[1] += 1
            self.freezer.safepoint("counted")
            with self.lock:
                pass
            actor.pause(REST * self.threads)
            actor.step()

    def begin(self) -> list[int]:
        me = threading.get_ident()
        self.made[me] = 0
        return self.pairs.setdefault(me, [0, 0])

    def be_interrupted(self, actor: Actor) -> None:
        pair = self.begin()
        doors = [self.visit, self.wait, self.sleep, self.take_lock, self.freeze, self.hold]
        before = signal.signal(signal.SIGUSR1, self.handle)
        self.main = actor
        while not actor.over:
            with self.freezer.no_freeze():
                pair[0] += 1
                self.freezer.safepoint("inside no_freeze(), and so not to be heard")
                pair[1] += 1
            actor.random.choice(doors)(actor)
            with self.freezer.no_freeze():
                # A handler that stood in there would keep the lock of a future, whose todo the
                # freeze waits for.
                self.forget_done()
            actor.step()
            if self.problem is not None:
                raise self.problem
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # the last of them may be on its way
        self.before = before

    def visit(self, actor: Actor) -> None:
        self.freezer.safepoint("visited")

    def wait(self, actor: Actor) -> None:
        with self.freezer.blocking("waiting"):
            pass

    def sleep(self, actor: Actor) -> None:
        sync.sleep(0.0001)

    def take_lock(self, actor: Actor) -> None:
        with self.lock:
            pass

    def freeze(self, actor: Actor) -> None:
        with actor.freeze() as world:
            self.invariant(world)

    def hold(self, actor: Actor) -> None:
        with self.freezer.hold(group="workers", timeout=self.freeze_timeout):
            pass

    def interrupt(self, actor: Actor) -> None:
        """Send signals to the main thread, some for each step that it makes."""
        while not actor.over:
            actor.pause(SIGNAL_EVERY)
            main = self.main
            if main is not None and main.steps != self.interrupted_at:
                self.interrupted_at = main.steps
                for _ in range(actor.random.randrange(1, DEEPEST + 1)):
                    signal.pthread_kill(main.thread.ident or 0, signal.SIGUSR1)
                    actor.pause(SIGNAL_EVERY / 10)
            actor.step()

    def handle(self, *_: object) -> None:
        """In the main thread, wherever it is, and in itself."""
        if self.depth < DEEPEST:
            self.depth += 1
            try:
                self.random.choice([self.handle_safepoint, self.handle_todo, self.handle_freeze])()
            except BaseException as error:  # noqa: BLE001 - raised where it interrupts nothing
                self.problem = error
            self.depth -= 1

    def handle_safepoint(self) -> None:
        self.freezer.safepoint("in a handler")

    def handle_todo(self) -> None:
        ident = self.random.choice(list(self.pairs))
        try:
            self.asked.append(self.freezer.todo(ident, self.make))
        except (NotRegistered, ThreadExited):
            pass  # as it is at the end

    def handle_freeze(self) -> None:
        try:
            with self.freezer.freeze(timeout=0.02) as world:
                self.invariant(world)
        except FreezeError:
            pass

    def make(self) -> None:
        """A todo, in whichever thread."""
        self.made[threading.get_ident()] += 1

    def forget_done(self) -> None:
        while self.asked and self.asked[0].done():
            error = self.asked.popleft().exception()
            self.successes += error is None
            if error is not None and not isinstance(error, ThreadExited):
                raise error
        if len(self.asked) > MOST_PENDING:
            raise Violation(f"{len(self.asked)} todos are not made")

    def invariant(self, world: World) -> None:
        for info in world.threads:
            one, other = self.pairs.get(info.ident, (0, 0))
            if one != other or info.state is not State.FROZEN:
                raise Violation(f"{info.name} is {info.state.name} with {one} and {other}")

    def teardown(self) -> None:
        signal.signal(signal.SIGUSR1, self.before)
        self.forget_done()
        made = sum(self.made.values())
        if self.asked or made != self.successes:
            raise Violation(
                f"{len(self.asked)} todos are neither made nor refused; {made} were made, and "
                f"{self.successes} have a result"
            )
