"""A child process that saves: what it must leave alone, and how its end is learnt.

The division of labour is that of Redis's BGSAVE (https://redis.io/docs/latest/commands/bgsave/):
fork, let the child write what it has copied, and hear through a pipe how it went.

Two pipes join the two. On the *report* the child says what became of it, and its closing wakes the
parent. The *leash* carries nothing: its end in the parent closes when the parent dies, however
it dies, and the kernel then kills the child. (On Linux; elsewhere an orphan saves to its end.)
Without that the orphan could commit what the program's next run has already begun to do again.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import FileIO
from itertools import islice
from typing import NoReturn

from freezethreads._controller.fork import unwarned
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import sleep
from freezethreads.checkpoint._errors import CheckpointError
from freezethreads.checkpoint._forking import expecting_child

__all__ = ["Child", "start_child"]

_TICK = 0.25  # seconds between two looks whether the child lives, while it says nothing
_GRACE = 5.0  # seconds that a killed child may take to go


class Child:
    """The parent's view of a child that saves. Used by one thread at a time.

    It is made before the child, whose number comes into `pids`.
    """

    def __init__(self, pids: list[int], report: FileIO, leash: FileIO) -> None:
        self._pids = pids
        self._report = report
        self._leash = leash  # closed, at the latest with this object, it ends the child
        self._ended = False
        self._status: int | None = None

    @property
    def pid(self) -> int:
        """The child's number. Raises IndexError before there is one."""
        return self._pids[0]

    def wait(self, seconds: float | None) -> int | None:
        """Wait until the child has saved; return the payload's size, None if not known.

        Raises CheckpointError if it failed or has not ended after `seconds` (None: for ever).
        The child is gone, and waited for, whatever happens.
        """
        try:
            said = self._listen(Deadline(seconds))
            if said is None:
                raise CheckpointError(
                    f"the child was killed, since it had not saved after {seconds:g} s; "
                    "the checkpoint before stays"
                )
            return self._judge(said)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the child if it has not ended, and wait for it. May be repeated."""
        with suppress(ProcessLookupError):
            if not self._has_ended():  # so the number is still the child's, and nobody else's
                os.kill(self.pid, signal.SIGKILL)
        self._await_end(Deadline(_GRACE))
        self._report.close()
        self._leash.close()

    def _listen(self, deadline: Deadline) -> bytes | None:
        """Return all that the child said until its end, or None at the deadline."""
        poll = select.poll()
        poll.register(self._report, select.POLLIN)
        said = b""
        while True:
            ended = self._has_ended()  # asked first, so that no word of it is missed
            if poll.poll(0 if ended else _milliseconds(deadline)):
                words = self._report.read(65536)
                if not words:
                    return said if self._await_end(deadline) else None
                said += words
            elif ended:  # and a process that it has started keeps the pipe open
                return said
            elif deadline.passed():
                return None

    def _await_end(self, deadline: Deadline) -> bool:
        """Wait for a child that is on its way out: there is little to wait for."""
        pause = 0.0005
        while not self._has_ended():
            if deadline.passed():
                return False
            sleep(pause)
            pause = min(2 * pause, 0.05)
        return True

    def _has_ended(self) -> bool:
        """Whether the child has ended; wait for exactly this one, so that others are left alone."""
        if not self._pids:
            return True  # there never was one
        if not self._ended:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self._ended = pid != 0
                self._status = os.waitstatus_to_exitcode(status) if pid else None
            except ChildProcessError:  # SIGCHLD is ignored, or another thread waits for any child
                self._ended = True
        return self._ended

    def _judge(self, said: bytes) -> int | None:
        try:
            report = json.loads(said)
        except ValueError:
            raise CheckpointError(
                f"the child {_describe(self._status)} before it had saved; "
                "the checkpoint before stays",
                status=self._status,
            ) from None
        if report["traceback"]:
            raise CheckpointError(
                "the child could not save; the checkpoint before stays",
                status=self._status,
                traceback=report["traceback"],
            )
        size: int | None = report["size"]
        return size


def start_child(work: Callable[[], int | None], at_end: ExitStack) -> Child:
    """Fork a child that calls `work`, says what it returned or raised, and ends.

    Called while all registered threads of the process stand still, by who has told of the others:
    Python's own warning of a fork with threads would say it again, and of a line that nobody can
    edit. The child lives no longer than until `at_end` is closed, whatever comes before it is
    waited for. CheckpointError if the system refuses.
    """
    parent = os.getpid()
    # A signal that came between the fork and `_leave` would run the parent's handler in the child.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with ExitStack() as closing:
            report, says = _open_pipe(closing)
            held, leash = _open_pipe(closing)
            pids: list[int] = []
            child = Child(pids, report, leash)
            at_end.callback(child.kill)
            # In one step: another thread may take a signal, whose handler raises in this one, and
            # the child would be one that nobody knows.
            with expecting_child(), unwarned():
                pids.extend(islice(iter(os.fork, None), 1))
            if pids == [0]:
                leash.close()
                _live(work, says, held, mask)
            says.close()
            held.close()
            closing.pop_all()
            return child
    except (OSError, RuntimeError) as error:  # the latter in an interpreter that may not fork
        raise CheckpointError(f"no child could be forked: {error}; nothing was saved") from error
    finally:
        # However the child comes here, it has no business in the parent's code.
        if os.getpid() != parent:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _open_pipe(closing: ExitStack) -> tuple[FileIO, FileIO]:
    reads, writes = os.pipe()
    return closing.enter_context(FileIO(reads)), closing.enter_context(FileIO(writes, "w"))


def _live(work: Callable[[], int | None], says: FileIO, held: FileIO, mask: set[int]) -> NoReturn:
    """The child's life, with no way back: `atexit` is not run and no buffer is flushed."""
    report: dict[str, object] = {"size": None, "traceback": ""}
    try:
        _leave(held, mask)
        report["size"] = work()
    except BaseException:  # noqa: BLE001 - whatever it is, the parent raises it
        report["traceback"] = traceback.format_exc()
    words = json.dumps(report).encode()
    while words:
        words = words[says.write(words) :]
    os._exit(1 if report["traceback"] else 0)


def _leave(held: FileIO, mask: set[int]) -> None:
    """Leave the parent's affairs: its signal handlers, its output, its garbage, and its life."""
    # The parent's garbage is not this process's to collect: a finaliser may talk to a server.
    gc.freeze()
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    # A terminal's Ctrl-C goes to both, and it is for the parent to decide what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    # What the parent has printed and not flushed is in this process too: it must go nowhere.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    if sys.platform == "linux":
        fcntl.fcntl(held, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(held, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(held, fcntl.F_SETFL, os.O_ASYNC)
        poll = select.poll()
        poll.register(held, 0)
        if poll.poll(0):
            os._exit(1)  # the parent died before the kernel was asked to tell


def _milliseconds(deadline: Deadline) -> float:
    return 1000 * deadline.within(_TICK)


def _describe(status: int | None) -> str:
    if status is None:
        return "ended in a way that somebody else was told, who waited for it,"
    if status < 0:
        return f"was killed by signal {-status} ({signal.strsignal(-status)})"
    return f"ended with exit status {status}"
