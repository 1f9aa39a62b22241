"""Runs the program that saves under strace: its system calls are written down, or fail.

Only those count that touch the files of the store. Linux alone has strace; `available` tells.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from freezethreads.testing import Violation
from stress.attack._disk import Event, Made, Named, Removed, Resized, Said, Synced, Written
from stress.attack._saver import JOURNAL, PROBLEMS

ROOT = Path(__file__).resolve().parents[2]

LONGEST = 60.0
"""Seconds that one program gets."""
FAILURES = {
    "openat": ("EIO", "ENOSPC", "EACCES", "EMFILE", "EROFS", "EINTR"),
    "write": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "pwrite64": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "ftruncate": ("EIO", "ENOSPC", "EINTR"),
    "fsync": ("EIO", "ENOSPC", "EINTR"),
    "fdatasync": ("EIO", "ENOSPC", "EINTR"),
    "rename": ("EIO", "ENOSPC", "EACCES"),
    "unlink": ("EIO", "EACCES", "EROFS"),
    "fchmod": ("EIO", "EPERM"),
    "flock": ("EINTR", "ENOLCK"),
    "fcntl": ("EIO", "EAGAIN", "EACCES", "ENOLCK", "EINTR"),
    "read": ("EIO", "EINTR"),
    "pread64": ("EIO", "EINTR"),
    "getdents64": ("EIO",),
    "newfstatat": ("EIO", "EACCES"),
}
"""How each system call fails on a disk that is broken, full, read-only or far away."""
KILLED = "KILL"
"""In place of a failure: the program is killed before the call is made."""
_FAST = ["--seccomp-bpf"]  # it stops at no other calls, and sends no signals
_WRITES = "openat,write,pwrite64,ftruncate,rename,unlink,fsync,fdatasync"
_CALL = re.compile(r"\d+ +(\w+)\((.*)\) += (-?\d+|\?)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"\d+<((?:\\x[0-9a-f]{2})*)>")
_CHANGED_BY_OTHERS = ("pwritev", "writev", "truncate", "renameat", "unlinkat", "fallocate")


@dataclass(frozen=True)
class Saving:
    """One run of the program that saves: see `stress.attack._saver`."""

    kind: str
    way: str
    path: Path
    saves: int
    size: int

    @property
    def command(self) -> list[str]:
        """What starts it."""
        numbers = (str(self.saves), str(self.size))
        warnings = [f"-W{option}" for option in sys.warnoptions]
        module = ["-m", "stress.attack._saver"]
        return [sys.executable, *warnings, *module, self.kind, self.way, str(self.path), *numbers]

    def start(self, tracing: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start it, under strace with these options if there are any."""
        before = ["strace", "-f", *tracing, *self._watched()] if tracing else []
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return subprocess.Popen(
            [*before, *self.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path},
        )

    def run(self, tracing: Sequence[str] = ()) -> tuple[int, str]:
        """Run it to its end; return its exit status, and what it has printed."""
        with self.start(tracing) as process:
            try:
                printed, _ = process.communicate(timeout=LONGEST)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGTERM)  # strace passes that on, and ends
                printed, _ = process.communicate()
        return process.returncode, printed.decode(errors="replace")

    def _watched(self) -> Iterator[str]:
        """The options for the paths that count."""
        names = [self.path.name + end for end in ("", "-journal", ".lock", ".unfinished", ".saved")]
        names += [f"{self.path.name}.{number:010d}" for number in range(1, 2 * self.saves + 2)]
        for name in names:
            yield from ("-P", str(self.path.with_name(name)))
        yield from ("-P", str(self.path.parent))


def check_status(saving: Saving, status: int, more: str) -> None:
    """Raise `Violation` if the program has not ended well."""
    if status:
        problem = PROBLEMS.get(status, f"it ended with status {status}")
        raise Violation(f"{saving.kind}: {problem}{more}")


def available() -> bool:
    """Whether system calls can be traced here."""
    return shutil.which("strace") is not None


def record(saving: Saving, trace: Path) -> list[Event]:
    """Let it save, and return all that it did to the disk, in order."""
    options = ["-y", "-xx", "-s", str(4 * saving.size + 65536), "-o", str(trace)]
    watched = ["-P", str(saving.path.with_name(JOURNAL))]
    which = ",".join((_WRITES, *_CHANGED_BY_OTHERS))
    status, printed = saving.run([*_FAST, "-e", f"trace={which}", *options, *watched])
    check_status(saving, status, f"; it said:\n{printed}")
    return [event for line in trace.read_text().splitlines() for event in _events(line)]


def count(saving: Saving, trace: Path) -> dict[str, int]:
    """Let it save, and return how often it makes each call of `FAILURES`."""
    status, printed = saving.run([*_FAST, "-e", f"trace={','.join(FAILURES)}", "-o", str(trace)])
    check_status(saving, status, f"; it said:\n{printed}")
    names = [match[1] for match in map(_CALL.match, trace.read_text().splitlines()) if match]
    return {name: names.count(name) for name in FAILURES if name in names}


def failing(call: str, number: int, failure: str) -> list[str]:
    """The options with which that one call fails, or the program is killed at it."""
    how = "signal=KILL" if failure == KILLED else f"error={failure}"
    fast = [] if failure == KILLED else _FAST
    return [
        *fast,
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:{how}:when={number}",
        "-o",
        os.devnull,
    ]


def _events(line: str) -> Iterator[Event]:
    """What one line of strace's says was done: nothing, or one thing or two."""
    match = _CALL.match(line)
    if match is None:
        if "+++" in line or "---" in line:
            return
        raise RuntimeError(f"this line of strace's is not understood: {line:.200}")
    call, arguments, result = match.groups()
    if int(result) < 0:
        return
    texts = [_bytes(text) for text in _TEXT.findall(arguments)]
    names = [os.path.basename(text.decode()) for text in texts[:2] if call in _BY_NAME]
    if call == "openat":
        if "O_CREAT" in arguments:
            yield Made(names[0])
        if "O_TRUNC" in arguments:
            yield Resized(names[0], 0)
    elif call == "rename":
        yield Named(names[0], names[1])
    elif call == "unlink":
        yield Removed(names[0])
    elif call in _CHANGED_BY_OTHERS:
        raise RuntimeError(f"a store that uses {call}() is not known here: {line:.200}")
    else:
        opened = _DESCRIPTOR.match(arguments)
        assert opened is not None, line
        name = os.path.basename(_bytes(opened[1]).decode())
        yield _done_to(name, call, arguments, texts, int(result))


_BY_NAME = ("openat", "rename", "unlink")


def _done_to(name: str, call: str, arguments: str, texts: list[bytes], result: int) -> Event:
    """What was done to an open file, or to the folder."""
    if call in ("fsync", "fdatasync"):
        return Synced(name)
    if call == "ftruncate":
        return Resized(name, int(arguments.rpartition(", ")[2]))
    data = texts[0][:result]
    if len(data) < result:
        raise RuntimeError(f"strace has shortened what was written to {name}")
    if name == JOURNAL:
        return Said(data)
    return Written(name, int(arguments.rpartition(", ")[2]) if call == "pwrite64" else None, data)


def _bytes(text: str) -> bytes:
    """What strace's hexadecimal stands for."""
    return bytes.fromhex(text.replace("\\x", ""))
