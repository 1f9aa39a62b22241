"""The file objects of `subprocess.Popen`: who reads one waits in C, and so nothing stops it there.

`Popen` opens each pipe by `io.open`, which it finds in its own module. There it finds this one's,
which puts a raw file of ours below the buffer. Everything above that is as it was: the buffer asks
the raw file for more when it is empty, and that is where the thread waits.
"""

from __future__ import annotations

import io
import os
import warnings
from fcntl import ioctl
from sys import byteorder
from termios import FIONREAD
from types import ModuleType
from typing import Any, Final

from freezethreads._install._patches import Function, Switch
from freezethreads._install._wrappers import wait_readable
from freezethreads._refrigerator.waits import Waiting, plumbing, waits_count
from freezethreads._registry.registry import armed

plumbing.add(__file__)

_LABEL: Final = "Popen.read"
_NOTHING: Final = bytes(4)  # the number 0, as the system writes it
_NO_LINES: Final = (  # as the original says it
    "line buffering (buffering=1) isn't supported in binary mode, the default buffer size will be "
    "used"
)
_PIECE: Final = 64 * 1024  # bytes that a pipe has room for, usually


class Pipes(ModuleType):
    """The module `io` as `subprocess` sees it. What it has not, it takes from there."""

    def __init__(self, original: Any, switch: Switch) -> None:
        super().__init__(original.__name__, original.__doc__)
        self._original = original
        self._pipe = _make_pipe(switch)
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def open(self, file: Any, mode: str = "r", buffering: int = -1, **more: Any) -> Any:
        """As the original; and if that is to read from a pipe, the waits for what comes are
        freezable."""
        if not self._switch.on or mode != "rb" or more:
            return self._original.open(file, mode, buffering, **more)
        raw = self._pipe(file, mode)
        if buffering == 0:
            return raw
        if buffering == 1:
            warnings.warn(_NO_LINES, RuntimeWarning, stacklevel=2)
        return io.BufferedReader(raw, io.DEFAULT_BUFFER_SIZE if buffering < 2 else buffering)


def open_freezable(original: Function, switch: Switch, label: str) -> Any:
    """What the table puts in the place of that module."""
    return Pipes(original, switch)


def _bytes_in(descriptor: int) -> int:
    """How many are there to be read now; 0 also where nobody can tell."""
    try:
        return int.from_bytes(ioctl(descriptor, FIONREAD, _NOTHING), byteorder)
    except OSError:
        return 0  # it is no pipe, or as the call itself will say


def _make_pipe(switch: Switch) -> type[io.FileIO]:
    read, read_into, read_all = io.FileIO.read, io.FileIO.readinto, io.FileIO.readall

    class Pipe(io.FileIO):
        """The end of a pipe at which one reads. What comes during a freeze is left in there.

        Without a buffer a line is read byte by byte, and a wait for each would take most of the
        time. So as long as nobody freezes there is none for what is there: `_seen` is how many
        bytes that were.
        """

        _seen = 0

        def readinto(self, buffer: Any, /) -> Any:
            self._wait(memoryview(buffer).nbytes)
            return read_into(self, buffer)

        def read(self, size: int | None = -1, /) -> Any:
            if size is None or size < 0:
                return self.readall()
            self._wait(size)
            return read(self, size)

        def readall(self) -> Any:
            if not self._waits():
                return read_all(self)
            pieces = []
            while piece := self.read(_PIECE):
                pieces.append(piece)
            return b"".join(pieces)

        def _waits(self) -> bool:
            return switch.on and waits_count() and os.get_blocking(self.fileno())

        def _wait(self, size: int) -> None:
            if switch.on and not armed.registries:
                seen = self._seen or _bytes_in(self.fileno())
                if seen:
                    self._seen = max(seen - size, 0)
                    return
            self._seen = 0
            if self._waits():
                with Waiting(_LABEL, fork_safe=True):
                    wait_readable(self.fileno(), None)

    Pipe.__name__ = Pipe.__qualname__ = io.FileIO.__name__
    Pipe.__module__ = io.FileIO.__module__
    return Pipe
