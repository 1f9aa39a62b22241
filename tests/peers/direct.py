"""HotSpot's HandshakeDirectTest: threads that ask each other, as fast as they can, and freezes."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from concurrent.futures import Future

from freezethreads._ground.arguments import Where
from helpers import WAIT, start
from peers.looking import freezer_of, wait_while_progress

_WINDOW = 100  # todos of one asker that are pending at a time


class Direct:
    """So many registered threads, each of which asks random ones for its share of the todos."""

    def __init__(self, workers: int, todos: int, seed: int, where: Where) -> None:
        self.freezer = freezer_of("direct", where)
        self.made = [0] * workers
        self.over = threading.Event()
        self.frozen_once = threading.Event()
        self._share = todos // workers
        self._asked = [0] * workers
        self._idents: list[int] = [0] * workers
        self._all_here = threading.Barrier(workers)
        self._seed = seed

    def work(self, number: int) -> None:
        """What each of the threads does."""
        with self.freezer.register():
            self._idents[number] = threading.get_ident()
            with self.freezer.blocking():  # who comes later may stop in register()
                self._all_here.wait(WAIT)
            self._ask(number, random.Random(self._seed + number))
            while not self.over.is_set():
                self._serve()

    def all_asked(self) -> bool:
        """Whether each todo was asked for, made, and found to be made in the right thread."""
        return self._asked == [self._share] * len(self.made)

    def progress(self) -> int:
        """How many todos were made."""
        return sum(self.made)

    def _ask(self, number: int, choose: random.Random) -> None:
        pending: deque[tuple[int, Future[int]]] = deque()
        for number_asked in range(self._share):
            while number_asked == self._share // 2 and not self.frozen_once.is_set():
                self._serve()  # so that there is something to freeze
            target = choose.randrange(len(self.made))
            future = self.freezer.todo(self._idents[target], self._make, target)
            pending.append((target, future))
            self.freezer.safepoint()
            if len(pending) == _WINDOW:
                self._check(number, *pending.popleft())
        for each in pending:
            self._check(number, *each)

    def _make(self, target: int) -> int:
        self.made[target] += 1  # by the target alone
        return threading.get_ident()

    def _check(self, number: int, target: int, future: Future[int]) -> None:
        deadline = time.monotonic() + WAIT
        while not future.done():
            assert time.monotonic() < deadline, "a todo was not made"
            self._serve()
        assert future.result() == self._idents[target]
        self._asked[number] += 1

    def _serve(self) -> None:
        self.freezer.safepoint()
        time.sleep(0.001)


def direct(
    workers: int,
    todos: int,
    where: Where = "safepoint",
    every: float = 0.001,
    seed: int = 1,
) -> int:
    """Have `workers` threads ask each other for `todos` todos in all, and freeze them meanwhile,
    `every` so many seconds; returns how many freezes that were."""
    run = Direct(workers, todos, seed, where)

    def look() -> list[int]:
        return list(run.made)

    def freeze() -> int:
        freezes = 0
        while not run.over.wait(every):
            with run.freezer.freeze(timeout=WAIT):
                before = look()
                time.sleep(0)
                assert look() == before, "a todo was made by a frozen thread"
            freezes += 1
            run.frozen_once.set()
        return freezes

    threads = [start(run.work, number) for number in range(workers)]
    controller = start(freeze)
    try:
        wait_while_progress(run.all_asked, run.progress)
    finally:
        run.over.set()
        freezes = controller.finish()
        for thread in threads:
            thread.finish()
    made = todos // workers * workers
    assert run.progress() == run.freezer.statistics().todos_run == made
    assert not run.freezer.armed
    return freezes
