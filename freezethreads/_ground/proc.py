"""What Linux tells in /proc of a process, or of one of its threads."""

from __future__ import annotations

from pathlib import Path


def status_of(pid: int, task: int | None = None) -> dict[str, str]:
    """What the system says of it, by key; nothing if there is none, or where it has no /proc.

    Of one that has ended, and that nobody has waited for, the "State" begins with Z or X.
    """
    path = f"/proc/{pid}/status" if task is None else f"/proc/{pid}/task/{task}/status"
    try:
        lines = Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def state_of(pid: int) -> str:
    """A letter, as `ps` shows it, or "" where nobody can tell."""
    return status_of(pid).get("State", "")[:1]


def number_of(pid: int, task: int | None = None) -> int:
    """What a process calls itself, or one of its threads: in a container another number than here.

    It is the same where the system does not say.
    """
    here = pid if task is None else task
    return int(status_of(pid, task).get("NSpid", str(here)).split()[-1])
