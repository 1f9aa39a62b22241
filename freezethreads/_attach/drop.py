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
from freezethreads._ground.proc import number_of

__all__ = ["PREFIX", "Drop"]

_PACKAGE: Final = Path(__file__).parent.parent
_FOLDERS: Final = ("/tmp", "/var/tmp", "/dev/shm")
PREFIX: Final = "freezethreads-attach-"
"""How the name of each such folder begins."""
_MOST: Final = 1 << 20  # bytes of an answer
_SCRIPT: Final = """\
try:
    import _thread, os
    def begin(folder={folder!r}):
        try:
            with open(folder + "/begin", "rb") as file:
                text = file.read()
        except OSError:  # the one who asked has given up
            return
        text = compile(text, folder + "/begin", "exec")
        exec(text, dict(__name__="freezethreads", FOLDER=folder))
    if os.getpid() == {pid}:
        os.unlink({folder!r} + "/first")
        try:
            _thread.start_new_thread(begin, ())
        except RuntimeError:  # there is no room for a thread now: perhaps for the next one
            os.close(os.open({folder!r} + "/first", os.O_CREAT))
except (OSError, RecursionError):
    pass
except KeyboardInterrupt:
    _thread.interrupt_main()
"""


def _check_user(pid: int, uid: int) -> None:
    """Refuse a process whose files are another user's to put elsewhere. Raises `AttachError`."""
    if os.geteuid() == uid:
        return
    try:
        is_other = os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")
    except OSError:
        is_other = True
    if is_other:
        raise AttachError(
            f"process {pid} is in a user namespace of its own, in which its file system and its "
            f"users are as user {uid} says: attach to it as that user, or from inside of it"
        )


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
        _check_user(pid, self._uid)
        self.kept = False
        self.script_stays = False
        self._files: list[int] = []
        self._here = self._make_folder()
        flags = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._parent: int | None = os.open(self._here.parent, os.O_DIRECTORY | os.O_CLOEXEC)
        self._folder = os.open(self._here.name, flags, dir_fd=self._parent)
        try:
            self._fill(wanted)
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
                prefix = f"{PREFIX}{self._pid}-"
                return Path(tempfile.mkdtemp(prefix=prefix, dir=f"{self.root}{folder}"))
            except OSError as error:
                problems.append(f"{folder}: {error.strerror}")
        raise AttachError(
            f"no folder for what process {self._pid} is to run ({'; '.join(problems)}): one of "
            "them has to be writable in its file system"
        )

    def _fill(self, wanted: Mapping[str, Any]) -> None:
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
        (self._here / "script").write_text(_SCRIPT.format(pid=number_of(self._pid), folder=there))
        self._files.append(os.open(self._here / "script", os.O_RDONLY | os.O_CLOEXEC))
        fcntl.flock(self._files[0], fcntl.LOCK_EX)  # until this is removed, or its process ends
        os.mkfifo(self._here / "answer", 0o600)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        self._answer = os.open(self._here / "answer", flags)
        self._files.append(self._answer)
        if os.geteuid() != self._uid:
            # The folder at last: until then nobody else can put anything into it.
            for path in (*sorted(self._here.rglob("*"), reverse=True), self._here):
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

    def claim(self) -> bool:
        """See to it that nobody begins who has not begun. False if somebody has."""
        try:
            os.unlink("first", dir_fd=self._folder)
        except OSError:
            return False
        return True

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
        try:
            found = json.loads(said)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise AttachError(f"process {self._pid} said what cannot be understood")
        return found

    def remove(self) -> None:
        """Remove the folder, but for what is to stay in it.

        That is the copy of the library if it is `kept`, and the script if `script_stays`. Also if
        the process has ended, and its file system is not to be found by it any more.
        """
        while self._files:
            os.close(self._files.pop())
        if self._parent is None:
            return
        parent, self._parent = self._parent, None
        try:
            if not self.kept and not self.script_stays:
                shutil.rmtree(self._here.name, ignore_errors=True, dir_fd=parent)
                return
            for file in ("first", "begin", "wanted", "answer", "script"):
                if file != "script" or not self.script_stays:
                    with suppress(OSError):
                        os.unlink(file, dir_fd=self._folder)
        finally:
            os.close(self._folder)
            os.close(parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()
