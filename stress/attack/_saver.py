"""A program that saves: ``python -m stress.attack._saver STORE WAY PATH SAVES SIZE``.

It writes into a file beside the path which checkpoint it begins to save, and which one it has been
told is durable. What is in a checkpoint follows from its number, so whoever loads one can tell
whether it is whole.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from freezethreads import Freezer
from freezethreads.checkpoint import Checkpointer, CheckpointError, FileStore, SQLiteStore
from stress._job import MUTANT

Store: TypeAlias = FileStore | SQLiteStore
STORES: dict[str, type[Store]] = {"file": FileStore, "sqlite": SQLiteStore}
WAYS = ("inline", "fork")
JOURNAL = "told"
"""The name of the file in which it says what it does."""
PROBLEMS = {
    3: "something was left open",
    4: "what was acknowledged was not loaded",
}
"""What it has noticed itself, by its exit status."""


@dataclass(frozen=True)
class Told:
    """What a program has said: the last checkpoint that it began, and the last durable one."""

    begun: int = 0
    durable: int = 0

    @classmethod
    def of(cls, journal: bytes) -> Told:
        """Read a journal, the last line of which may be torn."""
        numbers = {b"begun": 0, b"durable": 0}
        for line in journal.split(b"\n")[:-1]:
            word, number = line.split()
            numbers[word] = int(number)
        return cls(numbers[b"begun"], numbers[b"durable"])


def payload_of(number: int, size: int) -> tuple[int, int, bytes]:
    """The checkpoint of that number, of about that many bytes."""
    choose = random.Random(number)
    return number, size, choose.randbytes(choose.randrange(size // 2, size + 1))


def number_of(payload: Any) -> int:
    """The number of a checkpoint, 0 of None. ValueError for what was never saved so."""
    if payload is None:
        return 0
    number, size, _ = payload
    if payload != payload_of(number, size):
        raise ValueError(f"checkpoint {number} was not saved like this")
    return int(number)


def main(arguments: list[str]) -> int:
    """Save, and say so; a save that fails is one that was not made."""
    kind, way, path, saves, size = arguments
    if rule := os.environ.get(MUTANT):
        from stress.mutants import MUTANTS  # for this alone

        MUTANTS[rule].apply()
    journal = os.open(Path(path).with_name(JOURNAL), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    first = Told.of(Path(path).with_name(JOURNAL).read_bytes()).begun
    store = _open(STORES[kind], path)
    _load(store)
    checkpointer = Checkpointer(Freezer(), store, lambda: payload, mode="fork")
    opened = 0
    for number in range(first + 1, first + 1 + int(saves)):
        payload = payload_of(number, int(size))
        os.write(journal, b"begun %d\n" % number)
        try:
            checkpointer.checkpoint() if way == "fork" else store.save(payload)
        except CheckpointError:
            pass
        else:
            os.write(journal, b"durable %d\n" % number)
            if _load(store) != payload:
                return 4
        opened = opened or len(os.listdir("/dev/fd"))
    return 3 if opened < len(os.listdir("/dev/fd")) else 0


def _open(store: Callable[[str], Store], path: str) -> Store:
    """Open a store, with one failure at the most; and so for `_load`."""
    try:
        return store(path)
    except CheckpointError:
        return store(path)


def _load(store: Store) -> Any:
    try:
        return store.load()
    except CheckpointError:
        return store.load()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
