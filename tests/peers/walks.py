"""HotSpot's stack walks by handshake: three kinds of threads that are asked, and how they listen.

What a thread needs to be asked at all is to come to a safepoint. All else makes it come sooner, and
can be left out: a waker, a bell that wakes it from a freezable wait, an inline look at the flag.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from freezethreads import Freezer, ThreadBlocked, sync
from helpers import WAIT, Worker, start, wait_for
from peers.looking import serve_until_done

Seen: TypeAlias = tuple[int, int, frozenset[str]]
"""What a walk finds: its number, the thread that it runs in, and the functions on the stack."""


class Walks:
    """The walks that were asked for; each has a number, and tells when it is made."""

    def __init__(self) -> None:
        self.made: list[int] = []
        self._numbers: list[int] = []

    def new(self) -> Callable[[], Seen]:
        """One more, for one thread; what it returns is its result."""
        number = len(self._numbers)
        self._numbers.append(number)

        def walk() -> Seen:
            self.made.append(number)
            stack = frozenset(frame.name for frame in traceback.extract_stack())
            return number, threading.get_ident(), stack

        return walk

    def check_each_once(self) -> None:
        """All were made, and none of them twice."""
        assert Counter(self.made) == Counter(self._numbers)


@dataclass(frozen=True)
class Means:
    """By what the threads hear that they are asked: all of it by default."""

    debug: bool = False
    polls: bool = True  # they look at the flag, and call `safepoint()` only if it is up
    wait: str = "wait"  # until they are woken; or "bouts", "region", "waker"
    lease: float | None = None  # of the world in which they are asked


class Crowd:
    """A looping thread, an allocating and a waiting one: those that HotSpot's test walks."""

    def __init__(self, means: Means) -> None:
        self.freezer = Freezer("walks", debug=means.debug)
        self.over = sync.Event()
        self.means = means
        self._awake = threading.Event()
        self._ready = [threading.Event() for _ in range(3)]
        self.threads: list[Worker[None]] = []

    def start(self) -> None:
        """Start them; returns when all are registered."""
        waits = self.wait, self.wait_in_bouts, self.wait_in_region, self.wait_for_waker
        (wait,) = [wait for wait in waits if wait.__name__.endswith(self.means.wait)]
        calls = self.loop, self.allocate, wait
        for call, ready in zip(calls, self._ready, strict=True):
            self.threads.append(start(self._run, call, ready, name=call.__name__))
        for ready in self._ready:
            wait_for(ready)

    def finish(self) -> None:
        """End them."""
        self.over.set()
        self._awake.set()
        for thread in self.threads:
            thread.finish()

    def check_walk(self, thread: threading.Thread, seen: Seen) -> None:
        """It was made in that thread, in the midst of what it does."""
        _, ident, stack = seen
        assert ident == thread.ident
        assert thread.name in stack, f"{thread.name} was not found in {stack}"

    def loop(self) -> None:
        while not self.over.is_set():
            self._poll()

    def allocate(self) -> None:
        kept: list[object] = []
        while not self.over.is_set():
            kept.append([kept, object()])  # cycles: the collector runs as well
            if len(kept) > 100:
                kept = []
            self._poll()

    def wait(self) -> None:
        while not self.over.wait(WAIT):
            pass

    def wait_in_bouts(self) -> None:
        while not self.over.wait(0.001):
            pass

    def wait_in_region(self) -> None:
        while not self.over.is_set():
            with self.freezer.blocking():
                threading.Event().wait(0.001)

    def wait_for_waker(self) -> None:
        while not self.over.is_set():
            wait_for(self._awake)
            self._awake.clear()
            self._poll()

    def _poll(self) -> None:
        time.sleep(0.001)  # where processors are few, those who ask need one too
        if not self.means.polls or self.freezer.armed:
            self.freezer.safepoint()

    def _run(self, call: Callable[[], None], ready: threading.Event) -> None:
        waker = self._awake.set if call == self.wait_for_waker else None
        with self.freezer.register(waker=waker):
            ready.set()
            call()


@contextmanager
def crowd(means: Means) -> Iterator[Crowd]:
    """The three, from when they are registered until the block is left."""
    threads = Crowd(means)
    with ExitStack() as stack:
        stack.callback(threads.finish)
        threads.start()
        yield threads


def walk_stacks(means: Means, rounds: int) -> None:
    """Ask each for a walk, oneself and all at once, and wait for each before the next."""
    walks = Walks()
    with crowd(means) as threads, threads.freezer.register("asker"):
        for _ in range(rounds):
            for thread in threads.threads:
                walk = threads.freezer.todo(thread, walks.new())
                threads.check_walk(thread, walk.result(WAIT))
            ask_oneself(threads.freezer, walks).result(0)
            ask_all(threads, walks)
            ask_in_world(threads, walks)
        walks.check_each_once()


def walk_stacks_async(means: Means, rounds: int) -> None:
    """The same, waiting for none: each is made by the time when the last one of its thread is."""
    walks = Walks()
    asked: list[tuple[Worker[None], Future[Seen]]] = []
    with crowd(means) as threads, threads.freezer.register("asker"):
        for _ in range(rounds):
            for thread in threads.threads:
                asked.append((thread, threads.freezer.todo(thread, walks.new())))
            own = threads.freezer.todo(threading.get_ident(), walks.new())
        for thread in threads.threads:
            threads.freezer.todo(thread, int, priority=-1).result(WAIT)
        serve_until_done(threads.freezer, own)
        for thread, walk in asked:
            threads.check_walk(thread, walk.result(0))
        walks.check_each_once()


def ask_oneself(freezer: Freezer, walks: Walks) -> Future[Seen]:
    """A thread can be asked by itself, and makes the walk at a safepoint."""
    walk = freezer.todo(threading.get_ident(), walks.new())
    assert not walk.done()
    serve_until_done(freezer, walk)
    return walk


def ask_all(threads: Crowd, walks: Walks) -> None:
    """Ask all at once, the asker among them: one call, made by each."""
    made: list[int] = []
    asked = threads.freezer.todo_all(lambda: made.append(threading.get_ident()))
    serve_until_done(threads.freezer, *asked)
    everyone = [thread.ident for thread in (*threads.threads, threading.current_thread())]
    assert sorted(made) == sorted(ident or 0 for ident in everyone)


def ask_in_world(threads: Crowd, walks: Walks) -> None:
    """Ask each while all are frozen. One in a region may say that it cannot, and is asked again."""
    later: dict[Worker[None], Future[Seen]] = {}
    with threads.freezer.freeze(timeout=WAIT, lease=threads.means.lease) as world:
        for thread in threads.threads:
            walk = walks.new()
            try:
                threads.check_walk(thread, world.call(thread, walk))
            except ThreadBlocked:
                assert thread.name in ("wait_in_region", "wait_in_bouts")
                later[thread] = threads.freezer.todo(thread, walk)
    for thread, asked in later.items():
        threads.check_walk(thread, asked.result(WAIT))
