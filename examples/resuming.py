"""A long computation that survives `kill -9`: it saves ten times a second, and goes on from there.

It counts the divisors of all numbers, for as long as it may. The first argument is a directory for
the checkpoints ("checkpoints" if there is none), and the second the seconds after which it stops by
itself (10). Run it again with the same directory, and it goes on where it was. It prints::

    begins at ...
    ends at ...; the sum of what was done is right: True
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import freezethreads
from freezethreads.checkpoint import Checkpointer, FileStore

WORKERS = 3
STEP = 20

freezer = freezethreads.Freezer("resuming")
over = threading.Event()


def divisors_of(number: int) -> int:
    """How many numbers divide this one."""
    return len([each for each in range(1, number + 1) if number % each == 0])


def work(state: dict[str, Any], lock: threading.Lock) -> None:
    """Take the next numbers, and add what comes out."""
    while not over.is_set():
        with lock:
            first = state["next"]
            state["next"] = first + STEP
            state["open"].add(first)
        found = 0
        for number in range(first, first + STEP):
            found += divisors_of(number)
            freezer.safepoint("one number")  # what is not finished is in `open`
        with lock:
            state["sum"] += found
            state["open"].discard(first)
        freezer.safepoint("booked")


def main(folder: str, seconds: float) -> None:
    """Go on from the last checkpoint for so many seconds."""
    store = FileStore(folder)
    state = store.load() or {"next": 1, "open": set(), "sum": 0}
    print("begins at", state["next"])
    for first in state["open"]:  # what was under way when it was saved
        state["sum"] += sum(map(divisors_of, range(first, first + STEP)))
    state["open"] = set()
    lock = threading.Lock()
    threads = [
        freezethreads.Thread(target=work, args=(state, lock), freezer=freezer)
        for _ in range(WORKERS)
    ]
    with Checkpointer(freezer, store, lambda: state, every=0.1) as checkpointer:
        for thread in threads:
            thread.start()
        over.wait(seconds)
        over.set()
        for thread in threads:
            thread.join()
        checkpointer.stop(final=True)
    saved: dict[str, Any] = store.load() or {}
    store.close()
    right = saved["sum"] == sum(map(divisors_of, range(1, saved["next"])))
    print(f"ends at {saved['next']}; the sum of what was done is right: {right}")


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    main(arguments.get(1, "checkpoints"), float(arguments.get(2, 10)))
