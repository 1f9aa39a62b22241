"""What a number stands for: which process, whose, and why it may not answer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import sleep
from freezethreads._ground.proc import state_of, status_of
from freezethreads.control._errors import (
    ControlError,
    NoSuchProcess,
    NotPermitted,
    NotPython,
    NotServing,
    ProcessKilled,
)

__all__ = ["ends", "exists", "explain", "is_suspended", "owner_of"]


def exists(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    if pid <= 0:
        return False  # for the system that is a group of them
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except OverflowError:
        return False
    return state_of(pid) not in ("Z", "X")


def ends(pid: int) -> bool:
    """Whether a process that has closed its socket ends: it does that a moment later.

    Takes as long as that, and 0.2 s if it does not.
    """
    deadline = Deadline(0.2)
    while exists(pid):
        if deadline.passed():
            return False
        sleep(0.01)  # of a process that is not its child nobody is told
    return True


def is_suspended(pid: int) -> bool:
    """Whether a signal or a debugger has stopped it; False where the system does not say."""
    return state_of(pid) in ("T", "t")


def owner_of(pid: int) -> int:
    """The user whose process it is; this one where that cannot be told."""
    # Whose the directory in /proc is would not do: of who has changed its user it is root's.
    uids = status_of(pid).get("Uid", "").split()
    return int(uids[1]) if uids else os.geteuid()  # real, effective, saved, that for files


def _process_of(pid: int) -> int:
    """The process that has a thread of that number, as `top -H` shows it; else the same number."""
    return int(status_of(pid).get("Tgid", pid))


def explain(pid: int, *, left_a_socket: bool) -> ControlError:
    """Why nobody answers for a process. From what the system says now."""
    if not exists(pid):
        if left_a_socket:
            return ProcessKilled(
                f"process {pid} was killed: its control socket is still there, but no process; "
                "whatever stood frozen in it has ended with it"
            )
        return NoSuchProcess(f"there is no process {pid}")
    process = _process_of(pid)
    if process != pid:
        return NoSuchProcess(f"{pid} is the number of a thread of process {process}: say {process}")
    if not _is_own(pid):
        return NotPermitted(
            f"process {pid} belongs to another user: only that user and root may talk to it"
        )
    if _is_python(pid) is False:
        return NotPython(f"process {pid} ({_name_of(pid)}) is no Python")
    return NotServing(
        f"process {pid} does not serve: it has to call freezethreads.serve(), or to be started by "
        "'FREEZETHREADS_CONTROL=1 freezethreads run ...'; or, on CPython 3.14 and newer, to be "
        f"attached to: `freezethreads attach {pid}`"
    )


def _is_own(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return False
    except OSError:
        pass
    return os.geteuid() in (0, owner_of(pid))


def _name_of(pid: int) -> str:
    try:
        name = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        name = ""
    return name if name.isprintable() else ascii(name)


def _is_python(pid: int) -> bool | None:
    """Whether it runs Python, itself or as a library; None where that cannot be told."""
    if sys.platform != "linux":
        return None
    try:
        if "python" in os.path.basename(os.readlink(f"/proc/{pid}/exe")):
            return True
        with open(f"/proc/{pid}/maps", errors="replace") as maps:
            return any("libpython" in line for line in maps)
    except OSError:
        return None
