"""Thread bombs: the kernel's forkbomb and LTP's fork_freeze."""

from __future__ import annotations

import threading
import time

from fork_helpers import check_works
from freezethreads import Freezer
from freezethreads._ground.arguments import Where
from helpers import WAIT, start, wait_until
from peers.looking import freezer_of, frozen_idents, take, wait_while_progress, witness

GROUP = "bomb"


class Bomb:
    """Registered threads that start registered threads, without end and at most `most` at a time.

    A thread ends when it has started one and there is no room for more. So the bomb neither dies
    out nor gets stuck: whoever has filled the last place makes room.
    """

    def __init__(self, freezer: Freezer, most: int) -> None:
        self.born: list[int] = []
        self._freezer = freezer
        self._most = most
        self._room = threading.Semaphore(most)
        self._over = threading.Event()

    def light(self) -> None:
        """Start the first thread."""
        assert self._room.acquire(timeout=WAIT)
        start(self._burn, name=GROUP)

    def add_one(self) -> None:
        """Start one more than there is room for."""
        self._most += 1
        start(self._burn, name=GROUP)

    def stop(self) -> None:
        """Let all end as soon as they run."""
        self._over.set()

    def wait(self) -> None:
        """Wait until all have ended."""
        take(self._room, self._most)

    def alive(self) -> set[int]:
        """The idents of its threads, whether they are registered yet or not."""
        named = [thread for thread in threading.enumerate() if thread.name == GROUP]
        return {thread.ident for thread in named if thread.ident is not None}

    def wait_for_births(self, count: int) -> None:
        """Return when so many more threads have run than now."""
        enough = len(self.born) + count
        wait_while_progress(lambda: len(self.born) >= enough, lambda: len(self.born))

    def _burn(self) -> None:
        try:
            with self._freezer.register(group=GROUP):
                self._bear_children()
        finally:
            self._room.release()

    def _bear_children(self) -> None:
        self.born.append(threading.get_ident())
        children = 0
        while not self._over.is_set():
            if self._room.acquire(blocking=False):
                start(self._burn, name=GROUP)
                children += 1
            elif children:
                break
            self._freezer.safepoint()
            time.sleep(0.001)  # where processors are few, the others need one too


def check_held(freezer: Freezer, bomb: Bomb) -> None:
    """Within a hold: nobody escapes it, also of those who have yet to register."""
    bomb.add_one()  # should there be none
    with witness() as others:
        wait_until(lambda: bomb.alive() == frozen_idents(freezer))
        before = len(bomb.born)
        for _ in range(3):
            others.progress()
        assert len(bomb.born) == before, "a thread ran although its group was held"
        assert bomb.alive() == frozen_idents(freezer)


def fork_bomb(most: int, births: int, where: Where = "safepoint") -> None:
    """Hold a bomb when so many threads were born; let all end, and see that nobody is left."""
    freezer = freezer_of("forkbomb", where)
    bomb = Bomb(freezer, most)
    try:
        bomb.light()
        bomb.wait_for_births(births)
        with freezer.hold(group=GROUP, timeout=WAIT):
            check_held(freezer, bomb)
            bomb.stop()
    finally:
        bomb.stop()
        bomb.wait()
    assert freezer.threads() == ()
    check_works(freezer, registered=False)


def fork_freeze(most: int, seconds: float, held_at: float, where: Where = "safepoint") -> None:
    """Hold a bomb that burns for `seconds` when `held_at` have passed, and thaw it: it burns on."""
    freezer = freezer_of("fork_freeze", where)
    bomb = Bomb(freezer, most)
    try:
        bomb.light()
        bomb.wait_for_births(most)
        time.sleep(held_at)  # how long the load lasts, nothing that is waited for
        with freezer.hold(group=GROUP, timeout=WAIT):
            check_held(freezer, bomb)
        bomb.wait_for_births(most)
        time.sleep(seconds - held_at)
    finally:
        bomb.stop()
        bomb.wait()
    assert freezer.threads() == ()
    check_works(freezer, registered=False)
