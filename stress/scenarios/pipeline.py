"""Items that pass through freezable queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from freezethreads import World, sync
from freezethreads.testing import Actor, Role, Scenario, Violation

Item = tuple[int, int]
"""The number of its maker, and its own."""

SIZE = 8
END: Item = (-1, -1)


class Tally:
    """How many items of each maker, and the sum of their numbers."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.sums: Counter[int] = Counter()

    def add(self, item: Item) -> None:
        maker, number = item
        self.counts[maker] += 1
        self.sums[maker] += number

    def update(self, other: Tally) -> None:
        self.counts.update(other.counts)
        self.sums.update(other.sums)


class Hand:
    """What one worker has taken out of a queue, and what it has brought to the end of the line."""

    def __init__(self) -> None:
        self.item = END
        self.finished = Tally()


class Pipeline(Scenario):
    """Makers, movers and takers with queues between them; in each world every item is in one place.

    Who waits for an item has not taken it, and who has put one has let go of it: nothing is lost,
    and nothing is there twice, in a queue, in a hand or at the end.
    """

    def setup(self) -> None:
        self.first: sync.Queue[Item] = sync.Queue(SIZE)
        self.second: sync.Queue[Item] = sync.Queue(SIZE)
        self.made = [0] * self.threads  # by each maker, and put into the first queue
        self.hands: list[Hand] = []

    def actors(self) -> Iterable[Role]:
        each = max(1, self.threads // 3)  # as many of each, so that every END finds its thread
        return [Role(self.maker, each), Role(self.mover, each), Role(self.taker, each)]

    def maker(self, actor: Actor) -> None:
        maker = int(actor.number)
        while not actor.over:
            self.first.put((maker, self.made[maker]))
            self.made[maker] += 1
            actor.step()
        self.first.put(END)

    def mover(self, actor: Actor) -> None:
        hand = self.new_hand()
        while (item := self.first.get()) != END:
            hand.item = item
            self.second.put(item)
            hand.item = END
            actor.step()
        self.second.put(END)

    def taker(self, actor: Actor) -> None:
        hand = self.new_hand()
        while (item := self.second.get()) != END:
            hand.item = item
            if actor.random.random() < 0.5:
                self.freezer.safepoint("with an item in hand")
            hand.finished.add(item)
            hand.item = END
            actor.step()

    def new_hand(self) -> Hand:
        hand = Hand()
        self.hands.append(hand)
        return hand

    def invariant(self, world: World) -> None:
        found = Tally()
        for item in [*self.first.queue, *self.second.queue, *(hand.item for hand in self.hands)]:
            if item != END:
                found.add(item)
        for hand in self.hands:
            found.update(hand.finished)
        for maker, made in enumerate(self.made):
            self.compare(maker, made, found)

    def compare(self, maker: int, made: int, found: Tally) -> None:
        count, total = found.counts[maker], found.sums[maker]
        if (count, total) != (made, made * (made - 1) // 2):
            raise Violation(
                f"maker {maker} has put {made} items into the line, with the sum "
                f"{made * (made - 1) // 2}; there are {count} of them, with the sum {total}"
            )

    def teardown(self) -> None:
        if self.first.qsize() or self.second.qsize():
            raise Violation("all have ended, and something is left in a queue")
