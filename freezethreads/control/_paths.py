"""Where the sockets are: in a directory that belongs to one user, and that nobody else can enter.

A process makes its own in `$XDG_RUNTIME_DIR/freezethreads`, or, where there is no such directory,
below that of temporary files. There anybody may make what they like, also under the usual name, and
take it away again. So whatever is found is judged before it is compared with anything; what is not
there any more is not the one; and if the usual name is taken, a directory gets one that nobody
could have known.

Who looks for a socket looks at all of these, and at `/run/user/UID`: the process may have been
started in another environment. If that can be read, it looks where that one says as well, and, if
the process has another file system, in that, where it has its own number.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from freezethreads import FreezeError
from freezethreads._ground.proc import number_of

__all__ = ["find_sockets", "make_directory", "sockets_of"]

_NAME = "freezethreads"
_TEMPORARY = ("/tmp", "/var/tmp", "/usr/tmp")  # where `tempfile` looks on its own
_LONGEST = 90  # bytes; with the name of a socket it has to be less than the 104 of the BSDs


def make_directory() -> Path:
    """Return the directory for this process's socket, made if need be.

    Raises `FreezeError` if there is none that can be trusted.
    """
    uid = os.geteuid()
    problems = []
    for directory in _usual_directories(uid):
        problem = _make(directory, uid)
        if not problem:
            return directory
        problems.append(f"{directory}: {problem}")
    try:
        return _unusual_directory(uid)
    except OSError as error:
        problems.append(error.strerror or str(error))
    raise FreezeError(f"no directory for the control socket ({'; '.join(problems)})")


def _make(directory: Path, uid: int) -> str:
    """Make a directory unless it is there. Returns why it cannot be used, or ""."""
    try:
        _check_length(directory)
        with suppress(FileExistsError):
            os.mkdir(directory, 0o700)
        return _problem_with(os.lstat(directory), uid)
    except OSError as error:
        return error.strerror or str(error)


def _unusual_directory(uid: int) -> Path:
    """One whose name nobody could take before, made if there is none yet. Raises OSError."""
    for directory in _trusted(_unusual_directories(uid), uid):
        return directory
    prefix = f"{_NAME}-{uid}-"
    folder = tempfile.gettempdir()
    _check_length(Path(folder, prefix + 8 * "x"))
    return Path(tempfile.mkdtemp(prefix=prefix, dir=folder))


def _check_length(directory: Path) -> None:
    if len(os.fsencode(directory)) > _LONGEST:
        raise OSError(errno.ENAMETOOLONG, "too long for the path of a socket")


def sockets_of(pid: int, uid: int) -> list[Path]:
    """Return the sockets of a process of that user, which may be stale; usually one or none."""
    paths = [directory / f"{pid}.sock" for directory in _trusted_directories(uid)]
    number = number_of(pid)
    paths += [
        directory / f"{number}.sock" for directory in _trusted(_own_directories(pid, uid), uid)
    ]
    return [path for path in dict.fromkeys(paths) if _is_socket(path)]


def _own_directories(pid: int, uid: int) -> list[Path]:
    """Where the process itself would have it, by its own environment, in its own file system."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes()
        is_elsewhere = _root_of(pid) != _root_of("self")
    except OSError:
        return []
    root = Path(f"/proc/{pid}/root") if is_elsewhere else Path("/")
    pairs = (os.fsdecode(pair).partition("=") for pair in text.split(b"\0"))
    environment = {name: value for name, _, value in pairs}
    own = [f"/run/user/{uid}/{_NAME}"]
    if runtime := environment.get("XDG_RUNTIME_DIR", ""):
        own.append(f"{runtime}/{_NAME}")
    temporary = [environment.get(name, "") for name in ("TMPDIR", "TEMP", "TMP")]
    for folder in filter(os.path.isabs, [*temporary, *_TEMPORARY]):
        start = f"{_NAME}-{uid}"
        names = _names_in(root / folder[1:])
        own += [f"{folder}/{name}" for name in sorted(names) if name.startswith(start)]
    return [root / path.lstrip("/") for path in own if os.path.isabs(path)]


def _root_of(process: int | str) -> object:
    """What tells the file system of one process from another's. Raises OSError."""
    root = os.stat(f"/proc/{process}/root")
    return os.readlink(f"/proc/{process}/ns/mnt"), root.st_dev, root.st_ino


def find_sockets(uid: int) -> Iterator[tuple[int, Path]]:
    """Every process of a user that has a socket, by number, with the socket, which may be stale."""
    for directory in _trusted_directories(uid):
        for name in sorted(_names_in(directory)):
            match = re.fullmatch(r"([1-9][0-9]*)\.sock", name)
            if match and _is_socket(directory / name):
                yield int(match[1]), directory / name


def _usual_directories(uid: int) -> list[Path]:
    """Where a process of this environment has its socket."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    directories = [Path(runtime, _NAME)] if os.path.isabs(runtime) else []
    return [*directories, *(folder / f"{_NAME}-{uid}" for folder in _temporary())]


def _unusual_directories(uid: int) -> list[Path]:
    """Those that have a random part in their names, whoever has made them."""
    start = f"{_NAME}-{uid}-"
    return [
        folder / name
        for folder in _temporary()
        for name in sorted(_names_in(folder))
        if name.startswith(start)
    ]


def _temporary() -> list[Path]:
    """The directory of temporary files; none if no such directory can be written to."""
    try:
        return [Path(tempfile.gettempdir())]
    except FileNotFoundError:
        return []


def _trusted_directories(uid: int) -> list[Path]:
    """Each directory of a user in which there may be sockets."""
    usual = _usual_directories(uid) if uid == os.geteuid() else []
    elsewhere = [Path(f"/run/user/{uid}", _NAME)]
    elsewhere += [folder / f"{_NAME}-{uid}" for folder in _temporary()]
    return _trusted([*usual, *elsewhere, *_unusual_directories(uid)], uid)


def _trusted(candidates: list[Path], uid: int) -> list[Path]:
    """Those that can be trusted, each once. Judged first: what cannot may lead to one that can."""
    unique: dict[tuple[int, int], Path] = {}
    for directory in candidates:
        with suppress(OSError):  # it is not there, or not any more
            status = os.lstat(directory)
            if not _problem_with(status, uid):
                unique.setdefault((status.st_dev, status.st_ino), directory)
    return list(unique.values())


def _names_in(directory: Path) -> list[str]:
    """What is in it now: nothing if it has gone, or cannot be read."""
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _problem_with(status: os.stat_result, uid: int) -> str:
    """What makes it impossible to trust a directory, or ""."""
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
