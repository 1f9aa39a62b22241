"""Where the sockets are: in a directory that belongs to one user, and that nobody else can enter.

A process makes its own in `$XDG_RUNTIME_DIR/freezethreads`, or, where there is no such directory,
below that of temporary files. Who looks for one looks at both, and at `/run/user/UID`: the process
may have been started in another environment.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from freezethreads import FreezeError

__all__ = ["find_sockets", "make_directory", "sockets_of"]

_NAME = "freezethreads"
_LONGEST = 90  # bytes; with the name of a socket it has to be less than the 104 of the BSDs


def make_directory() -> Path:
    """Return the directory for this process's socket, made if need be.

    Raises `FreezeError` if there is none that can be trusted.
    """
    problems = []
    for directory in _own_directories():
        try:
            if len(os.fsencode(directory)) > _LONGEST:
                problems.append(f"{directory}: too long for the path of a socket")
                continue
            directory.mkdir(mode=0o700, exist_ok=True)
            problem = _problem_with(directory, os.geteuid())
        except OSError as error:
            problem = error.strerror or str(error)
        if not problem:
            return directory
        problems.append(f"{directory}: {problem}")
    raise FreezeError(f"no directory for the control socket ({'; '.join(problems)})")


def sockets_of(pid: int, uid: int) -> list[Path]:
    """Return the sockets of a process of that user, which may be stale; usually one or none."""
    paths = [directory / f"{pid}.sock" for directory in _trusted_directories(uid)]
    return [path for path in paths if _is_socket(path)]


def find_sockets(uid: int) -> Iterator[tuple[int, Path]]:
    """Every process of a user that has a socket, by number, with the socket, which may be stale."""
    for directory in _trusted_directories(uid):
        for path in sorted(directory.iterdir()):
            match = re.fullmatch(r"([1-9][0-9]*)\.sock", path.name)
            if match and _is_socket(path):
                yield int(match[1]), path


def _own_directories() -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    temporary = Path(tempfile.gettempdir(), f"{_NAME}-{os.geteuid()}")
    return [Path(runtime, _NAME), temporary] if os.path.isabs(runtime) else [temporary]


def _trusted_directories(uid: int) -> list[Path]:
    temporary = Path(tempfile.gettempdir(), f"{_NAME}-{uid}")
    candidates = [Path(f"/run/user/{uid}", _NAME), temporary]
    if uid == os.geteuid():
        candidates = [*_own_directories(), *candidates]
    unique = {os.path.realpath(path): path for path in candidates if os.path.lexists(path)}
    return [path for path in unique.values() if not _problem_with(path, uid)]


def _problem_with(directory: Path, uid: int) -> str:
    """What makes it impossible to trust a directory, or ""."""
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return "this is no directory"
    if status.st_uid != uid:
        return f"this belongs to user {status.st_uid}"
    if status.st_mode & 0o077:
        return "others may enter this; chmod 700 it"
    return ""


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False
