"""What it takes to look at a program from outside: the command `dump`, against py-spy alone."""

from __future__ import annotations

import functools
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from benchmarks.rows import Group, Row, Sample, Scale

SIZE = 200
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


def _time(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """How long a command takes, from its start to its end; infinite if it fails."""
    began = perf_counter()
    result = subprocess.run(command, env=environment, capture_output=True, check=False)
    return perf_counter() - began if result.returncode == 0 else math.inf


@contextmanager
def _dumps(scale: Scale) -> Iterator[Sequence[Sample]]:
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    spy = shutil.which("py-spy", path=path)
    if spy is None:
        raise RuntimeError("no py-spy: pip install py-spy")
    with tempfile.TemporaryDirectory(prefix="ft-") as folder:  # a short path, for a socket
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), "XDG_RUNTIME_DIR": folder}
        with _running(scale.threads(SIZE), environment) as pid:
            ours = [sys.executable, "-m", "freezethreads", "dump", pid]
            theirs = [spy, "dump", "--nonblocking", "--pid", pid]
            yield [
                functools.partial(_sample, name, command, environment)
                for name, command in (("dump", ours), ("py-spy", theirs))
            ]


def _sample(
    name: str, command: Sequence[str], environment: Mapping[str, str]
) -> Mapping[str, float]:
    return {name: _time(command, environment)}


@contextmanager
def _running(threads: int, environment: Mapping[str, str]) -> Iterator[str]:
    """The number of a process with so many threads, which serves."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the program with threads has failed")
        try:
            yield str(process.pid)
        finally:
            process.kill()


GROUPS = (
    Group((Row("dump of a process with 200 threads", "dump", "py-spy", 3, 2),), _dumps, share=0.5),
)
"""Both are whole commands, from the start of their process to its end."""
