"""What it takes to look at a program from outside: the command `dump`, and the control socket."""

from __future__ import annotations

import functools
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

from benchmarks.rows import Group, Row, Sample, Scale
from freezethreads.control import Client, connect

SIZE = 200
SIZES = (100, 1000)
_LISTED = 1000  # threads in all the answers of one sample
_ROOT = Path(__file__).resolve().parents[2]

# Half of the threads stand in a region, half in a freezable wait, all some calls deep, as a thread
# of a server is.
_PROGRAM = """
import sys, threading, time
import freezethreads
from freezethreads import sync

def work(number):
    with freezethreads.register(f"worker {number}", group=f"group.{number % 7}"):
        all_there.wait()
        handle(number, 10)

def handle(number, depth):
    if depth:
        return handle(number, depth - 1)
    if number % 2:
        never.wait()
    with freezethreads.blocking("nap"):
        time.sleep(3600)

never = sync.Event()
all_there = threading.Barrier(int(sys.argv[1]) + 1)
for number in range(all_there.parties - 1):
    threading.Thread(target=work, args=(number,), daemon=True).start()
all_there.wait()
with freezethreads.serve():
    print("ready", flush=True)
    sys.stdin.read()
"""


def _time(command: Sequence[str]) -> float:
    """How long a command takes, from its start to its end; infinite if it fails."""
    began = perf_counter()
    result = subprocess.run(command, capture_output=True, check=False)
    return perf_counter() - began if result.returncode == 0 else math.inf


@contextmanager
def _dumps(scale: Scale) -> Iterator[Sequence[Sample]]:
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    spy = shutil.which("py-spy", path=path)
    if spy is None:
        raise RuntimeError("no py-spy: pip install py-spy")
    with _environment(), _running(scale.threads(SIZE)) as pid:
        ours = [sys.executable, "-m", "freezethreads", "dump", str(pid)]
        theirs = [spy, "dump", "--nonblocking", "--pid", str(pid)]
        yield [lambda: {"dump": _time(ours)}, lambda: {"py-spy": _time(theirs)}]


@contextmanager
def _listings(scale: Scale) -> Iterator[Sequence[Sample]]:
    """What the answer to a request for all threads takes for each of them."""

    def sample(size: int, client: Client) -> Mapping[str, float]:
        repeats = max(1, _LISTED // size)
        began = perf_counter()
        for _ in range(repeats):
            listed = client.request("threads")["threads"]
        seconds = perf_counter() - began
        return {f"of {size}": seconds / repeats / len(listed)}

    with _environment(), ExitStack() as stack:
        samples = []
        for size in SIZES:
            pid = stack.enter_context(_running(scale.threads(size)))
            client = stack.enter_context(connect(pid))
            samples.append(functools.partial(sample, size, client))
        yield samples


@contextmanager
def _environment() -> Iterator[None]:
    """What this process and its children look for this library and its sockets by."""
    with (
        tempfile.TemporaryDirectory(prefix="ft-") as folder,  # a short path, for a socket
        patch.dict(os.environ, PYTHONPATH=str(_ROOT), XDG_RUNTIME_DIR=folder),
    ):
        yield


@contextmanager
def _running(threads: int) -> Iterator[int]:
    """The number of a process with so many threads, which serves."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the program with threads has failed")
        try:
            yield process.pid
        finally:
            process.kill()


GROUPS = (
    # Both are whole commands, from the start of their process to its end.
    Group((Row("dump of a process with 200 threads", "dump", "py-spy", 3, 2),), _dumps, share=0.5),
    Group(
        (
            Row(
                f"control socket: list of {SIZES[1]} threads, per thread",
                f"of {SIZES[1]}",
                f"of {SIZES[0]}",
                2,
                1,
            ),
        ),
        _listings,
    ),
)
