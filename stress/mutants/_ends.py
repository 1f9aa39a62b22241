"""How a freeze ends: the thaw, a time-out, the lease."""

from __future__ import annotations

import random

from freezethreads._completion import Bell, Completion
from freezethreads._controller import Controller
from freezethreads._errors import FreezeTimeout
from freezethreads._original import sleep
from freezethreads._todo import Freeze
from freezethreads._turns import Turns
from stress.mutants._mutant import breaks, put


@breaks("nothing stays armed when the time has run out", "timeouts")
def request_left_behind() -> None:
    def give_up(self: Controller, freeze: Freeze, user: object, error: BaseException) -> None:
        """Go away, and leave the request on everybody's list."""
        freeze.users.pop(user, None)
        self._turns.leave(freeze)
        if isinstance(error, FreezeTimeout):
            self._registry.recorder.timed_out()

    put(Controller, "give_up", give_up)


@breaks("an exception gives the turn back", "timeouts")
def turn_kept() -> None:
    leave = Turns.leave

    def leave_if_it_stood(self: Turns, freeze: Freeze) -> None:
        if freeze.stood_at is not None:
            leave(self, freeze)

    put(Turns, "leave", leave_if_it_stood)


@breaks("who is let go wakes the next one", "bank")
def chain_stops_short() -> None:
    def leave(self: Completion, bell: Bell) -> None:
        self._waiting.pop(bell, None)

    put(Completion, "leave", leave)


@breaks("what is completed is said to be so before those who wait are listed", "fairness")
def missed_wake_up() -> None:
    enter = Completion.enter

    def enter_later(self: Completion, bell: Bell) -> None:
        sleep(random.expovariate(2000))  # to be late hurts nobody, if nothing else is wrong
        enter(self, bell)

    def complete_all(self: Completion) -> None:
        if not self.done:  # a second thaw would mend it
            self._chain = list(self._waiting)  # who enters from now on is not in it
            sleep(0.001)
        self.done = True
        self._wake_one()

    put(Completion, "enter", enter_later)
    put(Completion, "complete_all", complete_all)


@breaks("between two freezes each thread gets to its next safepoint", "fairness")
def not_let_run() -> None:
    # Nobody is RUNNING before it has woken, and found nothing new on its list.
    put(Controller, "_pass_mark_on", lambda self, record, mark: None)


@breaks("a lease that runs out thaws", "leases")
def lease_never_fires() -> None:
    put(Controller, "start_lease", lambda self, freeze, seconds: None)
