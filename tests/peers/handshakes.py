"""HotSpot's handshake tests that name numbers: runtime/handshake."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field

from fork_helpers import check_works
from freezethreads import Freezer, Hold, NotRegistered, ThreadExited
from helpers import WAIT, Worker, start, wait_for
from peers.looking import take, wait_while_progress


@dataclass
class Exiting:
    """Registered threads that exit at once when told to: each after a few safepoints, or none.

    Until then they wait. With `passing` they pass safepoints, and those that are to pass none any
    more exit when somebody is asked to stop, perhaps they.
    """

    freezer: Freezer
    count: int
    group: str = ""
    passing: bool = False
    go: threading.Event = field(default_factory=threading.Event)
    threads: list[Worker[None]] = field(default_factory=list)
    _ready: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def start(self) -> None:
        """Start them; returns when all are registered."""
        self.threads = [start(self._exit_after, index % 4) for index in range(self.count)]
        take(self._ready, self.count)

    def alive(self) -> bool:
        """Whether there is one left."""
        return any(thread.is_alive() for thread in self.threads)

    def finish(self) -> None:
        """Let them exit, and wait for that."""
        self.go.set()
        for thread in self.threads:
            thread.finish()

    def _exit_after(self, safepoints: int) -> None:
        with self.freezer.register(group=self.group):
            self._ready.release()
            while self.passing and not self.go.is_set():
                self.freezer.safepoint()
                time.sleep(0.001)  # where processors are few, the others need one too
            wait_for(self.go)
            while self.passing and not safepoints and not self.freezer.armed:
                time.sleep(0.001)
            for _ in range(safepoints):
                self.freezer.safepoint()


@dataclass
class Walk:
    """One todo, how often it was made and by whom, and who was asked."""

    target: Worker[None]
    future: Future[int]
    made: list[int]

    def outcome(self) -> str:
        """How it ended; fails if it has not, or if that is not what happened."""
        try:
            result = self.future.result(WAIT)
        except CancelledError:
            assert not self.made, "it was cancelled, and made all the same"
            return "cancelled"
        except ThreadExited:
            assert not self.made, "its thread exited before it made it, and made it all the same"
            return "exited"
        assert self.made == [result] == [self.target.ident]
        return "done"


def ask(freezer: Freezer, target: Worker[None]) -> Walk | None:
    """Ask for a todo that notes who makes it; None if the thread is gone."""
    made: list[int] = []

    def note() -> int:
        made.append(threading.get_ident())
        return threading.get_ident()

    try:
        return Walk(target, freezer.todo(target, note), made)
    except (NotRegistered, ThreadExited):
        return None


def ask_each(freezer: Freezer, threads: list[Worker[None]]) -> Iterator[Walk]:
    """Ask all who are left, and cancel every third todo."""
    for index, thread in enumerate(threads):
        walk = ask(freezer, thread)
        if walk is not None:
            if index % 3 == 2:
                walk.future.cancel()
            yield walk


def walk_exit(askers: int, threads: int) -> Counter[str]:
    """So many threads exit at once, while others ask them for todos; counts how those ended.

    Each asker has asked each thread before the first may exit, and goes on until the last has.
    """
    freezer = Freezer("walk_exit")
    exiting = Exiting(freezer, threads)
    have_asked = [threading.Event() for _ in range(askers)]

    def ask_on(asked_all: threading.Event) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        while exiting.alive():
            walks = list(ask_each(freezer, exiting.threads))
            asked_all.set()
            outcomes.update(walk.outcome() for walk in walks)
        return outcomes

    try:
        exiting.start()
        asking = [start(ask_on, asked_all) for asked_all in have_asked]
        for asked_all in have_asked:
            wait_for(asked_all)
    finally:
        exiting.finish()
    outcomes = Counter[str]()
    for asker in asking:
        outcomes.update(asker.finish())
    assert freezer.threads() == ()
    assert not freezer.armed
    return outcomes


def walk_one_exit(askers: int, rounds: int) -> Counter[str]:
    """The same with one thread at a time that exits."""
    outcomes: Counter[str] = Counter()
    for _ in range(rounds):
        outcomes += walk_exit(askers, 1)
    return outcomes


class Suspender:
    """A registered thread that holds one group after the other, and thaws it again.

    Half of the time it passes a safepoint before it thaws: there it may be held itself, so that
    what it has is thawed by nobody, until another thread does that.
    """

    def __init__(self, freezer: Freezer, group: str, victims: list[str], seed: int) -> None:
        self.holds = 0
        self.thread: Worker[None]
        self._freezer = freezer
        self._group = group
        self._victims = victims
        self._random = random.Random(seed)
        self._hold: Hold | None = None

    def run(self, over: threading.Event) -> None:
        """Go on until it is over."""
        with self._freezer.register(group=self._group):
            while not over.is_set():
                self._hold = self._freezer.hold(
                    group=self._random.choice(self._victims), timeout=WAIT
                )
                self.holds += 1
                if self._random.random() < 0.5:
                    self._freezer.safepoint()
                self.thaw()
                self._freezer.safepoint()

    def thaw(self) -> None:
        """Thaw what it holds. From any thread."""
        hold = self._hold
        if hold is not None:
            hold.thaw()


def suspend_exit(suspenders: int, threads: int, holds: int, seed: int = 1) -> int:
    """Threads hold and thaw each other, and threads that exit meanwhile: each does so `holds` times
    before those exit, and as often after; returns how many holds there were in all.

    Two of them may hold each other, so what is held is thawed from outside now and then.
    """
    freezer = Freezer("suspend_exit")
    over = threading.Event()
    exiting = Exiting(freezer, threads, "exiting", passing=True)
    names = [f"suspender.{number}" for number in range(suspenders)]
    crew = [
        Suspender(freezer, name, [*names, "suspender", *["exiting"] * suspenders], seed + number)
        for number, name in enumerate(names)
    ]
    exiting.start()
    for each in crew:
        each.thread = start(each.run, over, name="suspender")
    try:
        thaw_until(crew, lambda: all(each.holds >= holds for each in crew))
        exiting.go.set()
        thaw_until(crew, lambda: not exiting.alive())
        thaw_until(crew, lambda: all(each.holds >= 2 * holds for each in crew))
    finally:
        over.set()
        exiting.go.set()
        thaw_until(crew, lambda: not exiting.alive())
        thaw_until(crew, lambda: not any(each.thread.is_alive() for each in crew))
    exiting.finish()
    for each in crew:
        each.thread.finish()
    assert freezer.threads() == ()
    check_works(freezer, registered=False)
    return sum(each.holds for each in crew)


def thaw_until(crew: list[Suspender], done: Callable[[], bool]) -> None:
    """Wait, and thaw now and then whatever is held by one that may be held itself."""

    def thaw_all() -> int:
        time.sleep(0.005)
        for each in crew:
            each.thaw()
        return sum(each.holds + each.thread.is_alive() for each in crew)

    wait_while_progress(done, thaw_all)
