"""What the programs share: registered threads, and a main thread that waits to be told to end.

In each program one thread does not stop. The docstring's first word is the cause, and the line that
ends in `# here` is the one to be found. Argument 1 is how many seconds a diagnosis may take.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import freezethreads

freezer = freezethreads.default_freezer


def start(
    work: Callable[[], object], *, name: str = "culprit", waker: Callable[[], object] | None = None
) -> threading.Thread:
    """Run `work` in a registered thread; returns when it is registered."""

    def run() -> None:
        with freezer.register(name, waker=waker):
            registered.set()
            work()

    registered = threading.Event()
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    registered.wait()
    return thread


def pass_safepoints() -> None:
    """What a thread does that stops at once."""
    idle = threading.Event()
    while True:
        idle.wait(0.002)
        freezer.safepoint("loop")


def wait_to_end() -> None:
    """Let others look at this process, until its input ends."""
    with freezer.serve():
        print("ready", flush=True)
        sys.stdin.read()


start(pass_safepoints, name="innocent")
