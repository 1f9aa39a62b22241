"""The thread that freezes a server from inside, again and again, and looks at what it finds.

It tells the test in two lines of JSON: one when it has frozen the server often enough in mid-load,
and one with the totals when the test closes its standard input, which it does when the load is
over.
"""

from __future__ import annotations

import json
import os
import random
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import freezethreads
from freezethreads import FreezeTimeout, State, World
from freezethreads._report.stacks import Stack, read_stacks
from servers_app import Application

GOAL = 100
"""Freezes that find a request in flight, after which the controller ends."""

TOO_LONG = 5.0
"""Seconds after which a freeze times out."""

GIVE_UP = 20.0
"""Seconds after which the controller gives up coming to its goal."""

PROGRAM = {"servers_app", "socketserver", "http", "waitress", "cheroot", "gunicorn", "concurrent"}
"""The packages that the application and the servers are in."""

GAP = 0.003
"""Seconds between two looks at the counters. Threads that are not frozen get far in that."""


class Controller:
    """Freezes the process that it is in, and counts what it sees."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._moments = random.Random()
        self._counts: Counter[str] = Counter()
        self._faults: list[str] = []
        self._threads: list[int] = []
        self._waited: list[float] = []
        self._sites: Counter[str] = Counter()

    def start(self) -> None:
        """Begin with the first request."""
        threading.Thread(target=self._run, name="controller", daemon=True).start()

    def _run(self) -> None:
        self._application.called.wait()
        deadline = time.monotonic() + GIVE_UP
        while self._counts["in load"] < GOAL and not self._faults:
            self._check(time.monotonic() < deadline, f"no end after {GIVE_UP} s")
            time.sleep(self._moments.random() * 0.004)
            self._look_unfrozen()
            self._freeze()
        self._tell(self._report())
        select.select([sys.stdin.fileno()], [], [])
        self._tell({"state": self._application.state(), "paths": Counter(self._application.ended)})

    def _look_unfrozen(self) -> None:
        """The same look at threads that run, to see that it would notice."""
        before = self._application.state()
        for _ in range(10):
            self._counts["torn unfrozen"] += not self._is_consistent()
            time.sleep(GAP / 10)
        self._counts["moved unfrozen"] += self._application.state() != before

    def _freeze(self) -> None:
        try:
            with freezethreads.freeze(timeout=TOO_LONG) as world:
                self._look(world)
        except FreezeTimeout as error:
            self._faults.append(str(error))

    def _look(self, world: World) -> None:
        application = self._application
        self._check(not application.bank.lock.locked(), "somebody stands with the bank's lock")
        before = application.state()
        self._check(self._is_consistent(), f"torn: {before}")
        self._look_at_vault()
        self._look_at_threads(world)
        self._counts["freezes"] += 1
        self._counts["in load"] += application.in_flight > 0
        time.sleep(GAP)
        after = application.state()
        self._check(after == before, f"moved from {before} to {after}")
        self._check(self._is_consistent(), f"torn afterwards: {after}")

    def _look_at_vault(self) -> None:
        vault = self._application.vault
        torn = vault.left != vault.right
        self._counts["vault torn"] += torn
        self._check(vault.lock.locked() or not torn, "torn although nobody has the lock")

    def _look_at_threads(self, world: World) -> None:
        infos = world.threads
        running = [info for info in infos if info.state is not State.FROZEN]
        self._check(not running, f"not frozen: {running}")
        self._wait_for_others(world)
        self._threads.append(len(infos))
        self._waited.append(world.waited)
        self._sites.update(str(info.site.label) for info in infos if info.site)

    def _wait_for_others(self, world: World) -> None:
        """The one kind of thread that a world may not cover has yet to begin, or has ended.

        Such a one does not come by any code of the program, and is soon covered, or gone.
        """
        deadline = time.monotonic() + TOO_LONG
        while others := world.unregistered:
            stacks = read_stacks()
            inside = [one for one in others if _is_in_program(stacks.get(one.ident or 0, ()))]
            self._check(not inside, f"not covered: {inside}")
            self._check(time.monotonic() < deadline, f"still not covered: {others}")
            if self._faults:
                return
            self._counts["in passing"] += 1
            time.sleep(GAP / 10)

    def _is_consistent(self) -> bool:
        return self._application.bank.is_consistent() and self._application.desk.is_consistent()

    def _check(self, good: bool, fault: str) -> None:
        if not good:
            self._faults.append(fault)

    def _report(self) -> dict[str, Any]:
        return {
            **self._counts,
            "faults": self._faults,
            "threads": _spread(self._threads),
            "waited": _spread(self._waited),
            "sites": self._sites,
        }

    def _tell(self, line: dict[str, Any]) -> None:
        """In one step, since other processes write to the same pipe."""
        os.write(sys.stdout.fileno(), json.dumps(line).encode() + b"\n")


def _spread(numbers: Iterable[float]) -> tuple[float, float, float]:
    """The smallest, the one in the middle, and the largest."""
    ordered = sorted(numbers) or [0]
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def _is_in_program(stack: Stack) -> bool:
    """Whether a thread with this stack is in code of the application or of a server."""
    return any(not PROGRAM.isdisjoint(Path(call.filename).with_suffix("").parts) for call in stack)
