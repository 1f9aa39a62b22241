"""What the threads of a program share: one of each kind of `freezethreads.sync`, with its model."""

from __future__ import annotations

from collections import Counter
from queue import Empty, Full
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, TypeAlias

from freezethreads import sync
from freezethreads.testing import Violation

if TYPE_CHECKING:
    from stress.program._player import Player

SHORT = 0.0005
"""Seconds: the time-out of a wait that may be in vain."""
PERMITS = 2
Item: TypeAlias = tuple[int, int]
"""Whose it is, and which of its."""
AnyQueue: TypeAlias = (
    "sync.Queue[Item] | sync.LifoQueue[Item] | sync.PriorityQueue[Item] | sync.SimpleQueue[Item]"
)


class Guarded:
    """A lock, and who has it."""

    def __init__(self, lock: sync.Lock | sync.RLock) -> None:
        self.lock = lock
        self._owner: Player | None = None
        self._depth = 0

    def acquire(self, player: Player, timeout: float) -> bool:
        if not self.lock.acquire(timeout=timeout):
            return False
        if self._owner is not None and (
            self._owner is not player or isinstance(self.lock, sync.Lock)
        ):
            raise Violation(f"{player.name} got {self.lock!r}, which {self._owner.name} has")
        self._owner = player
        self._depth += 1
        return True

    def release(self, player: Player) -> None:
        if self._owner is not player:
            raise Violation(f"{self.lock!r} was taken from {player.name}")
        self._depth -= 1
        if not self._depth:
            self._owner = None
        self.lock.release()


class Permits:
    """A semaphore, and who has a permit of it."""

    def __init__(self, semaphore: sync.Semaphore | sync.BoundedSemaphore) -> None:
        self.semaphore = semaphore
        self._users: dict[object, None] = {}

    def acquire(self, player: Player, timeout: float) -> bool:
        if not self.semaphore.acquire(timeout=timeout):
            return False
        self._users[player, player.owned] = None
        if len(self._users) > PERMITS:
            raise Violation(f"{len(self._users)} threads have one of {PERMITS} permits")
        return True

    def release(self, player: Player) -> None:
        del self._users[player, player.owned]
        self.semaphore.release()


class Box:
    """A queue, and what was put into it and taken from it."""

    def __init__(self, queue: AnyQueue, is_fifo: bool) -> None:
        self.queue = queue
        self._is_fifo = is_fifo
        self._sent: list[Item] = []
        self._put: list[Item] = []
        self._taken: dict[Player, list[Item]] = {}

    def put(self, player: Player) -> None:
        item = (player.number, player.next_number())
        self._sent.append(item)
        try:
            self.queue.put(item, timeout=SHORT)
        except Full:
            return
        self._put.append(item)

    def take(self, player: Player) -> None:
        try:
            item = self.queue.get(timeout=SHORT)
        except Empty:
            return
        self._taken.setdefault(player, []).append(item)

    def lacks_items(self) -> bool:
        """While all stand: whether one of them has taken an item, and could not say so yet."""
        taken = sum([len(items) for items in list(self._taken.values())])
        return taken + self.queue.qsize() < len(self._put)

    def check(self) -> None:
        """At the end: what was put into it was taken once, or is there."""
        found = [item for items in self._taken.values() for item in items]
        while self.queue.qsize():
            found.append(self.queue.get(timeout=SHORT))
        if Counter(found) != Counter(self._put):
            raise Violation(f"put into {self.queue!r}: {self._put}, and found: {found}")
        for player, items in self._taken.items() if self._is_fifo else ():
            if any(items != sorted(items) for items in _by_producer(items)):
                raise Violation(f"{player.name} has got items in a wrong order: {items}")


def _by_producer(items: list[Item]) -> list[list[Item]]:
    return [[item for item in items if item[0] == owner] for owner in {owner for owner, _ in items}]


class Store:
    """A condition, and items that are made and taken with its lock held."""

    def __init__(self) -> None:
        self.condition = sync.Condition()
        self._items: list[Item] = []
        self._made = 0
        self._taken = 0

    def make(self, player: Player) -> None:
        if self.condition.acquire(timeout=SHORT):
            self._items.append((player.number, player.next_number()))
            self._made += 1
            self.condition.notify()
            self.condition.release()

    def take(self, player: Player) -> None:
        if self.condition.acquire(timeout=SHORT):
            if self.condition.wait_for(lambda: bool(self._items), SHORT):
                self._items.pop()
                self._taken += 1
            self.condition.release()

    def check(self) -> None:
        if self._made != self._taken + len(self._items):
            raise Violation(f"made {self._made}, taken {self._taken}, left {len(self._items)}")


class Shared:
    """All of it."""

    def __init__(self) -> None:
        self.locks = (Guarded(sync.Lock()), Guarded(sync.RLock()))
        semaphores = sync.Semaphore(PERMITS), sync.BoundedSemaphore(PERMITS)
        self.permits = tuple([Permits(semaphore) for semaphore in semaphores])
        self.boxes = (
            Box(sync.Queue(2), is_fifo=True),
            Box(sync.SimpleQueue(), is_fifo=True),
            Box(sync.LifoQueue(2), is_fifo=False),
            Box(sync.PriorityQueue(2), is_fifo=False),
        )
        self.store = Store()
        self.event = sync.Event()
        self.barrier = sync.Barrier(2)

    def meet(self) -> None:
        """Wait for another one at the barrier, and mend it if that was in vain."""
        try:
            if self.barrier.wait(SHORT) not in (0, 1):
                raise Violation("a barrier for two has let a third one through")
        except BrokenBarrierError:
            self.barrier.reset()

    def look(self) -> str:
        """While all stand, in no region: what is wrong."""
        lacking = [repr(box.queue) for box in self.boxes if box.lacks_items()]
        return f"a thread stands that has taken an item from {lacking[0]}" if lacking else ""

    def check(self) -> None:
        """At the end."""
        for box in self.boxes:
            box.check()
        self.store.check()
        for guarded in self.locks:
            if not guarded.lock.acquire(blocking=False):
                raise Violation(f"all threads have ended, and somebody has {guarded.lock!r}")
        for permits in self.permits:
            if not all([permits.semaphore.acquire(blocking=False) for _ in range(PERMITS)]):
                raise Violation(f"all threads have ended, and somebody has a {permits.semaphore!r}")
