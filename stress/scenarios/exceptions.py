"""Exceptions that are thrown into threads from outside, wherever these are."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from freezethreads import FreezeError, Freezer, State, World, sync
from freezethreads.testing import Actor, Rings, Role, Scenario, Violation

REST = 0.0005
"""Seconds between two steps of the workers, all together."""
THROW_EVERY = 0.001
logger = logging.getLogger("freezethreads")
_throw = ctypes.pythonapi.PyThreadState_SetAsyncExc


class Boom(BaseException):
    """What is thrown. Nobody's `except Exception` swallows it."""


class Target:
    """One thread that is thrown at: when it has said that it is ready, and has made a step."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.steps = 0
        self.ident = threading.get_ident()
        self.ready = False
        self.swallowed = False


class Exceptions(Scenario):
    """Threads that stop, and threads that freeze, hit by asynchronous exceptions anywhere.

    Whatever a thread was doing, nobody is left frozen, none gets out before the thaw, and the next
    freeze works. What was hit mends its own data, and leaves its region once more if need be: that
    an exception can cut the way out of a region off is known and documented.
    """

    def make_freezer(self, rings: Rings) -> Freezer:
        return Freezer(self.name)

    def setup(self) -> None:
        self.pairs: dict[int, list[int]] = {}
        self.targets: dict[int, Target] = {}
        self.over = threading.Event()  # no exception is thrown any more
        logger.disabled = True  # a world that is dropped is thawed with a warning
        self.hook, sys.unraisablehook = sys.unraisablehook, self.note_swallowed

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.work, self.threads),
            Role(self.freeze),
            Role(self.freeze, registered=False),
            Role(self.throw, registered=False),
        ]

    def work(self, actor: Actor) -> None:
        pair = self.pairs[threading.get_ident()] = [0, 0]
        doors = [self.visit, self.wait, self.refuse, self.sleep]

        def once() -> None:
            pair[0] += 1
            pair[1] += 1
            actor.random.choice(doors)()
            actor.pause(REST * self.threads)
            actor.step()

        def mend() -> None:
            pair[0] = pair[1] = max(pair)

        self.play_exposed(actor, once, mend)

    def visit(self) -> None:
        self.freezer.safepoint("visited")

    def wait(self) -> None:
        with self.freezer.blocking("waiting"):
            pass

    def refuse(self) -> None:
        with self.freezer.no_freeze():
            self.freezer.safepoint("inside no_freeze()")

    def sleep(self) -> None:
        sync.sleep(0.0001)

    def freeze(self, actor: Actor) -> None:
        def once() -> None:
            actor.pause(self.pause)
            if actor.random.random() < 0.2:
                self.freezer.hold(timeout=self.freeze_timeout).thaw()
            with self.freezer.freeze(timeout=self.freeze_timeout) as world:
                actor.check(world)
                time.sleep(actor.random.expovariate(1 / self.stand))
                actor.check(world)
            actor.step()

        self.play_exposed(actor, once, lambda: None)

    def play_exposed(
        self, actor: Actor, once: Callable[[], None], mend: Callable[[], None]
    ) -> None:
        """Call `once` over and over, with exceptions, and `mend` after each of them."""
        target = Target(actor)
        leaving = False
        while not leaving:
            try:
                self.targets[target.ident] = target
                target.ready = True
                while target.ready or not target.swallowed:
                    if self.over.is_set() and target.ready:
                        leaving = True  # nothing is thrown any more, and nothing on its way
                        break
                    once()
            except Boom:
                pass
            self.leave_regions()
            mend()
            target.swallowed = False

    def leave_regions(self) -> None:
        """What an exception before the first step of a way out has left undone."""
        for region in (self.freezer.no_freeze(), self.freezer.blocking()):
            with contextlib.suppress(FreezeError):
                region.__exit__(None, None, None)

    def throw(self, actor: Actor) -> None:
        """Throw exceptions at those who are ready."""
        try:
            while not actor.over:
                actor.pause(THROW_EVERY)
                targets = list(self.targets.values())
                ready = [each for each in targets if each.ready and each.actor.steps != each.steps]
                if ready:
                    target = actor.random.choice(ready)
                    target.steps = target.actor.steps
                    target.ready = False
                    _throw(ctypes.c_ulong(target.ident), ctypes.py_object(Boom))
                actor.step()
        finally:
            self.over.set()

    def note_swallowed(self, unraisable: Any) -> None:
        """Python reports an exception in a `__del__` or a callback, and goes on."""
        target = self.targets.get(threading.get_ident())
        if unraisable.exc_type is Boom and target is not None:
            target.swallowed = True
        else:
            self.hook(unraisable)

    def invariant(self, world: World) -> None:
        for info in world.threads:
            one, other = self.pairs.get(info.ident, (0, 0))
            if one != other or info.state is not State.FROZEN:
                raise Violation(f"{info.name} is {info.state.name} with {one} and {other}")

    def teardown(self) -> None:
        sys.unraisablehook = self.hook
        logger.disabled = False
