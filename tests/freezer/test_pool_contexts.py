"""The pool's workers of CPython 3.14, which have a context each that makes the calls."""

from __future__ import annotations

import concurrent.futures.thread
import sys
from typing import Any

import pytest

from freezethreads import Freezer, ThreadPoolExecutor
from helpers import WAIT

pytestmark = pytest.mark.skipif(sys.version_info < (3, 14), reason="before, workers had none")


def test_a_context_of_ones_own_is_frozen_like_any_worker() -> None:
    told: list[str] = []
    base: Any = vars(concurrent.futures.thread).get("WorkerContext", object)

    class Context(base):  # type: ignore[misc]
        def initialize(self) -> None:
            super().initialize()
            told.append("initialized")

        def run(self, task: Any) -> Any:
            told.append("run")
            return super().run(task)

        def finalize(self) -> None:
            told.append("finalized")

    class Pool(ThreadPoolExecutor):
        @classmethod
        def prepare_context(cls, initializer: Any, initargs: Any, *, mark: str) -> Any:
            told.append(mark)
            return Context.prepare(initializer, initargs)

    freezer = Freezer("contexts")
    with Pool(1, freezer=freezer, mark="prepared") as pool:
        assert pool.submit(lambda: len(freezer.threads())).result(WAIT) == 1
        with freezer.freeze(timeout=WAIT):
            future = pool.submit(int)
            assert told == ["prepared", "initialized", "run"]
        assert future.result(WAIT) == 0
    assert told == ["prepared", "initialized", "run", "run", "finalized"]
