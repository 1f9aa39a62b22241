"""Processes that are forked at any moment, by any thread."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence

from freezethreads import State, World
from freezethreads.testing import Actor, Role, Scenario, Violation

STEP_EVERY = 0.0005
"""Seconds between two steps of the counters, all together."""
FORK_EVERY = 0.0025
"""Seconds between two forks of one thread, on average, times the threads that are copied."""


class Forks(Scenario):
    """Forks inside worlds and outside, in regions and todos, by the main thread and by others.

    In the child only the thread that has forked is registered, it runs, and nobody is asked for
    anything. What it was in is left as usual, and a freeze works, both ways. A child made in a
    world has the world's data, in order. It reports by its exit status; a child that hangs is
    ended by a signal, with the stacks of its threads in what is printed.
    """

    def setup(self) -> None:
        self.pairs: dict[str, list[int]] = {}
        # As CPython 3.12 says, a child of many threads must take care; this is what is tortured.
        warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.count, self.threads),
            Role(self.forker, main=True),
            Role(self.forker),
            Role(self.forker, registered=False),
        ]

    def count(self, actor: Actor) -> None:
        pair = self.pairs[actor.name] = [0, 0]
        while not actor.over:
            pair[0] += 1
            pair[1] += 1
            actor.random.choice([self.freezer.safepoint, self.rest])()
            actor.pause(STEP_EVERY * self.threads)
            actor.step()

    def rest(self) -> None:
        with self.freezer.blocking("resting"):
            pass

    def forker(self, actor: Actor) -> None:
        ways: list[Callable[[Actor], int | None]] = [
            self.fork,
            self.fork_in_region,
            self.fork_in_world,
        ]
        if actor.role.registered:
            ways += [self.fork_in_todo, self.fork_with_todo]
        self.fork_in_turn(actor, ways)

    def fork_in_turn(self, actor: Actor, ways: Sequence[Callable[[Actor], int | None]]) -> None:
        """Fork in one of these ways or another, over and over; None: that one did not fork."""
        parent = os.getpid()
        while not actor.over:
            actor.pause(FORK_EVERY * self.threads)
            way = actor.random.choice(ways)
            status = 1
            try:
                pid = way(actor)
                if pid == 0:
                    self.check_child(actor)
                    status = 0
            except BaseException:
                if os.getpid() == parent:
                    raise
                os.write(sys.stderr.fileno(), traceback.format_exc().encode())
            finally:
                if os.getpid() != parent:
                    os._exit(status)
            if pid is not None:
                self.wait_for_child(pid, way.__name__)
            actor.step()

    def fork(self, actor: Actor) -> int:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            faulthandler.register(signal.SIGALRM, sys.stderr.fileno(), chain=True)
            signal.setitimer(signal.ITIMER_REAL, self.freeze_timeout)
        return pid

    def fork_in_region(self, actor: Actor) -> int:
        with self.freezer.blocking("forking"):
            return self.fork(actor)

    def fork_with_todo(self, actor: Actor) -> int:
        with self.freezer.no_freeze():
            self.freezer.todo(actor.thread, actor.note, "todo")
            return self.fork(actor)

    def fork_in_todo(self, actor: Actor) -> int:
        future = self.freezer.todo(actor.thread, self.fork, actor)
        while not future.done():
            self.freezer.safepoint("about to fork")
        return future.result()

    def fork_in_world(self, actor: Actor) -> int | None:
        with actor.freeze() as world:
            actor.check(world)
            pid = self.fork(actor)
            if pid == 0:
                self.invariant(world)
            return pid

    def wait_for_child(self, pid: int, way: str) -> None:
        with self.freezer.blocking("waiting for a child", fork_safe=True):
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise Violation(f"a child made by {way}() ended with {status}; see what it printed")

    def check_child(self, actor: Actor) -> None:
        """In the child, by its only thread."""
        me = (actor.name, threading.get_ident(), threading.get_native_id(), State.RUNNING, 0)
        expected = [me] if actor.role.registered else []
        infos = self.freezer.threads()
        found = [(i.name, i.ident, i.native_id, i.state, i.todo_pending) for i in infos]
        if found != expected:
            raise Violation(f"in the child {found} are registered, not {expected}")
        if self.freezer.armed:
            raise Violation("in the child, somebody is asked for something")
        ended = threading.Event()
        other = threading.Thread(target=self.live_in_child, args=(ended,))
        other.start()
        while len(self.freezer.threads()) == len(expected):
            self.rest_in_child()
        with self.freezer.freeze(timeout=None) as world:
            if [info.state for info in world.threads] != [State.FROZEN]:
                raise Violation(f"in the child {world.threads} stand")
        self.freezer.todo(other, ended.set)
        while other.is_alive():
            self.rest_in_child()

    def rest_in_child(self) -> None:
        self.freezer.safepoint("in the child")
        time.sleep(0.0001)

    def live_in_child(self, ended: threading.Event) -> None:
        """The new thread of a child: is frozen, and freezes."""
        with self.freezer.register("new"):
            while not ended.is_set():
                self.rest_in_child()
            with self.freezer.freeze(timeout=None) as world:
                if any(info.state is not State.FROZEN for info in world.threads):
                    raise Violation(f"in the child {world.threads} stand")

    def invariant(self, world: World) -> None:
        for name, (one, other) in self.pairs.items():
            if one != other:
                raise Violation(f"{name} stands between its halves: {one} and {other}")
