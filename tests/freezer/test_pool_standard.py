"""`ThreadPoolExecutor` does what the standard one does.

First by the standard library's own tests (see `pool_standard`), which not every interpreter is
installed with; then, on each, by short ones that the standard class and ours have to pass.
"""

from __future__ import annotations

import concurrent.futures
import gc
import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import Future
from concurrent.futures.thread import BrokenThreadPool
from typing import Any, TypeAlias

import pytest

from freezethreads._pool import ThreadPoolExecutor
from helpers import ROOT, WAIT, wait_for
from pool_standard import PACKAGE
from thread_helpers import Gate, finish

# The standard library's own tests.

CLASSES = {
    "ThreadPoolAsCompletedTest",
    "ThreadPoolExecutorTest",
    "ThreadPoolFailingInitializerTest",
    "ThreadPoolInitializerTest",
    "ThreadPoolShutdownTest",
    "ThreadPoolWaitTests",
}
PROCESSES = 6

# What these tests leave out themselves, on free-threaded builds, and why.
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
LEFT_OUT = {"test_idle_thread_reuse": "gh-117344: test is flaky without the GIL"}


def run_shares() -> list[dict[str, Any]]:
    """Run all the tests, in several processes at once; return what each of these printed."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "pool_standard", str(index), str(PROCESSES)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(PROCESSES)
    ]
    try:
        said = [run.communicate(timeout=5 * WAIT) for run in runs]
    finally:
        for run in runs:
            run.kill()
            run.wait()
    for run, (out, errors) in zip(runs, said, strict=True):
        assert run.returncode == 0, f"{out}\n{errors}"
    return [json.loads(out.splitlines()[-1]) for out, _ in said]


def test_the_standard_librarys_tests_pass() -> None:
    """Not every interpreter is installed with them: 3.11.7 and 3.12.1, as pyenv builds them, are
    not, and there this test is skipped. None newer may be."""
    if importlib.util.find_spec("test") is None or importlib.util.find_spec(PACKAGE) is None:
        version = sys.version.partition(" ")[0]
        assert sys.version_info < (3, 13), f"Python {version} is to be installed with its tests"
        pytest.skip(f"Python {version} is installed without {PACKAGE}")
    shares = run_shares()
    assert not [text for share in shares for text in share["failed"]]
    assert {name for share in shares for name in share["classes"]} == CLASSES
    assert sum(share["ran"] for share in shares) == shares[0]["tests"] >= 40
    skipped = {name: why for share in shares for name, why in share["skipped"].items()}
    assert skipped == (LEFT_OUT if FREE_THREADED else {})


# Ours.

Pool: TypeAlias = type[concurrent.futures.ThreadPoolExecutor]

each_class = pytest.mark.parametrize(
    "kind", [concurrent.futures.ThreadPoolExecutor, ThreadPoolExecutor], ids=["standard", "ours"]
)


def fail() -> None:
    raise LookupError("on purpose")


def capture(*args: object, **kwargs: object) -> tuple[tuple[object, ...], dict[str, object]]:
    return args, kwargs


@each_class
def test_submit(kind: Pool) -> None:
    with kind(2) as pool:
        assert pool.submit(capture, 1, self=2, fn=3).result(WAIT) == ((1,), {"self": 2, "fn": 3})
        failed = pool.submit(fail)
        assert isinstance(failed.exception(WAIT), LookupError)
        with pytest.raises(LookupError, match="on purpose"):
            failed.result()


@each_class
def test_map(kind: Pool) -> None:
    gate = threading.Event()
    with kind(2) as pool:
        assert list(pool.map(pow, range(10), range(10))) == list(map(pow, range(10), range(10)))
        late = pool.map(gate.wait, [WAIT], timeout=0.01)
        with pytest.raises(TimeoutError):
            next(late)
        gate.set()


@each_class
def test_wait_and_as_completed(kind: Pool) -> None:
    gate = Gate()
    with kind(2) as pool:
        slow: Future[object] = pool.submit(gate)
        quick: Future[object] = pool.submit(int, "7")
        done, _ = concurrent.futures.wait([slow, quick], WAIT, "FIRST_COMPLETED")
        assert done == {quick}
        completed = concurrent.futures.as_completed([slow, quick], WAIT)
        assert next(completed) is quick
        gate.open()
        assert next(completed) is slow


@each_class
def test_cancel(kind: Pool) -> None:
    gate = Gate()
    with kind(1) as pool:
        running, queued = pool.submit(gate), pool.submit(int)
        wait_for(gate.begun)
        assert not running.cancel()
        assert queued.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            queued.result(WAIT)
        gate.open()
    assert running.result() is True


@each_class
@pytest.mark.parametrize("cancel", [False, True], ids=["", "cancel_futures"])
def test_shutdown_without_waiting(kind: Pool, cancel: bool) -> None:
    gate = Gate()
    pool = kind(1)
    running, queued = pool.submit(gate), pool.submit(int, "7")
    wait_for(gate.begun)
    pool.shutdown(wait=False, cancel_futures=cancel)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(int)
    assert queued.cancelled() == cancel
    gate.open()
    pool.shutdown()
    assert running.result(0) is True
    assert cancel or queued.result(0) == 7


@each_class
def test_initializer(kind: Pool) -> None:
    local = threading.local()
    with kind(2, initializer=setattr, initargs=(local, "mine", 1)) as pool:
        barrier = threading.Barrier(2)
        futures = [pool.submit(lambda: (barrier.wait(WAIT), local.mine)[1]) for _ in range(2)]
        assert [future.result(WAIT) for future in futures] == [1, 1]


@each_class
def test_an_initializer_that_fails(kind: Pool, caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()

    def initialize() -> None:
        wait_for(gate)
        fail()

    with kind(1, initializer=initialize) as pool:
        futures = [pool.submit(int) for _ in range(3)]
        gate.set()
        assert {type(future.exception(WAIT)) for future in futures} == {BrokenThreadPool}
        with pytest.raises(BrokenThreadPool, match="initializer failed"):
            pool.submit(int)
    (record,) = caplog.records
    assert record.getMessage() == "Exception in initializer:"
    assert record.exc_info
    assert record.exc_info[0] is LookupError


@each_class
def test_workers(kind: Pool) -> None:
    """No more than asked for; none before there is work; named by the prefix."""
    release = threading.Semaphore(0)
    with kind(3, "prefix") as pool:
        assert not pool._threads
        for _ in range(10):
            pool.submit(release.acquire, timeout=WAIT)
        assert {thread.name for thread in pool._threads} == {"prefix_0", "prefix_1", "prefix_2"}
        release.release(10)
    assert not any(thread.is_alive() for thread in pool._threads)


@each_class
def test_defaults(kind: Pool) -> None:
    with kind() as pool:
        assert pool._max_workers == concurrent.futures.ThreadPoolExecutor()._max_workers
        pool.submit(int).result(WAIT)
        (worker,) = pool._threads
        assert re.fullmatch(r"ThreadPoolExecutor-\d+_0", worker.name)
        assert not worker.daemon


@each_class
def test_a_pool_that_nobody_refers_to_ends_its_workers(kind: Pool) -> None:
    pool = kind(2)
    pool.submit(int).result(WAIT)
    (worker,) = pool._threads
    del pool
    gc.collect()
    finish(worker)


@each_class
@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"max_workers": 0}, ValueError), ({"initializer": 1}, TypeError), ({"no": 1}, TypeError)],
)
def test_bad_arguments(kind: Pool, arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        kind(**arguments)
