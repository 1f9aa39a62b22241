"""All that the explorer knows of the core's inside. When that changes, change this file.

* which files are the core;
* the primitives by which it waits: the raw locks of `Bell`s, the lock of moves, the future of a
  world's call, and leases;
* its clock, `monotonic` in any module, and the `sleep` between two looks at a straggler;
* what has to be empty in the end: a registry's `pending`, `active` and `settling`.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import get_ident
from typing import Any
from unittest.mock import patch

import freezethreads
from freezethreads import Freezer
from freezethreads._controller.lease import Lease
from stress.exploration._actor import Step
from stress.exploration._interruption import free
from stress.exploration._points import instrumented
from stress.exploration._run import NO_STEP, Run, current_run

NAMES = (
    "_ground/completion",
    "_controller/controller",
    "_controller/hooks",
    "_refrigerator/flat",
    "_freezer",
    "_controller/lease",
    "_controller/settling",
    "_controller/timeout",
    "_refrigerator/gathering",
    "_refrigerator/membership",
    "_refrigerator/no_freeze",
    "_registry/doors",
    "_registry/outstanding",
    "_registry/record",
    "_refrigerator/refrigerator",
    "_refrigerator/blocking",
    "_registry/registry",
    "_controller/nowait",
    "_registry/requests",
    "_controller/standing",
    "_registry/status",
    "_registry/todos",
    "_controller/turns",
    "_refrigerator/waits",
    "_controller/world",
    "sync/_condition",
    "sync/_locks",
    "sync/_own_world",
    "sync/_queues",
    "sync/_reentrant",
    "sync/_waitable",
)

FOLDER = Path(freezethreads.__file__).parent


def core_files() -> list[str]:
    """The files of which every access is a point where another thread may come in."""
    return [str((FOLDER / f"{name}.py").resolve(strict=True)) for name in NAMES]


class ModelLock:
    """Stands for a raw lock. Who waits for it, waits in the explorer."""

    def __init__(self) -> None:
        self._locked = False
        run = current_run()
        if run is not None:
            run.name(self)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire it. As the raw lock does."""
        run = current_run()
        step = _touch(self, run)
        while self._locked:
            step.writes = False
            if not blocking or timeout == 0 or run is None:
                return False
            has_come = run.wait(lambda: not self._locked, None if timeout < 0 else timeout)
            step = _touch(self, run)
            if not has_come:
                step.writes = False
                return False
        self._locked = True
        return True

    def release(self) -> None:
        """Release it. As the raw lock does."""
        step = _touch(self, current_run())
        if not self._locked:
            step.writes = False
            raise RuntimeError("release unlocked lock")
        self._locked = False

    def locked(self) -> bool:
        """Whether somebody has it."""
        _touch(self, current_run()).writes = False
        return self._locked

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self.release()


class ModelReentrantLock:
    """Stands for a re-entrant lock."""

    def __init__(self) -> None:
        self._lock = ModelLock()
        self._owner = 0
        self._times = 0

    def __enter__(self) -> bool:
        if self._owner != get_ident():
            self._lock.acquire()
            self._owner = get_ident()
        self._times += 1
        return True

    def release(self) -> None:
        """Release it. As the standard one does."""
        if self._owner != get_ident():
            raise RuntimeError("cannot release un-acquired lock")
        self._times -= 1
        if not self._times:
            self._owner = 0
            self._lock.release()

    def __exit__(self, *exc_info: object) -> None:
        self.release()


class ModelFuture(Future[Any]):
    """A future whose result is waited for in the explorer, and whose methods are one step each."""

    def done(self) -> bool:
        """Whether it is. As the standard one says."""
        _touch(self, current_run()).writes = False
        return super().done()

    def cancel(self) -> bool:
        """Cancel it. As the standard one does."""
        _touch(self, current_run())
        return super().cancel()

    def set_running_or_notify_cancel(self) -> bool:
        """Begin. As the standard one does."""
        _touch(self, current_run())
        return super().set_running_or_notify_cancel()

    def set_result(self, result: Any) -> None:
        """End. As the standard one does."""
        _touch(self, current_run())
        super().set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        """End. As the standard one does."""
        _touch(self, current_run())
        super().set_exception(exception)

    def result(self, timeout: float | None = None) -> Any:
        """The result. As the standard one gives it."""
        run = current_run()
        if run is not None:
            run.wait(super().done, timeout)
            _touch(self, run).writes = False
        return super().result(0)


def _touch(thing: object, run: Run | None) -> Step:
    return NO_STEP if run is None else run.touch(thing, "", True)


class ModelLease(Lease):
    """A lease that no thread watches: an actor of the scenario lets it run out."""

    def start(self) -> None:
        """Do not start a thread, but tell the run of it."""
        run = current_run()
        if run is not None:
            run.touch(run.leases, "", True)
            run.leases.append(self)

    def run_out(self) -> None:
        """Its time is up."""
        if not self._is_cancelled:
            self._run_out()


@contextmanager
def modelled(*files: str) -> Iterator[None]:
    """While entered, the core's steps and waits, and those of these files, are the explorer's."""
    disabled = logging.root.manager.disable
    for name in NAMES:
        importlib.import_module(f"freezethreads.{name.replace('/', '.')}")
    with ExitStack() as stack:
        stack.enter_context(instrumented((*core_files(), *files)))
        for module, name, model in (
            ("_ground.completion", "allocate_lock", ModelLock),
            ("_ground.completion", "main", ModelMain()),
            ("sync._condition", "LockType", ModelLock),
            ("_registry.registry", "RLock", ModelReentrantLock),
            ("_registry.todos", "Future", ModelFuture),
            ("_controller.controller", "Lease", ModelLease),
            ("_controller.controller", "look_out", lambda: None),
            ("_report.stragglers", "sleep", lambda seconds: None),
            ("_report.stragglers", "_may_move", lambda *_: False),
        ):
            owner = importlib.import_module(f"freezethreads.{module}")
            stack.enter_context(patch.object(owner, name, model))
        for path, loaded in list(sys.modules.items()):
            if path.startswith("freezethreads.") and hasattr(loaded, "monotonic"):
                stack.enter_context(patch.object(loaded, "monotonic", now))
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            free()
            logging.disable(disabled)


def now() -> float:
    """Seconds on the clock of the run: it goes on only when somebody's time is up."""
    run = current_run()
    return 1000.0 if run is None else run.now


class ModelMain:
    """The actor that stands for the main thread, if there is one."""

    @property
    def ident(self) -> int | None:
        run = current_run()
        actors = [] if run is None else [actor for actor in run.actors if actor.is_main]
        thread = actors[0].thread if actors else None
        return (threading.main_thread() if thread is None else thread).ident


def left_over(freezer: Freezer) -> str:
    """What is left of it when all is over, or "" if nothing is."""
    registry = freezer._registry
    for what, rest in (
        ("pending", registry.pending),
        ("active", registry.active),
        ("settling", registry.settling),
    ):
        if rest:
            return f"there is still something {what}: {list(rest)}"
    return "the freezer is still armed" if freezer.armed else ""
