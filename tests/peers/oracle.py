"""An oracle, after liburcu's rcutorture: what threads keep whole must never be seen broken.

Each thread moves amounts between objects of three kinds. Within a unit of work their sum is wrong,
and at each safepoint it is right. All of them pass tokens round through one queue. A unit ends at a
door that is drawn by lot. A controller freezes all or half of them, looks at everything twice, and
counts what it should not have seen. `python -m peers.oracle SEED` (with this folder's parent on the
path) repeats a run; the seed decides what each thread does, not who runs when.

How to read the verdict::

    oracle seed=7 SUCCESS: 200 freezes (143 in the midst), 4 threads, 310..922 units each
        torn 0, moved 0, lost 0, stuck 0

* *in the midst*: when so many freezes were asked for, a thread was within a unit. If this is 0 the
  run was too easy, and its success proves nothing; nor does it if the least number of units is 0.
* *torn*: sums that were wrong while all stood. A thread was stopped at no safepoint, or not at all.
* *moved*: looks between which a frozen thread worked on. It was not stopped, or came loose.
* *lost*: tokens that were nowhere, or twice: a thread that stood frozen had taken one.
* *stuck*: threads that got nowhere for ten seconds, whose stacks follow. Somebody was left frozen,
  or starved, or a freeze did not end.

Any of the last four above 0 is a FAILURE.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace

from freezethreads import Freezer, NotRegistered, ThreadExited, sync
from helpers import WAIT, Worker, stack_of, start, wait_for
from peers.looking import take

WHOLE = 1000


@dataclass
class Verdict:
    """What a run has found. The module's docstring tells how to read it."""

    seed: int
    freezes: int = 0
    in_the_midst: int = 0
    torn: int = 0
    moved: int = 0
    lost: int = 0
    units: list[int] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.torn or self.moved or self.lost or self.stuck)

    def __str__(self) -> str:
        verdict = "SUCCESS" if self.success else "FAILURE"
        return (
            f"oracle seed={self.seed} {verdict}: {self.freezes} freezes ({self.in_the_midst} in "
            f"the midst), {len(self.units)} threads, {min(self.units)}..{max(self.units)} units "
            f"each\n    torn {self.torn}, moved {self.moved}, lost {self.lost}, "
            f"stuck {len(self.stuck)}\n" + "\n".join(self.stuck)
        )


class Keeper:
    """A registered thread and what it keeps whole."""

    def __init__(self, run: Run, number: int) -> None:
        self.group = ("even", "odd")[number % 2]
        self.units = 0
        self.broken = False
        self.tokens = 1
        self._run = run
        self._freezer = run.freezer
        self._choose = random.Random(f"{run.verdict.seed} {number}")
        self._in_list, self._in_dict = [WHOLE], {"amount": 0}
        self._in_object = SimpleNamespace(amount=0)

    def is_whole(self) -> bool:
        """Whether the sum is right."""
        total = self._in_list[0] + self._in_dict["amount"] + self._in_object.amount
        return total == WHOLE and not self.broken

    def work(self) -> None:
        """Do units of work until the run is over."""
        doors = (self._safepoint, self._poll, self._region, self._queue, self._no_freeze, self._ask)
        with self._freezer.register(group=self.group):
            self._run.ready.release()
            wait_for(self._run.go)
            while not self._run.over.is_set():
                self._move_amounts()
                self.units += 1
                self._choose.choice(doors)()

    def _move_amounts(self) -> None:
        amount = self._choose.randrange(WHOLE)
        self.broken = True
        self._in_list[0] -= amount
        self._in_dict["amount"] += amount
        if self._choose.random() < 0.5:
            time.sleep(0)  # now others run
        self._in_dict["amount"] -= amount
        self._in_object.amount += amount
        self._in_list[0] += amount
        self._in_object.amount -= amount
        self.broken = False

    def _safepoint(self) -> None:
        self._freezer.safepoint()

    def _poll(self) -> None:
        if self._freezer.armed:
            self._freezer.safepoint()

    def _region(self) -> None:
        with self._freezer.blocking():
            time.sleep(0)

    def _queue(self) -> None:
        """Pass a token on. Between the queue and the count there is no safepoint."""
        if self.tokens:
            self._run.tokens.put(1)
            self.tokens -= 1
        else:
            self._run.tokens.get()
            self.tokens += 1

    def _no_freeze(self) -> None:
        """Safepoints where nothing is whole."""
        with self._freezer.no_freeze():
            self.broken = True
            self._freezer.safepoint()
            with self._freezer.blocking():
                time.sleep(0)
            self.broken = False
        self._freezer.safepoint()

    def _ask(self) -> None:
        """Have another look at itself: a todo is made where its thread is whole."""
        mate = self._choose.choice(self._run.keepers)
        try:
            self._freezer.todo(self._run.thread_of(mate), mate.note_if_torn)
        except (NotRegistered, ThreadExited):
            assert self._run.over.is_set()
        self._freezer.safepoint()

    def note_if_torn(self) -> None:
        """By its own thread."""
        if not self.is_whole():
            self._run.verdict.torn += 1


class Run:
    """One run: the threads, the controller, and what they have found."""

    def __init__(self, seed: int, threads: int) -> None:
        self.verdict = Verdict(seed)
        self.freezer = Freezer("oracle")
        self.go, self.over = threading.Event(), threading.Event()
        self.ready = threading.Semaphore(0)
        self.tokens: sync.SimpleQueue[int] = sync.SimpleQueue()
        self.keepers = [Keeper(self, number) for number in range(threads)]
        self._threads = [start(keeper.work, name=keeper.group) for keeper in self.keepers]
        self._all_tokens = threads + threads  # theirs, and as many in the queue
        for _ in self.keepers:
            self.tokens.put(1)

    def thread_of(self, keeper: Keeper) -> threading.Thread:
        """Its thread."""
        return self._threads[self.keepers.index(keeper)]

    def control(self, freezes: int) -> None:
        """Freeze so often; stop early if it is over."""
        choose = random.Random(self.verdict.seed)
        while self.verdict.freezes < freezes and not self.over.is_set():
            group = choose.choice(["", "", "even", "odd"])
            stop = choose.choice([self.freezer.freeze, self.freezer.hold])
            self.verdict.in_the_midst += any(keeper.broken for keeper in self.keepers)
            with stop(group=group, timeout=WAIT):
                self._look([keeper for keeper in self.keepers if group in ("", keeper.group)])
                if not group:
                    self._count_tokens()
            self.verdict.freezes += 1

    def end(self) -> Verdict:
        """End all threads, and give the verdict."""
        self.over.set()
        for _ in self.keepers:
            self.tokens.put(1)
        self.verdict.stuck += self._stacks_of(self._threads)
        self.verdict.units = [keeper.units for keeper in self.keepers]
        return self.verdict

    def watch(self, controller: Worker[None]) -> None:
        """The watchdog: wait for the controller's end, or until some thread gets nowhere."""
        progress, deadline = self._progress(), time.monotonic() + WAIT
        while controller.is_alive() and not self.verdict.stuck:
            controller.join(0.05)
            if all(new > old for new, old in zip(self._progress(), progress, strict=True)):
                progress, deadline = self._progress(), time.monotonic() + WAIT
            elif time.monotonic() > deadline:
                self.verdict.stuck += self._stacks_of([*self._threads, controller], 0)

    def _progress(self) -> list[int]:
        return [self.verdict.freezes, *(keeper.units for keeper in self.keepers)]

    def _look(self, frozen: list[Keeper]) -> None:
        before = [keeper.units for keeper in frozen]
        for _ in range(2):
            self.verdict.torn += sum(not keeper.is_whole() for keeper in frozen)
            time.sleep(0)
        self.verdict.moved += before != [keeper.units for keeper in frozen]

    def _count_tokens(self) -> None:
        found = self.tokens.qsize() + sum(keeper.tokens for keeper in self.keepers)
        self.verdict.lost += found != self._all_tokens

    @staticmethod
    def _stacks_of(threads: Iterable[threading.Thread], timeout: float = WAIT) -> list[str]:
        stacks = []
        for thread in threads:
            thread.join(timeout)
            if thread.is_alive():
                stacks.append(f"{thread.name}:\n{stack_of(thread)}")
        return stacks


def run(seed: int, threads: int, freezes: int, report: Callable[[str], object] = print) -> Verdict:
    """Have so many threads work until they were frozen so often; report the verdict, and return it.

    Raises what one of the threads has raised.
    """
    one = Run(seed, threads)
    take(one.ready, threads)
    one.go.set()
    controller = start(one.control, freezes, name="controller")
    one.watch(controller)
    verdict = one.end()
    report(str(verdict))
    for thread in (controller, *one._threads):
        if not verdict.stuck:
            thread.finish()
    return verdict


if __name__ == "__main__":
    sys.exit(not run(int(sys.argv[1]), threads=8, freezes=2000).success)
