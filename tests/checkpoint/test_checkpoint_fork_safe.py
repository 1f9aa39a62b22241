"""When a child can be forked: never while a thread may hold a lock that it would wait for."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from checkpoints import Counters, Gate
from freezethreads import Freezer, FreezeTimeout
from freezethreads._controller.fork import looked_at
from freezethreads.checkpoint import Checkpointer, FileStore, ForkUnsafe, _modes
from helpers import WAIT, start, wait_for

logger = logging.getLogger(__name__)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    with closing(FileStore(tmp_path / "state")) as made:
        yield made


class Standing:
    """A registered thread that stands in a blocking region until it is let go."""

    def __init__(self, freezer: Freezer, *, fork_safe: bool) -> None:
        self.gate = Gate()
        self._freezer = freezer
        self._fork_safe = fork_safe
        self._end = threading.Event()
        self._worker = start(self._stand)
        wait_for(self.gate.reached)

    def _stand(self) -> None:
        with self._freezer.register("standing"):
            with self._freezer.blocking("zlib", fork_safe=self._fork_safe):
                self.gate()
            with self._freezer.blocking("idle", fork_safe=True):
                wait_for(self._end)

    def finish(self) -> None:
        self.gate.go.set()
        self._end.set()
        self._worker.finish()


def test_a_region_that_may_hold_a_lock_is_refused(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    freezer = Freezer("fork safe")
    standing = Standing(freezer, fork_safe=False)
    tries: list[float] = []
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
            patch.setattr(_modes, "sleep", tries.append)
            with pytest.raises(ForkUnsafe) as caught:
                Checkpointer(freezer, store, lambda: 1, mode="fork", timeout=0.2).checkpoint()
        assert len(tries) >= 2
        assert tries == sorted(tries)
        assert tries[-1] <= 0.1
    finally:
        standing.finish()
    line = Standing._stand.__code__.co_firstlineno + 2
    for part in ("standing", "'zlib'", f"{__file__}:{line}", "fork_safe=True", 'mode="inline"'):
        assert part in str(caught.value)
    assert "idle" not in str(caught.value)


def test_a_last_try_that_has_no_time_left_does_not_hide_that(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    freezer = Freezer("fork safe")
    standing = Standing(freezer, fork_safe=False)

    def sleep(_: float) -> None:
        monkeypatch.setattr(Freezer, "freeze", late)

    def late(_: Freezer, **arguments: Any) -> Any:
        raise FreezeTimeout("1 of 2 threads did not stop")

    monkeypatch.setattr(_modes, "sleep", sleep)
    try:
        with pytest.raises(ForkUnsafe, match="'zlib'"):
            Checkpointer(freezer, store, lambda: 1, mode="fork", timeout=WAIT).checkpoint()
    finally:
        standing.finish()


def test_a_thread_that_only_passes_through_such_a_region(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    freezer = Freezer("fork safe")
    standing = Standing(freezer, fork_safe=False)
    tries: list[float] = []

    def sleep(seconds: float) -> None:
        tries.append(seconds)
        standing.gate.go.set()

    monkeypatch.setattr(_modes, "sleep", sleep)
    Checkpointer(freezer, store, lambda: 1, mode="fork", timeout=WAIT).checkpoint()
    standing.finish()
    assert tries
    assert store.load() == 1


def test_a_region_that_says_that_it_is_fork_safe(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_modes, "sleep", lambda _: pytest.fail("it was tried again"))
    freezer = Freezer("fork safe")
    standing = Standing(freezer, fork_safe=True)
    Checkpointer(freezer, store, lambda: 1, mode="fork").checkpoint()
    standing.finish()


def test_a_save_in_this_process_may_hold_a_lock(store: FileStore, tmp_path: Path) -> None:
    """And so may a load. To wait for a child, a turn or the background thread is nothing."""
    gate = Gate()
    freezer = Freezer("fork safe")

    class Slow(FileStore):
        def save(self, payload: object) -> int:
            gate()
            return super().save(payload)

    with closing(Slow(tmp_path / "slow")) as slow:
        inline = Checkpointer(freezer, slow, lambda: 1)

        def work() -> None:
            with freezer.register("inline"):
                inline.checkpoint()

        worker = start(work)
        wait_for(gate.reached)
        with pytest.raises(ForkUnsafe, match=r"inline.*'checkpoint: saving'"):
            Checkpointer(freezer, store, lambda: 1, mode="fork", timeout=0.05).checkpoint()
        gate.go.set()
        worker.finish()


class Busy:
    """Threads that hold locks nearly all the time, but at no safepoint."""

    def __init__(self) -> None:
        self.freezer = Freezer("busy")
        self.lock = threading.Lock()
        self.done = threading.Event()
        self.workers = [start(self.work) for _ in range(4)]

    def work(self) -> None:
        with self.freezer.register():
            while not self.done.is_set():
                with self.lock:
                    for _ in range(100):
                        logger.debug("busy")
                self.freezer.safepoint()

    def take(self) -> int:
        """In the child: waits for ever if a thread held the lock when it was forked."""
        with self.lock:
            logger.debug("taking")
        return 1

    def finish(self) -> None:
        self.done.set()
        for worker in self.workers:
            worker.finish()


def test_busy_locks_do_not_hang_a_child(store: FileStore) -> None:
    busy = Busy()
    try:
        checkpointer = Checkpointer(
            busy.freezer, store, busy.take, mode="fork", save_timeout=WAIT / 2
        )
        for _ in range(25):
            checkpointer.checkpoint()
    finally:
        busy.finish()


def test_unregistered_threads_are_named_once(
    store: FileStore, caplog: pytest.LogCaptureFixture
) -> None:
    freezer = Freezer("fork safe")
    checkpointer = Checkpointer(freezer, store, lambda: 1, mode="fork", lease=WAIT)
    counters = Counters(1)
    counted = Checkpointer(counters.freezer, store, lambda: 1, mode="fork", lease=WAIT)
    counted.checkpoint()
    assert "unregistered" not in caplog.text  # of the library's own threads nothing is said
    gate = Gate()
    stranger = start(gate, name="stranger")
    wait_for(gate.reached)
    try:
        for _ in range(2):
            counted.checkpoint()
            checkpointer.checkpoint()
    finally:
        gate.go.set()
        stranger.finish()
        counters.finish()
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2
    assert told[0].startswith("forked while unregistered threads were running: stranger. If")


def test_python_does_not_warn_of_what_is_told(store: FileStore) -> None:
    """The checkpoint names who went on, and Python's warning would be of a line of this library."""
    counters = Counters(1)
    counted = Checkpointer(counters.freezer, store, lambda: 1, mode="fork", lease=WAIT)
    gate = Gate()
    stranger = start(gate, name="stranger")
    wait_for(gate.reached)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            counted.checkpoint()
        assert not said
        assert not looked_at
    finally:
        gate.go.set()
        stranger.finish()
        counters.finish()
