"""Attaching to a process, and detaching from it: this side.

The threads that are not the main one are asked first: a signal handler that raises may come in the
main thread at any moment, and what it raises would be lost in the script. Only if none of them has
answered soon, as those that sit in calls of C do not, the main thread is asked as well.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from freezethreads._attach import TIMEOUT
from freezethreads._attach.drop import Drop
from freezethreads._attach.errors import AttachError, ServesAlready, Unreached, Wait
from freezethreads._attach.poke import poke, take_back
from freezethreads._attach.target import Target, status_of, tasks_of
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import sleep
from freezethreads._ground.proc import number_of
from freezethreads.control import ControlError, NotServing, RequestRefused, connect

__all__ = ["Attached", "attach", "attached", "detach"]

_OTHERS_FIRST: Final = 0.3  # seconds
_PAUSE: Final = 0.005  # seconds
_SETTLING: Final = 0.02  # seconds
_PATIENCE: Final = 10.0  # seconds


@dataclass(frozen=True)
class Attached:
    """What a process said when it was attached to: its Python, the version of this library in it,
    and ``where`` a freeze stops its threads that does not say it itself."""

    pid: int
    python: str
    version: str
    where: str
    threads: int


def attach(
    pid: int,
    *,
    atomic: Iterable[tuple[str, str | None]] = (),
    freezable: Iterable[str] = (),
    timeout: float = TIMEOUT,
) -> Attached:
    """Have a process serve that nobody prepared, until `detach()`.

    `atomic` are names of code in which nobody is stopped, each with a kind or None, and `freezable`
    those whose entry and loops are safepoints. Raises `Unreached` if none of its threads has run
    Python within `timeout` seconds; `ServesAlready`; `AttachError` if it cannot be attached to;
    `ControlError` if there is no such process, it is another user's, or no Python. Whatever is
    raised, nothing of ours is left in it. In one thread from begin to end.
    """
    wanted = {"atomic": list(atomic), "freezable": list(freezable), "bound": False}
    with _begun(pid, wanted, timeout) as (attached, _):
        return attached


@contextmanager
def attached(pid: int, *, lasting: bool = False, timeout: float = TIMEOUT) -> Iterator[Attached]:
    """The process serves in here, and no longer than this process lives.

    At the end what was frozen for good is still waited for by the process itself; with `lasting`
    this does not wait for that. `timeout` and what it raises are those of `attach()`.
    """
    wanted = {"atomic": [], "freezable": [], "bound": True}
    with _begun(pid, wanted, timeout) as (found, last):
        yield found
    if not lasting:
        with suppress(AttachError):  # somebody else has come meanwhile, and the process waits
            _wait_for_end(pid, last)


@contextmanager
def _begun(
    pid: int, wanted: dict[str, Any], timeout: float
) -> Iterator[tuple[Attached, int | None]]:
    """Begin it; yield what it says, and the thread by which it will be over if it is bound."""
    try:
        connect(pid).close()
    except NotServing:
        pass
    else:
        raise ServesAlready(f"process {pid} serves already: all commands work on it as it is")
    with ExitStack() as stack:
        try:
            target = stack.enter_context(Target(pid))
            drop = stack.enter_context(Drop(pid, wanted))
            answer = _answer(target, drop, timeout)
            if answer is None:
                raise Unreached(
                    f"no thread of process {pid} has run Python within {timeout:g} s: each is in a "
                    "call of C, and nothing can be begun in it before one comes back",
                    _waits_of(pid),
                    _caught_by(pid),
                )
            if "problem" in answer:
                raise AttachError(f"process {pid}: {answer['problem']}")
            last = answer["last"]
            found = Attached(
                pid=pid,
                python=str(answer["python"]),
                version=str(answer["version"]),
                where=str(answer["where"]),
                threads=int(answer["threads"]),
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            if not status_of(pid):
                raise AttachError(f"process {pid} has ended meanwhile") from error
            raise AttachError(f"process {pid} cannot be attached to: {error}") from error
        yield found, last


def _answer(target: Target, drop: Drop, timeout: float) -> dict[str, Any] | None:
    """What the process answers, or None if nobody in it has begun, and nobody will.

    However this ends, nobody has the script still to run, and either this knows that it serves, or
    it does not.
    """
    answer = None
    try:
        answer = _ask(target, drop, timeout)
        # Who has begun is waited for: it loads the library.
        if answer is None and not drop.claim():
            answer = drop.wait(_PATIENCE)
            if answer is None:
                raise AttachError(
                    f"process {target.pid} has begun, and is not done after {_PATIENCE:g} s: what "
                    "keeps it? It ends that by itself when it is"
                )
        return answer
    except BaseException:
        if not drop.claim() and answer is None:
            _undo(target.pid, drop)
        raise
    finally:
        if answer is not None:
            drop.kept = bool(answer.get("copied"))
        try:
            if target.was_written_to and status_of(target.pid):
                take_back(target, drop.script)
                sleep(_SETTLING)  # one may be about to open it
        except (AttachError, OSError):
            drop.script_stays = True  # whoever runs it finds that it is not the first


def _undo(pid: int, drop: Drop) -> None:
    """Somebody has begun, and is not wanted any more."""
    with suppress(AttachError, ControlError, OSError):
        answer = drop.wait(_PATIENCE)
        if answer is not None and "problem" not in answer and answer.get("last") is None:
            detach(pid)


def _ask(target: Target, drop: Drop, timeout: float) -> dict[str, Any] | None:
    deadline = Deadline(timeout)
    main = number_of(target.pid)
    if poke(target, drop.script, lambda native: native != main):
        answer = drop.wait(min(_OTHERS_FIRST, timeout))
        if answer is not None:
            return answer
    # Not the others again: one of them may be ours by now.
    poke(target, drop.script, lambda native: native == main)
    return drop.wait(max(deadline.remaining(), 0.0))


def detach(pid: int) -> None:
    """Have a process that was attached to be as it was before: what is frozen there is thawed.

    Returns when that is done. Raises `AttachError` if it was not attached to; `ControlError` if it
    cannot be reached.
    """
    try:
        with connect(pid) as client:
            last = client.request("detach")["native_id"]
    except NotServing as error:
        told = f"process {pid} is not attached to: there is nothing to detach"
        raise AttachError(told) from error
    except RequestRefused as error:
        if error.kind != "wrong":
            raise
        raise AttachError(
            f"process {pid} was not attached to: it serves by itself, and has to end that by itself"
        ) from error
    _wait_for_end(pid, last)


def _wait_for_end(pid: int, last: int | None) -> None:
    """Until the thread that does the last of it has ended."""
    deadline = Deadline(_PATIENCE)
    while last is not None and _is_there(pid, last):
        if deadline.passed():
            raise AttachError(
                f"process {pid} is not done with detaching after {_PATIENCE:g} s: does somebody "
                "keep it frozen? Try again"
            )
        sleep(_PAUSE)


def _is_there(pid: int, native: int) -> bool:
    """Whether the thread runs that does the last of it."""
    if len(status_of(pid).get("NSpid", "").split()) < 2:
        return os.path.exists(f"/proc/{pid}/task/{native}")  # a list may be short of one
    tasks = {*tasks_of(pid), *tasks_of(pid)}
    return native in {number_of(pid, task) for task in tasks}


def _waits_of(pid: int) -> tuple[Wait, ...]:
    """Each thread of a process as the system knows it."""
    return tuple(_wait_of(pid, task) for task in sorted(tasks_of(pid)))


def _wait_of(pid: int, task: int) -> Wait:
    name = status_of(pid, task).get("Name", "?")
    with suppress(OSError, ValueError):
        words = Path(f"/proc/{pid}/task/{task}/syscall").read_text().split()
        if words[0] == "running":
            return Wait(task, name, "runs", ends=True)
        call = _SYSCALLS.get(os.uname().machine, {}).get(int(words[0]))
        if call == _FUTEX and int(words[4], 16) == 0:  # the address of its time-out
            return Wait(task, name, f"waits in {call}, without a time-out", ends=False)
        return Wait(task, name, f"waits in {call or f'system call {words[0]}'}", ends=True)
    return Wait(task, name, "waits in the system", ends=True)


def _caught_by(pid: int) -> tuple[str, ...]:
    """The signals for which a process has handlers, but for those that are about its end."""
    caught = int(status_of(pid).get("SigCgt", "0"), 16)
    return tuple(
        number.name
        for number in sorted(signal.valid_signals())
        if isinstance(number, signal.Signals)
        and caught >> number - 1 & 1
        and number not in _OF_THE_END
    )


_OF_THE_END: Final = {
    signal.SIGINT,  # for which Python has a handler of its own
    signal.SIGTERM,
    # What `faulthandler` catches, in C.
    *(signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT, signal.SIGBUS, signal.SIGILL),
}
_FUTEX: Final = "futex (a lock)"


# Those that programs wait in.
_SYSCALLS: Final[dict[str, dict[int, str]]] = {
    "x86_64": {
        0: "read", 1: "write", 7: "poll", 23: "select", 34: "pause", 35: "nanosleep",
        43: "accept", 45: "recvfrom", 47: "recvmsg", 61: "wait4", 72: "fcntl", 73: "flock",
        202: _FUTEX, 230: "clock_nanosleep", 232: "epoll_wait", 247: "waitid",
        270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4", 441: "epoll_pwait2",
    },
    "aarch64": {
        63: "read", 64: "write", 22: "epoll_pwait", 72: "pselect6", 73: "ppoll", 95: "waitid",
        98: _FUTEX, 101: "nanosleep", 115: "clock_nanosleep", 202: "accept",
        207: "recvfrom", 212: "recvmsg", 242: "accept4", 260: "wait4",
    },
}  # fmt: skip
