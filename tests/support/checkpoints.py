"""What the tests of checkpoints share: a store in memory, a gate, and threads to be stopped."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from freezethreads import Freezer
from freezethreads.checkpoint import Checkpoint, Checkpointer, SQLiteStore
from freezethreads.checkpoint._frame import unpack_frame
from helpers import WAIT, start, wait_for, wait_until


class Gate:
    """A call that tells that it was reached, and waits until it may go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        wait_for(self.go)


class MemoryStore:
    """Keeps the last payload, and does as it is told when it saves."""

    def __init__(
        self,
        on_save: Callable[[], object] = lambda: None,
        on_detach: Callable[[], object] = lambda: None,
    ) -> None:
        self.on_save = on_save
        self.on_detach = on_detach
        self.payload: bytes | None = None

    def detach(self, payload: Any) -> bytes:
        self.on_detach()
        return pickle.dumps(payload)

    def save(self, payload: bytes) -> int:
        self.on_save()
        self.payload = payload
        return len(payload)

    def load(self) -> Any:
        return None if self.payload is None else pickle.loads(self.payload)


class Counters:
    """Threads that change two numbers, which agree at their safepoints and nowhere else."""

    def __init__(self, threads: int) -> None:
        self.freezer = Freezer("counters")
        self.pairs = [[0, 0] for _ in range(threads)]
        self.done = threading.Event()
        self.workers = [start(self.count, pair) for pair in self.pairs]
        wait_until(lambda: all(pair[0] for pair in self.pairs))

    def count(self, pair: list[int]) -> None:
        with self.freezer.register():
            while not self.done.is_set():
                pair[0] += 1
                pair[1] += 1
                self.freezer.safepoint()

    def assert_running(self) -> None:
        """Fail if not every thread comes to a safepoint where it is not stopped."""
        for future in self.freezer.todo_all(int):
            future.result(WAIT)

    def finish(self) -> None:
        self.done.set()
        for worker in self.workers:
            worker.finish()


def last_of(checkpointer: Checkpointer) -> Checkpoint | None:
    """Its `last`, about which a type checker draws no conclusions."""
    return checkpointer.last


def whole_files(folder: Path) -> list[Any]:
    """What is in the files of a store, each of which is whole, in their order."""
    names = sorted(path for path in folder.iterdir() if path.suffix[1:].isdigit())
    return [pickle.loads(unpack_frame(name.read_bytes()).data) for name in names]


def in_a_load_of_sqlite(path: Path) -> tuple[SQLiteStore, Gate]:
    """A store with a checkpoint, and the gate at which whoever loads it stands, in a call of it."""
    gate = Gate()

    def loads(data: bytes) -> Any:
        gate()
        return pickle.loads(data)

    store = SQLiteStore(path, loads=loads)
    store.save(1)
    return store, gate
