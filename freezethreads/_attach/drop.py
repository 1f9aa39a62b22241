"""The files by which a process is told what to do, and tells how it went.

They are in a folder of their own, in the process's own file system, that its user alone can enter:

    script   what each thread is asked to run: it has the first one begin a thread, and no more
    first    who can remove it is the first
    begin    what that thread runs: a copy of `begin.py`
    wanted   what it is to do
    answer   a pipe in which it says how that went; if nobody listens at its other end, the one who
             asked is dead, and nothing is done
    freezethreads
             a copy of this library, if the process could not read the one that is here
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from freezethreads._attach.errors import AttachError
from freezethreads._attach.target import status_of
from freezethreads._ground.deadline import Deadline

__all__ = ["Drop"]

_PACKAGE: Final = Path(__file__).parent.parent
_FOLDERS: Final = ("/tmp", "/var/tmp", "/dev/shm")
_ALIAS: Final = "freezethreads-attach-"
_MOST: Final = 1 << 20  # bytes of an answer
_SCRIPT: Final = """\
import _thread, os
def begin(folder={folder!r}):
    try:
        with open(folder + "/begin", "rb") as file:
            text = file.read()
    except OSError:  # the one who asked has given up
        return
    exec(compile(text, folder + "/begin", "exec"), dict(__name__="freezethreads", FOLDER=folder))
try:
    if os.getpid() == {pid}:
        os.unlink({folder!r} + "/first")
        _thread.start_new_thread(begin, ())
except (OSError, RuntimeError):
    pass
except KeyboardInterrupt:
    _thread.interrupt_main()
"""


class Drop:
    """The folder for one process. A context manager, which removes it.

    But for the copy of the library, which a process that is attached to goes on to read. Raises
    `AttachError`.
    """

    def __init__(self, pid: int, wanted: Mapping[str, Any]) -> None:
        status = status_of(pid)
        if not status:
            raise AttachError(f"process {pid} has ended meanwhile")
        self._pid = pid
        self._uid, self._gid = (int(status[key].split()[1]) for key in ("Uid", "Gid"))
        self.root = Path(f"/proc/{pid}/root")
        self._here = self._make_folder()
        self._parent: int | None = os.open(self._here.parent, os.O_DIRECTORY | os.O_CLOEXEC)
        self._files: list[int] = []
        self.kept = False
        try:
            self._fill(int(status.get("NSpid", str(pid)).split()[-1]), wanted)
        except OSError as error:
            self.remove()
            raise AttachError(f"cannot write to {self._here}: {error.strerror or error}") from error
        except BaseException:
            self.remove()
            raise

    def _make_folder(self) -> Path:
        problems = []
        for folder in _FOLDERS:
            try:
                return Path(tempfile.mkdtemp(prefix=_ALIAS, dir=f"{self.root}{folder}"))
            except OSError as error:
                problems.append(f"{folder}: {error.strerror}")
        raise AttachError(
            f"no folder for what process {self._pid} is to run ({'; '.join(problems)}): one of "
            "them has to be writable in its file system"
        )

    def _fill(self, pid: int, wanted: Mapping[str, Any]) -> None:
        there = self._there(self._here)
        copy = None if self._can_read_the_package() else self._here / "freezethreads"
        if copy is not None:
            shutil.copytree(_PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(_PACKAGE / "_attach" / "begin.py", self._here / "begin")
        package = str(_PACKAGE) if copy is None else self._there(copy)
        whole = {**wanted, "package": package, "copied": copy is not None}
        (self._here / "wanted").write_text(json.dumps(whole))
        (self._here / "first").touch()
        self.script = f"{there}/script"
        (self._here / "script").write_text(_SCRIPT.format(pid=pid, folder=there))
        self._files.append(os.open(self._here / "script", os.O_RDONLY | os.O_CLOEXEC))
        fcntl.flock(self._files[0], fcntl.LOCK_EX)  # until this is removed, or its process ends
        os.mkfifo(self._here / "answer", 0o600)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        self._answer = os.open(self._here / "answer", flags)
        self._files.append(self._answer)
        if os.geteuid() != self._uid:
            for path in (self._here, *self._here.rglob("*")):
                os.chown(path, self._uid, self._gid, follow_symlinks=False)

    def _there(self, path: Path) -> str:
        """What the process calls it."""
        return "/" + str(path.relative_to(self.root))

    def _can_read_the_package(self) -> bool:
        """Whether it sees this library's files where they are here."""
        try:
            if not os.path.samestat(os.stat(f"{self.root}{_PACKAGE}"), os.stat(_PACKAGE)):
                return False
        except OSError:
            return False
        if self._uid in (0, os.geteuid()):
            return True
        folders = [*_PACKAGE.parents, _PACKAGE, *(p for p in _PACKAGE.rglob("*") if p.is_dir())]
        files = _PACKAGE.rglob("*.py")
        wanted = stat.S_IROTH | stat.S_IXOTH
        return all(path.stat().st_mode & wanted == wanted for path in folders) and all(
            path.stat().st_mode & stat.S_IROTH for path in files
        )

    def wait(self, seconds: float) -> dict[str, Any] | None:
        """What the process has answered; None if it has not within that time.

        Raises `AttachError` if it has ended.
        """
        deadline = Deadline(seconds)
        said = b""
        while not said.endswith(b"\n"):
            left = max(deadline.remaining(), 0.0)
            if not select.select([self._answer], [], [], min(left, 0.1))[0]:
                if not status_of(self._pid):
                    raise AttachError(f"process {self._pid} has ended meanwhile")
                if left == 0:
                    return None
                continue
            part = os.read(self._answer, 65536)
            if not part:  # it has opened and closed it, and said nothing: a fault of ours, or exit
                raise AttachError(f"process {self._pid} began, and ended without an answer")
            said += part
            if len(said) > _MOST:
                raise AttachError(f"process {self._pid} answers with more than anybody asked for")
        found = json.loads(said)
        if not isinstance(found, dict):
            raise AttachError(f"process {self._pid} said what cannot be understood")
        return found

    def remove(self) -> None:
        """Remove the folder, but for the copy of the library if it is to be `kept`.

        Also if the process has ended, and its file system is not to be found by it any more.
        """
        while self._files:
            os.close(self._files.pop())
        parent, name = self._parent, self._here.name
        if parent is None:
            return
        self._parent = None
        try:
            if not self.kept:
                shutil.rmtree(name, ignore_errors=True, dir_fd=parent)
                return
            for file in ("script", "first", "begin", "wanted", "answer"):
                with suppress(FileNotFoundError):
                    os.unlink(f"{name}/{file}", dir_fd=parent)
        finally:
            os.close(parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()
