"""Stopping a whole process for a moment, as a debugger does: with ptrace.

The list of its threads changes while they run, and a thread that ends takes the memory with it that
is to be written. A signal would be seen by its parent, and whoever is killed after SIGSTOP leaves
it stopped. A thread that is traced stops unseen, and goes on when its tracer ends, however it ends.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from freezethreads._attach.errors import AttachError
from freezethreads._attach.target import no_right, status_of, tasks_of, traced
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import sleep

__all__ = ["stopped"]

_SEIZE: Final = 0x4206
_INTERRUPT: Final = 0x4207
_DETACH: Final = 17
_EVENT_STOP: Final = 128
_WALL: Final = 0x40000000  # waits for threads as well
_PATIENCE: Final = 2.0  # seconds; a thread in a disk's or a network file's driver takes its time
_MOMENT: Final = 0.2  # seconds
_PAUSE: Final = 0.0005  # seconds


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """All threads of a process stand still in the kernel. In one thread from begin to end.

    Raises `AttachError`, and lets them go.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    seized: dict[int, int | None] = {}  # each with the signal that it is to get; None: it has ended
    deadline = Deadline(_PATIENCE)

    def ask(request: int, task: int, data: int = 0) -> int:
        ctypes.set_errno(0)
        return 0 if libc.ptrace(request, task, None, data) != -1 else ctypes.get_errno()

    def order(task: int) -> tuple[bool, int]:
        return task != pid, task

    def seize(task: int) -> None:
        while problem := ask(_SEIZE, task):
            if problem == errno.ESRCH or not status_of(pid, task):
                seized[task] = None
                return
            if problem != errno.EPERM or deadline.passed():
                is_traced = status_of(pid, task).get("TracerPid", "0") != "0"
                error = OSError(problem, os.strerror(problem))
                raise traced(pid, task) if is_traced else no_right(pid, error)
            sleep(_PAUSE)  # somebody looks, or attaches as we do, which takes a moment
        seized[task] = 0
        ask(_INTERRUPT, task)

    try:
        # Those that are stopped begin no others, so this ends. A list may be short of one that
        # runs if another one ended while it was made: so the last one is made twice.
        complete = 0
        while complete < 2:
            new = [task for task in sorted(tasks_of(pid), key=order) if task not in seized]
            complete = 0 if new else complete + 1
            for task in new:
                seize(task)
            for task in new:
                if seized[task] is not None:
                    seized[task] = _wait_for(pid, task, deadline)
        yield
    finally:
        # All begin with the main thread, so whoever has it has all.
        for task in sorted(seized, key=order, reverse=True):
            number = seized[task]
            if number is not None and ask(_DETACH, task, number) and _has_stopped(task):
                ask(_DETACH, task, 0)


def _has_stopped(task: int) -> bool:
    """Whether one that could not be let go stops after all. If it was killed, its tracer has heard
    of it then, before which it is kept."""
    deadline = Deadline(_MOMENT)
    with suppress(ChildProcessError):
        while not deadline.passed():
            found, status = os.waitpid(task, _WALL | os.WNOHANG)
            if found:
                return os.WIFSTOPPED(status)
            sleep(_PAUSE)
    return False


def _wait_for(pid: int, task: int, deadline: Deadline) -> int | None:
    """Until it stands. The signal that it is to get, or 0; None if it has ended."""
    while True:
        try:
            found, status = os.waitpid(task, _WALL | os.WNOHANG)
        except ChildProcessError:
            if task not in tasks_of(pid):
                return None
            found = 0
        if found:
            if not os.WIFSTOPPED(status):
                return None
            # An event is our own interruption, or that a signal has stopped the process before.
            return 0 if status >> 16 == _EVENT_STOP else os.WSTOPSIG(status)
        if deadline.passed():
            raise AttachError(
                f"thread {task} of process {pid} did not stop within {_PATIENCE:g} s: it waits in "
                "the kernel, for a disk or a network file, say; try again"
            )
        sleep(_PAUSE)
