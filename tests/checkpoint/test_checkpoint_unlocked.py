"""Checkpoints of a program that nobody prepared, between two bytecodes and with no lock held."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Literal

import pytest

from checkpoints import MemoryStore
from freezethreads import FreezeError, Freezer
from freezethreads.checkpoint import Checkpointer, FileStore
from helpers import WAIT, start, wait_for
from machine import needs_monitoring, spin

Mode = Literal["inline", "fork"]


@needs_monitoring
@pytest.mark.parametrize("mode", ["inline", "fork"])
def test_what_is_taken_is_whole_though_nobody_is_registered(mode: Mode, tmp_path: Path) -> None:
    lock, begun, over = threading.Lock(), threading.Event(), False
    accounts = [1000, 1000]

    def move() -> None:
        while not over:
            with lock:
                accounts[0] -= 1
                spin()
                accounts[1] += 1
            begun.set()

    def take() -> list[int]:
        assert lock.acquire(blocking=False)  # nobody has it
        lock.release()
        return list(accounts)

    worker = start(move)
    try:
        wait_for(begun)
        store = FileStore(tmp_path / "state")
        checkpointer = Checkpointer(
            Freezer(), store, take, mode=mode, where="unlocked", timeout=WAIT
        )
        for _ in range(5):
            checkpointer.checkpoint()
            saved = checkpointer.load()
            assert saved is not None
            assert sum(saved) == 2000
            assert saved[0] < 1000
        store.close()
    finally:
        over = True
        worker.finish()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there it can be had")
def test_before_cpython_3_12_it_says_so() -> None:
    checkpointer = Checkpointer(Freezer(), MemoryStore(), int, where="unlocked")
    with pytest.raises(FreezeError, match=r"needs CPython 3\.12 or newer"):
        checkpointer.checkpoint()
