"""Programs that end while their threads are parked, frozen, or about to be."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable

from freezethreads import World
from freezethreads.testing import Actor, Role, Scenario, Violation

LAUNCHERS = 2
PATIENCE = 1.6
"""Times the run's freeze time-out: what a program, which needs a fraction of a second, is given."""

PROGRAM = """
import logging, random, sys, threading, time
import freezethreads
from freezethreads import sync

logging.getLogger("freezethreads").disabled = True
seed, count = sys.argv[1:]
choose = random.Random(seed)
main = threading.main_thread()
kept = []

def work(way):
    with freezethreads.register():
        while main.is_alive():
            if way == "safepoint":
                freezethreads.safepoint()
                time.sleep(0.0005)
            elif way == "blocking":
                with freezethreads.blocking():
                    time.sleep(0.001)
            else:
                sync.sleep(0.001)

def freeze():
    while main.is_alive():
        with freezethreads.freeze(timeout=None):
            time.sleep(choose.random() * 0.001)

def stop(how, stays):
    stopped = how(timeout=None)
    kept.append(stopped)
    if stays:
        main.join()
    else:
        stopped.thaw()

def start(target, *args):
    threading.Thread(target=target, args=args, daemon=choose.random() < 0.5).start()

for _ in range(int(count)):
    start(work, choose.choice(["safepoint", "blocking", "sync"]))
for _ in range(choose.randrange(3)):
    start(freeze)
how = choose.choice([freezethreads.freeze, freezethreads.hold])
stops = choose.random() < 0.5
stays = stops and choose.random() < 0.5  # then nobody else gets a turn, and nobody registers
if stops:
    threading.Thread(target=stop, args=(how, stays), daemon=True).start()
time.sleep(choose.random() * 0.02)
ends = [freezethreads.hold] if stays else [freezethreads.freeze, freezethreads.hold]
end = choose.choice(["return", "keep", "raise", "abandon", *(["register"] if not stays else [])])
if end == "keep":
    kept.append(choose.choice(ends)(timeout=None))
elif end == "raise":
    with choose.choice(ends)(timeout=None):
        sys.exit()
elif end == "abandon":
    choose.choice(ends)(timeout=None)
elif end == "register":
    freezethreads.register()
"""


class Exits(Scenario):
    """Programs that end with threads parked and frozen, worlds and holds kept, or amid a freeze.

    Some threads are daemons, and some have to see by themselves that the main thread has ended,
    for which nobody may be left frozen. Each program ends in time, with status 0, and silently.
    """

    controllers = 1

    def setup(self) -> None:
        self.programs: dict[Actor, list[int]] = {}

    def actors(self) -> Iterable[Role]:
        return [Role(self.launch, LAUNCHERS)]

    def launch(self, actor: Actor) -> None:
        counts = self.programs[actor] = [0, 0]
        while not actor.over:
            seed = f"{actor.random.randrange(16**8):08x}"
            counts[0] += 1
            with self.freezer.blocking("waiting for a program"):
                self.run_program(seed)
            counts[1] += 1
            self.freezer.safepoint("a program has ended")
            actor.step()

    def run_program(self, seed: str) -> None:
        arguments = [seed, str(min(self.threads, 8))]
        command = [sys.executable, "-W", "error", "-c", PROGRAM, *arguments]
        limit = PATIENCE * self.freeze_timeout
        began = time.monotonic()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            took = time.monotonic() - began
            raise Violation(f"the program with {arguments} did not end in {took:.0f} s") from None
        if done.returncode or done.stdout or done.stderr:
            raise Violation(
                f"the program with {arguments} ended with {done.returncode}, and said:\n"
                f"{done.stdout}{done.stderr}"
            )

    def invariant(self, world: World) -> None:
        for actor, (begun, ended) in self.programs.items():
            if begun - ended not in (0, 1):
                raise Violation(f"{actor.name} has begun {begun} programs and ended {ended}")
