"""The program that the tests of ``freezethreads dump`` look at, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from freezethreads.control import connect
from helpers import WAIT

# A thread at a safepoint, in another group one in a region, and a lock that one has and one wants.
PROGRAM = """
import os, sys, threading, time
import freezethreads
from freezethreads import sync

class Worker:
    def work(self, started):
        secret = "swordfish"
        with freezethreads.register("worker", group="io.disk"):
            with lock:
                started.set()
                while True:
                    time.sleep(0.001)
                    freezethreads.safepoint("between files")  # here

def nap(started):
    with freezethreads.register("napper"):
        with freezethreads.blocking("nap"):
            started.set()
            time.sleep(3600)

def want(started):
    with freezethreads.register("wanting"):
        started.set()
        with lock:
            print("never")

def compute(started):
    with freezethreads.register("late", group="late"):
        started.set()
        while True:
            time.sleep(0.001)

lock = sync.Lock()
for work in [Worker().work, nap, want, *([compute] if "late" in sys.argv else [])]:
    started = threading.Event()
    threading.Thread(target=work, args=(started,), daemon=True).start()
    started.wait()
with freezethreads.serve():
    print("ready", flush=True)
    sys.stdin.read()
"""
LINE = next(number for number, line in enumerate(PROGRAM.splitlines(), 1) if "# here" in line)


class Program:
    """The program, in a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.path = folder / "program.py"
        self.path.write_text(PROGRAM)
        self.process = subprocess.Popen(
            [sys.executable, str(self.path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self.pid = str(self.process.pid)

    def state(self) -> str:
        """Whether somebody has stopped it."""
        with connect(self.process.pid) as client:
            return str(client.hello["state"])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=WAIT)
