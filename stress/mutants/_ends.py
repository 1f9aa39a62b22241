"""How a freeze ends: the thaw, a time-out, the lease."""

from __future__ import annotations

import random

from freezethreads._controller.controller import Controller
from freezethreads._controller.turns import Turns
from freezethreads._ground.completion import Bell, Completion
from freezethreads._ground.errors import FreezeTimeout
from freezethreads._ground.original import sleep
from freezethreads._refrigerator.refrigerator import _wait_at
from freezethreads._registry.record import Parking, here
from freezethreads._registry.requests import Freeze
from freezethreads._registry.status import Status, Stay, settled
from stress.mutants._mutant import breaks, put, replace
from stress.mutants._words import ask_one_by_one


@breaks("nothing stays armed when the time has run out", "timeouts", explored="leave-and-time-out")
def request_left_behind() -> None:
    def give_up(self: Controller, freeze: Freeze, user: object, error: BaseException) -> None:
        """Go away, and leave the request on everybody's list."""
        freeze.users.pop(user, None)
        self._turns.leave(freeze)
        if isinstance(error, FreezeTimeout):
            self._registry.recorder.timed_out()

    put(Controller, "give_up", give_up)
    put(Controller, "drop_for", lambda self, freeze, user, error: None)


@breaks("an exception gives the turn back", "timeouts", explored="controller-and-hold")
def turn_kept() -> None:
    leave = Turns.leave

    def leave_if_it_stood(self: Turns, freeze: Freeze) -> None:
        if freeze.stood_at is not None:
            leave(self, freeze)

    put(Turns, "leave", leave_if_it_stood)


@breaks("who is let go wakes the next one", "bank", explored="chain-and-handler")
def chain_stops_short() -> None:
    def leave(self: Completion, bell: Bell) -> None:
        self._waiting.pop(bell, None)

    put(Completion, "leave", leave)


@breaks(
    "who waits for a thaw is listed, and then looks whether it has come",
    "fairness",
    explored="call-in-region",
)
def missed_wake_up() -> None:
    def wait_at(parking: Parking, holder: Freeze, stay: Stay) -> None:
        """Look first, and then be listed."""
        is_held = not holder.done and parking.word.value.stay is stay
        sleep(random.expovariate(2000))  # to be late hurts nobody, if nothing else is wrong
        holder.completion.enter(parking.bell)
        if is_held:
            parking.bell.wait()
        holder.completion.leave(parking.bell)

    replace(_wait_at, wait_at)


@breaks(
    "between two freezes each thread gets to its next safepoint",
    "fairness",
    explored="two-worlds",
)
def not_let_run() -> None:
    def settled_by_itself(old: Status) -> Status:
        """Nobody is RUNNING before it has woken, and found nothing new in its word."""
        if old.stay is not None and old.stay is not here.parking.word._last[0].stay:
            return old
        return settled(old)

    ask_one_by_one()
    replace(settled, settled_by_itself)


@breaks("a lease that runs out thaws", "leases", explored="call-and-lease")
def lease_never_fires() -> None:
    put(Controller, "start_lease", lambda self, freeze, user, seconds: None)
