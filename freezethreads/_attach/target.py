"""A process as somebody who may trace it sees it: which Python it is, and its memory.

Whatever speaks against attaching is found here, before anything is touched, and has a sentence.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from freezethreads._attach.errors import AttachError
from freezethreads._attach.layout import COOKIE, FREE_THREADED, LAYOUTS, VERSION, Offsets
from freezethreads._ground import proc

__all__ = ["Target", "no_right", "status_of", "tasks_of", "traced"]

_NEWEST: Final = max(LAYOUTS)
_OLDEST: Final = min(LAYOUTS)
_INSTEAD = (
    "`freezethreads dump` shows what py-spy sees of it; or start it by "
    "'FREEZETHREADS_CONTROL=1 freezethreads run ...'"
)


class Target:
    """The memory of a process that runs a CPython which can be attached to.

    A context manager, which closes it. Raises `AttachError`.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.was_written_to = False
        if sys.platform != "linux":
            raise AttachError(f"attaching works on Linux alone: {_INSTEAD}")
        process = status_of(pid).get("Tgid", str(pid))
        if process != str(pid):
            raise AttachError(
                f"{pid} is the number of a thread of process {process}: say {process}"
            )
        if status_of(pid).get("State", "").startswith("T"):
            raise AttachError(
                f"process {pid} was stopped by a signal, and nothing runs in it: `kill -CONT "
                f"{pid}` first"
            )
        path, base = _runtime_of(pid)
        try:
            self._memory = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise no_right(pid, error) from error
        try:
            self._runtime = base
            self._read_table(path)
        except BaseException:
            self.close()
            raise

    def _read_table(self, path: str) -> None:
        try:
            head = self.read(self._runtime, 24)
        except OSError as error:
            raise no_right(self.pid, error) from error
        if head[:8] != COOKIE:
            raise _too_old(self.pid, path)
        version, free_threaded = struct.unpack_from("<QQ", head, VERSION)
        assert VERSION + 8 == FREE_THREADED
        self.version = (version >> 24 & 255, version >> 16 & 255, version >> 8 & 255)
        name = ".".join(map(str, self.version))
        layout = LAYOUTS.get(self.version[:2])
        if layout is None and self.version[:2] < _OLDEST:
            raise _too_old(self.pid, path, name)
        if layout is None:
            raise AttachError(
                f"process {self.pid} runs CPython {name}, which is newer than this version of "
                f"freezethreads knows ({_NEWEST[0]}.{_NEWEST[1]}): use a newer one"
            )
        if free_threaded:
            raise AttachError(
                f"process {self.pid} runs a free-threaded CPython {name}: attaching to one was "
                "never tried, so it is not done; start it by 'FREEZETHREADS_CONTROL=1 "
                "freezethreads run ...'"
            )
        try:
            self.offsets = Offsets(self.read(self._runtime, layout.size), layout)
        except ValueError as error:
            raise AttachError(
                f"process {self.pid} runs a CPython {name} that is built otherwise than the usual "
                f"ones ({error}): it is left alone"
            ) from None
        self.interpreter = self._main_interpreter()
        (enabled,) = struct.unpack("<i", self.read(self.interpreter + self.offsets.enabled, 4))
        if enabled != 1:
            raise AttachError(
                f"process {self.pid} lets nobody attach: it was started with "
                "PYTHON_DISABLE_REMOTE_DEBUG or -X disable-remote-debug, or its Python was built "
                "--without-remote-debug; start it without, or " + _INSTEAD
            )

    def _main_interpreter(self) -> int:
        found = self.pointer(self._runtime + self.offsets.interpreters_head)
        while found:
            (number,) = struct.unpack("<q", self.read(found + self.offsets.interpreter_id, 8))
            if number == 0:
                return found
            found = self.pointer(found + self.offsets.interpreter_next)
        raise AttachError(f"process {self.pid} has no interpreter: it is starting, or about to end")

    def read(self, address: int, size: int) -> bytes:
        """Raises OSError, also if there is less."""
        found = os.pread(self._memory, size, address)
        if len(found) != size:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        return found

    def pointer(self, address: int) -> int:
        """The pointer at that address. Raises OSError."""
        (found,) = struct.unpack("<Q", self.read(address, 8))
        return int(found)

    def write(self, address: int, data: bytes) -> None:
        """Raises OSError."""
        self.was_written_to = True
        if os.pwrite(self._memory, data, address) != len(data):
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))

    def threads(self) -> Iterator[tuple[int, int]]:
        """The threads that have run Python: the address of the state of each, and its native id.

        While the process is stopped, since they come and go.
        """
        own = self._own_ids(tasks_of(self.pid))
        state = self.pointer(self.interpreter + self.offsets.threads_head)
        while state:
            native = self.pointer(state + self.offsets.native_thread_id)
            if native in own:
                yield state, native
            state = self.pointer(state + self.offsets.thread_next)

    def _own_ids(self, tasks: list[int]) -> set[int]:
        """What the process itself calls its tasks: in a container other numbers than here."""
        if status_of(self.pid).get("NSpid", "").split()[1:]:
            return {proc.number_of(self.pid, task) for task in tasks}
        return set(tasks)

    def close(self) -> None:
        """Close its memory."""
        os.close(self._memory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def tasks_of(pid: int) -> list[int]:
    """The threads of a process, as the system numbers them; none if it has ended."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def status_of(pid: int, task: int | None = None) -> dict[str, str]:
    """What the system says of a process or one of its threads; nothing if it has ended."""
    status = proc.status_of(pid, task)
    return {} if status.get("State", "Z")[:1] in "ZX" else status


def traced(pid: int, task: int) -> AttachError:
    """What to say of a process that somebody traces already."""
    tracer = status_of(pid, task).get("TracerPid", "0")
    name = status_of(int(tracer)).get("Name", "?")
    return AttachError(
        f"process {pid} is being traced by process {tracer} ({name}), a debugger by its look, and "
        "nobody else can: let that one detach first"
    )


def _runtime_of(pid: int) -> tuple[str, int]:
    """The file that has the interpreter of a process, and where its runtime's data begin."""
    exe = f"/proc/{pid}/exe"
    try:
        name = os.readlink(exe)
        maps = Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()
    except OSError as error:
        raise no_right(pid, error) from error
    bases: dict[str, int] = {}
    for line in maps:
        words = line.split(maxsplit=5)
        if len(words) == 6:
            bases.setdefault(words[5], int(words[0].partition("-")[0], 16))
    libraries = [path for path in bases if re.search(r"libpython3[^/]*\.so", path)]
    for path in [*libraries, name]:
        file = exe if path == name else f"/proc/{pid}/root{path}"
        found = _section_of(pid, file)
        if found is not None:
            address, is_relative = found
            return path, address + (bases.get(path, 0) if is_relative else 0)
    raise _too_old(pid, name)


def _section_of(pid: int, path: str) -> tuple[int, bool] | None:
    """Where a file says that `PyRuntime` is to be, and whether that counts from where it is loaded.

    None if it has none.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if head[:4] != b"\x7fELF":
                return None
            if head[4] != 2 or head[5] != 1:
                raise AttachError(
                    f"process {pid} is no 64-bit little-endian program, and nothing else can be "
                    f"attached to: {_INSTEAD}"
                )
            (kind,) = struct.unpack_from("<H", head, 0x10)
            (table,) = struct.unpack_from("<Q", head, 0x28)
            size, count, names = struct.unpack_from("<HHH", head, 0x3A)
            file.seek(table)
            sections = [struct.unpack_from("<IIQQQQ", file.read(size)) for _ in range(count)]
            if not sections:
                return None
            file.seek(sections[names][4])
            text = file.read(sections[names][5])
    except FileNotFoundError:
        raise AttachError(
            f"the interpreter of process {pid} is not on disk any more ({path}): was it updated? "
            "Start the process anew"
        ) from None
    except OSError as error:
        raise no_right(pid, error) from error
    except (struct.error, IndexError):
        return None
    for name, _, _, address, _, _ in sections:
        if text[name : text.find(b"\0", name)] == b".PyRuntime":
            return address, kind == 3  # 3: it may be loaded anywhere
    return None


def _too_old(pid: int, path: str, version: str = "") -> AttachError:
    if not version:
        match = re.search(r"python(3\.\d+)", path)
        version = match[1] if match else ""
    what = f"CPython {version}" if version else f"{os.path.basename(path)}"
    return AttachError(
        f"process {pid} runs {what}, and attaching needs CPython "
        f"{_OLDEST[0]}.{_OLDEST[1]} or newer, which lets tools in by itself: {_INSTEAD}"
    )


def no_right(pid: int, error: OSError) -> AttachError:
    """What to say of a process that the system keeps us away from."""
    if not status_of(pid) or error.errno in (errno.ESRCH, errno.ENOENT):
        return AttachError(f"process {pid} has ended meanwhile")
    if error.errno not in (errno.EPERM, errno.EACCES):
        return AttachError(f"process {pid} cannot be read: {error.strerror or error}")
    return AttachError(
        f"no right to trace process {pid}: be its user or root; and where the system restricts "
        "tracing, as root `sysctl kernel.yama.ptrace_scope=0`, or give this command the capability "
        "CAP_SYS_PTRACE (in a container: --cap-add=SYS_PTRACE)"
    )
