"""Money that is on its way between two accounts."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from freezethreads import World, sync
from freezethreads.testing import Actor, Role, Scenario, Violation

ACCOUNTS = 16
EACH = 1000


class Bank(Scenario):
    """Transfers between accounts, each account with a lock of its own; no money comes or goes.

    Between the two halves of a transfer no safepoint is passed, and no lock covers both. So only a
    freezer can see the sum, and it has to see the same one each time.
    """

    def setup(self) -> None:
        self.balances = [EACH] * ACCOUNTS
        self.locks = [threading.Lock() for _ in range(ACCOUNTS)]

    def actors(self) -> Iterable[Role]:
        return [Role(self.teller, self.threads)]

    def teller(self, actor: Actor) -> None:
        doors = [self.call, self.call, self.poll, self.wait, self.sleep]
        while not actor.over:
            for _ in range(actor.random.randrange(1, 4)):
                self.transfer(actor)
            actor.random.choice(doors)(actor)
            actor.step()

    def transfer(self, actor: Actor) -> None:
        giver, taker = actor.random.sample(range(ACCOUNTS), 2)
        amount = actor.random.randrange(1, 100)
        self.change(giver, -amount)
        self.change(taker, amount)

    def change(self, account: int, amount: int) -> None:
        with self.locks[account]:
            self.balances[account] += amount

    def call(self, actor: Actor) -> None:
        self.freezer.safepoint("between transfers")

    def poll(self, actor: Actor) -> None:
        if self.freezer.armed:
            self.freezer.safepoint("if armed")

    def wait(self, actor: Actor) -> None:
        with self.freezer.blocking("waiting for customers", fork_safe=True):
            pass

    def sleep(self, actor: Actor) -> None:
        sync.sleep(0)

    def invariant(self, world: World) -> None:
        total = sum(self.balances)
        if total != EACH * ACCOUNTS:
            raise Violation(f"there are {total} in all, not {EACH * ACCOUNTS}: {self.balances}")
