"""One attack on a store each, in a folder of its own, and what has to hold after it."""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from freezethreads.checkpoint import StoreError
from freezethreads.testing import Violation
from stress.attack._calls import (
    FAILURES,
    KILLED,
    Saving,
    check_status,
    count,
    failing,
    record,
)
from stress.attack._disk import Disk, Event, Image, Said
from stress.attack._saver import JOURNAL, STORES, Told, number_of, payload_of

SAVES, SIZE = 3, 9000
"""What a program saves whose calls are written down, or fail, and of how many bytes at most."""
MANY, LARGE = 1_000_000, 200_000
"""What one saves that is killed at any moment."""
BEGIN = 30.0
"""Seconds until such a program has begun to save."""


@contextmanager
def place(parent: Path) -> Iterator[Path]:
    """The path of a store in a folder of its own, which is removed."""
    with TemporaryDirectory(dir=parent) as folder:
        yield Path(folder, "state")


def check(kind: str, path: Path, why: str) -> None:
    """Raise `Violation` unless what is loaded was saved, is no older than what was said to be
    durable, and the store goes on from there."""
    told = Told.of(path.with_name(JOURNAL).read_bytes())
    what = f"{why}, with {told.durable} durable and {told.begun} begun"
    try:
        with closing(STORES[kind](path)) as store:
            number = number_of(store.load())
            if not told.durable <= number <= told.begun:
                raise Violation(f"{kind}: {number} was loaded after {what}")
            after = payload_of(told.begun + 1, SIZE)
            store.save(after)
            if store.load() != after:
                raise Violation(f"{kind}: the store does not go on after {what}")
    except (StoreError, ValueError) as error:
        raise Violation(f"{kind}: {error}, after {what}") from error


def kill_later(saving: Saving, later: float) -> None:
    """Let it save, and kill it so many seconds after its first save has begun."""
    journal = saving.path.with_name(JOURNAL)
    before = journal.stat().st_size if journal.exists() else 0
    with saving.start() as process:
        limit = time.monotonic() + BEGIN
        while not journal.exists() or journal.stat().st_size <= before:
            if process.poll() is not None or time.monotonic() > limit:
                break
            time.sleep(0.001)
        time.sleep(later)  # the moment is what is tried, and any will do
        process.kill()
        assert process.stdout is not None
        printed = process.stdout.read().decode(errors="replace")
    if process.returncode != -signal.SIGKILL:
        raise Violation(f"the program that saves ended by itself, and said:\n{printed}")


def each_failure(calls: dict[str, int], choose: random.Random) -> Iterator[tuple[str, int, str]]:
    """Every call that can fail, by its name and number, in every way that it can.

    Of each name one comes after the other, so that what is seldom called soon comes.
    """
    columns = []
    for call, most in calls.items():
        column = list(itertools.product([call], range(1, most + 1), (*FAILURES[call], KILLED)))
        columns.append(choose.sample(column, len(column)))
    for row in itertools.zip_longest(*columns):
        yield from (failure for failure in row if failure is not None)


def fail(saving: Saving, call: str, number: int, failure: str) -> None:
    """Let that one call fail, or the program be killed at it; its next saves have to work then."""
    why = f"{failure} at {call} {number}, {saving.way}"
    status, printed = saving.run(failing(call, number, failure))
    if not (failure == KILLED and status == -signal.SIGKILL):
        check_status(saving, status, f" after {why}; it said:\n{printed}")
    if saving.path.with_name(JOURNAL).exists():  # else it was killed before it came to anything
        check(saving.kind, saving.path, why)


def count_calls(saving: Saving) -> dict[str, int]:
    """How often it makes each call that can fail."""
    return count(saving, saving.path.parent.with_suffix(".trace"))


def record_calls(saving: Saving) -> list[Event]:
    """All that it did to the disk."""
    return record(saving, saving.path.parent.with_suffix(".trace"))


def power_failures(
    folder: str, events: list[Event], choose: random.Random, times: int
) -> Iterator[tuple[str, Image]]:
    """What may be there after a power failure at each moment, and when that was.

    The moments come in any order, so that none has to wait for long.
    """
    for number in choose.sample(range(len(events)), len(events)):
        disk, journal = Disk(folder), b""
        for event in events[: number + 1]:
            disk.play(event)
            if isinstance(event, Said):
                journal += event.text
        why = f"a power failure after event {number}, {events[number]!r:.60}"
        for image in disk.failures(choose, times):
            yield why, {**image, JOURNAL: journal}


def restore(image: Image, path: Path) -> None:
    """Make the folder what the power failure has left."""
    for name, data in image.items():
        path.with_name(name).write_bytes(data)
