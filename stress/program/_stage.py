"""One round of a program: its threads, and what has to hold when they have ended.

The thread that calls `play` makes no operation. It thaws the holds that have no lease when they
have stood for a while, and waits for the others' end, which comes soon, whatever the program is:
every wait in it has a time-out.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

from freezethreads import Freezer, FreezeTimeout
from freezethreads._controller.lease import Lease
from freezethreads.testing import Finding, Violation
from freezethreads.testing._plan import INTERVALS
from freezethreads.testing._result import stacks
from stress.program._player import Player
from stress.program._program import FREEZERS, Program
from stress.program._shared import Shared
from stress.program._standing import LOOK_EVERY, Standing
from stress.program._tasks import check_order

LAPS, ROUND = 50, 0.008
"""How often each thread does what it does in one round, at most; and for how many seconds it begins
anew."""
LONGEST_HOLD = 0.001
"""Seconds that a hold without a lease stands, about."""
PATIENCE = 10.0
"""Seconds in which everything comes to its end."""
EXPECTED = ("its lease ran out", "stops nobody")

logger = logging.getLogger("freezethreads")


def play(program: Program, rounds: int, patience: float = PATIENCE) -> Finding | None:
    """Play it so many times; return what does not hold, or None.

    By the main thread, say. Threads that hang are left behind.
    """
    interval = sys.getswitchinterval()
    try:
        for number in range(rounds):
            sys.setswitchinterval(INTERVALS[number % len(INTERVALS)])
            finding = Stage(program, patience).play()
            if finding is not None:
                return finding
    finally:
        sys.setswitchinterval(interval)
    return None


class Stage:
    """What the threads of one round have in common. `finding` is what was found first."""

    def __init__(self, program: Program, patience: float = PATIENCE) -> None:
        self.stops = tuple([program.can_always_stop(number) for number in range(FREEZERS)])
        self.patience = patience
        self.freezers = tuple([Freezer(f"freezer {number}") for number in range(FREEZERS)])
        self.shared = Shared()
        self.finding: Finding | None = None
        self.players = [Player(self, number, part) for number, part in enumerate(program.parts)]
        self.ended: dict[Player, None] = {}
        self._standing: dict[Standing, None] = {}
        self._over: dict[Standing, None] = {}
        self._all_ended = threading.Event()
        self._barrier = threading.Barrier(len(self.players))
        self._began = monotonic()
        self._lock = threading.Lock()  # of `finding`; nothing else is done under it

    # From any thread.

    def begin(self) -> bool:
        """Wait until all are there; return whether they are."""
        try:
            self._barrier.wait(self.patience)
        except threading.BrokenBarrierError:
            self.fail("the beginning", "not all threads have come to the beginning")
            return False
        return True

    def laps(self) -> Iterator[int]:
        """For each thread, as often as it is to do what it does."""
        give_up = monotonic() + ROUND
        for lap in range(LAPS):
            if lap and monotonic() > give_up:
                break
            yield lap

    def fail(self, who: str, what: str | BaseException) -> None:
        """Note what was found, and end the round."""
        trace = ""
        if isinstance(what, BaseException):
            trace = "".join(traceback.format_exception(what))
            for straggler in what.stragglers if isinstance(what, FreezeTimeout) else ():
                trace += f"the stack of {straggler.name} at the deadline:\n"
                trace += "".join(straggler.stack.format())
            what = f"{type(what).__name__}: {what}".partition("\n")[0]
        finding = Finding(what, who, monotonic() - self._began, trace)
        with self._lock:
            self.finding = self.finding or finding
        self._barrier.abort()

    def end(self, player: Player) -> None:
        """That thread makes no operation any more."""
        self.ended[player] = None
        if len(self.ended) == len(self.players):
            self._all_ended.set()

    def add(self, standing: Standing) -> None:
        """Anybody may thaw it from now on."""
        self._standing[standing] = None

    def standing(self) -> list[Standing]:
        """What stands now, the oldest first."""
        for standing in list(self._standing):
            if standing.is_over:
                self._over[standing] = None  # whoever has dropped one has given it up
                self._standing.pop(standing, None)
        return list(self._standing)

    # By the thread that plays it.

    def play(self) -> Finding | None:
        """Play it once, and check it."""
        with _listening(self):
            try:
                for player in self.players:
                    player.thread.start()
                self._wait_for_all()
                if self.finding is None:
                    self._check_end()
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                self.fail("the end", error)
            if self.finding is not None:
                self._let_go()
        return self.finding

    def _wait_for_all(self) -> None:
        give_up = monotonic() + 2 * self.patience  # each of its own waits is to give up before
        while not self._all_ended.wait(LOOK_EVERY):
            self._thaw_old()
            if monotonic() > give_up:
                hung = [player.name for player in self.players if player not in self.ended]
                found = stacks().items()
                text = "".join([f"{name}:\n{stack}" for name, stack in found if name[:2] in hung])
                self.finding = self.finding or Finding(
                    f"these have not ended: {', '.join(hung)}",
                    "the end",
                    monotonic() - self._began,
                    text,
                )
                return
        for player in self.players:
            player.thread.join(self.patience)

    def _thaw_old(self) -> None:
        old = monotonic() - LONGEST_HOLD
        for standing in self.standing():
            if not standing.lease and standing.is_hold and standing.since < old:
                standing.end()

    def _check_end(self) -> None:
        for standing in self.standing():
            if standing.lease:
                standing.wait_for_lease(self.patience)
            else:
                standing.end()
        self._wait_for_watchdogs()
        for freezer in self.freezers:
            self._check_freezer(freezer)
        for player in self.players:
            check_order(player.asked, [made for other in self.players for made in other.made])
            for task in player.asked:
                task.check(self.patience)
            for for_all in player.asked_all:
                for_all.check(self.patience)
        self.shared.check()

    def _wait_for_watchdogs(self) -> None:
        """One whose freeze was thawed in time has nothing to wait for."""
        for thread in threading.enumerate():
            if isinstance(thread, Lease):
                thread.join(self.patience)
                if thread.is_alive():
                    raise Violation("all is thawed, and a watchdog of a lease waits still")

    def _check_freezer(self, freezer: Freezer) -> None:
        """Nobody is left in it, nothing is asked, and it works."""
        with freezer.freeze(timeout=self.patience):
            pass
        give_up = monotonic() + self.patience
        while freezer.armed or freezer.threads():
            if monotonic() > give_up:
                left = [info.name for info in freezer.threads()]
                raise Violation(f"at the end it is armed: {freezer.armed}, and there are {left}")
            sleep(LOOK_EVERY)

    def _let_go(self) -> None:
        """Something was found: let those go who stand, as far as that is possible."""
        for standing in list(self._standing):
            standing.ended = True
            standing.stopped.thaw()
        self._all_ended.wait(self.patience / 10)


class _Listener(logging.Handler):
    """Whatever is logged is found, but for leases that ran out, and freezes of empty groups."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(logging.WARNING)
        self._stage = stage

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if not any(expected in message for expected in EXPECTED):
            self._stage.fail("the log", message)


@contextmanager
def _listening(stage: Stage) -> Iterator[None]:
    """Hear what is logged meanwhile, in place of printing it."""
    listener = _Listener(stage)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagated
