"""What the tests share: threads whose errors are not lost, bounded waits, fresh interpreters."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, TypeVarTuple

from freezethreads._ground.original import OwnThread
from freezethreads._report.stacks import stack_of as summary_of_stack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

ROOT = Path(__file__).resolve().parents[2]

HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()

WAIT = 10.0
"""Seconds that any one wait in a test may last. A wait that runs into it is a failure."""


class Worker(threading.Thread, Generic[T]):
    """A thread that keeps what its function returned or raised for `finish()`.

    `failed` lists the workers whose error nobody has seen yet; `conftest.py` fails a test that
    leaves one there.
    """

    failed: ClassVar[list[Worker[Any]]] = []

    def __init__(self, call: Callable[[], T], *, name: str | None, daemon: bool) -> None:
        super().__init__(name=name, daemon=daemon)
        self._call = call
        self._result: list[T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as error:  # noqa: BLE001 - whatever it is, finish() raises it
            self.error = error
            self.failed.append(self)

    def finish(self, timeout: float = WAIT) -> T:
        """Wait for the thread's end; return what it returned, or raise what it raised."""
        self.join(timeout)
        assert not self.is_alive(), f"{self.name} is still running:\n{stack_of(self)}"
        if self.error is not None:
            if self in self.failed:
                self.failed.remove(self)
            raise self.error
        return self._result[0]


def start(
    fn: Callable[[*Ts], T], *args: *Ts, name: str | None = None, daemon: bool = True
) -> Worker[T]:
    """Start a thread that calls `fn(*args)`; end it with `finish()`."""
    worker = Worker(lambda: fn(*args), name=name, daemon=daemon)
    worker.start()
    return worker


class OwnWorker(Worker[T], OwnThread):
    """One that the library takes for its own: no freezer enrols or stops it."""


def start_own(fn: Callable[[*Ts], T], *args: *Ts, name: str = "freezethreads-test") -> Worker[T]:
    """Start a thread like those of the library that calls `fn(*args)`; end it with `finish()`."""
    worker = OwnWorker(lambda: fn(*args), name=name, daemon=True)
    worker.start()
    return worker


def wait_for(event: threading.Event) -> None:
    """Wait until `event` is set; fail after `WAIT` seconds."""
    assert event.wait(WAIT), f"the event was not set within {WAIT} s"


def wait_until(condition: Callable[[], bool]) -> None:
    """Look until `condition()` holds, for what there is no event of; fail after `WAIT` seconds."""
    deadline = time.monotonic() + WAIT
    pause = 0.00005  # most have to wait for a moment only
    while not condition():
        assert time.monotonic() < deadline, f"not so within {WAIT} s: {condition}"
        time.sleep(pause)
        pause = min(2 * pause, 0.001)


def raise_once(error: type[BaseException]) -> Callable[..., None]:
    """A function that raises `error` when it is first called, and does nothing from then on."""
    left = iter([error])

    def hit(*_: object) -> None:
        for each in left:
            raise each

    return hit


def stack_of(thread: threading.Thread) -> str:
    """Where `thread` is now, as a traceback prints it."""
    summary = summary_of_stack(thread.ident or 0)
    return "".join(summary.format()) or "(no stack)\n"


def run_python(
    code: str,
    *args: str,
    timeout: float = 50.0,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter that can import the checkout; warnings are errors there.

    `args` become `sys.argv[1:]`, `env` is added to this process's environment. With `check`, an
    exit status other than 0 fails the test and shows both outputs. The default timeout in seconds
    lies below that of a test, so that it is this one, which knows the command, that is reported.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": path, **(env or {})},
        check=False,
    )
    if check and result.returncode != 0:
        raise AssertionError(
            f"the interpreter ended with status {result.returncode}\n"
            f"--- stdout\n{result.stdout}--- stderr\n{result.stderr}"
        )
    return result
