"""Children of programs whose threads work: how many hang, with `guard_forks()` and without.

``python tools/benchmarks/forks.py --help`` says how. Each troublemaker runs in a process of its
own: its threads work, and meanwhile that forks, over and over. A child does what makes trouble (it
logs, acquires the lock, shows a bar) and ends. Those that have not ended after a while hang. The
pause is what `os.fork()` takes in the parent.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import multiprocessing.queues
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import freezethreads  # noqa: E402 - from this checkout

PATIENCE = 10.0
"""Seconds after which a child hangs that has not ended."""


class Troublemaker:
    """A program. `start` starts its threads, and `use` is what a child does."""

    def start(self) -> None:
        raise NotImplementedError

    def use(self) -> None:
        raise NotImplementedError

    def fork(self) -> int:
        """Make a child that does it and ends; its number."""
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                self.use()
                status = 0
            finally:
                os._exit(status)
        return pid


def work(call: Callable[[], object], threads: int = 1, pause: float = 0.0) -> None:
    """Have so many threads call it for ever."""

    def loop() -> None:
        while True:
            call()
            time.sleep(pause)

    for _ in range(threads):
        threading.Thread(target=loop, daemon=True).start()


class Logging(Troublemaker):
    """Five threads log to a file."""

    def start(self) -> None:
        self.log = logging.getLogger("bench")
        self.log.propagate = False
        self.log.addHandler(logging.FileHandler(os.devnull))
        work(self.use, 5)

    def use(self) -> None:
        self.log.warning("a record of %s", "some length" * 10)


class Lock(Troublemaker):
    """A helper thread lives inside one lock."""

    def start(self) -> None:
        self.lock = threading.Lock()
        work(self.hold, pause=0.0005)

    def hold(self) -> None:
        with self.lock:
            time.sleep(0.002)

    use = hold


class Pool(Troublemaker):
    """A pool's thread opens a process pool while others work."""

    def start(self) -> None:
        self.lock = threading.RLock()
        self.pool = ThreadPoolExecutor(2)
        work(self.use, 2, pause=0.0002)

    def use(self) -> None:
        with self.lock:
            sum(range(1000))

    def fork(self) -> int:
        return self.pool.submit(self.open).result()

    def open(self) -> int:
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
        future = pool.submit(_use_in_pool)
        (pid,) = dict(pool._processes or {})
        with contextlib.suppress(TimeoutError):
            future.result(PATIENCE)
        pool.shutdown(wait=False)  # its manager would wait for a child that hangs
        return int(pid)


def _use_in_pool() -> None:
    program.use()


class Tqdm(Troublemaker):
    """The monitor of tqdm, and a thread with a bar."""

    def start(self) -> None:
        from tqdm import tqdm  # type: ignore[import-untyped,import-not-found,unused-ignore]

        self.tqdm: Any = tqdm
        tqdm.monitor_interval = 0.0005
        self.file = open(os.devnull, "w")  # noqa: SIM115 - for as long as the program lives
        for _ in range(2):
            bar = tqdm(file=self.file, miniters=2, mininterval=0, maxinterval=0)
            work(bar.update, pause=0.0002)

    def use(self) -> None:
        with open(os.devnull, "w") as file, self.tqdm(total=3, file=file, mininterval=0) as bar:
            for _ in range(3):
                bar.update()


class Queue(Troublemaker):
    """The feeder of a queue of multiprocessing, two who put and one who gets."""

    def start(self) -> None:
        self.queue: multiprocessing.queues.Queue[int] = multiprocessing.get_context("fork").Queue()
        work(self.use, 2, pause=0.0001)
        work(self.queue.get)

    def use(self) -> None:
        self.queue.put(1)


class SQLAlchemy(Troublemaker):
    """Five threads with the pool of one engine.

    In a child the connections that threads have taken from the pool do not come back, so that it
    has to leave that pool, as the documentation of SQLAlchemy says.
    """

    def start(self) -> None:
        from sqlalchemy import (  # type: ignore[import-not-found,unused-ignore]
            create_engine,
            pool,
            text,
        )

        self.engine = create_engine(
            "sqlite://",
            poolclass=pool.QueuePool,
            pool_size=3,
            max_overflow=1,
            connect_args={"check_same_thread": False},
        )
        self.query = text("select 1")
        work(self.select, 5, pause=0.0001)

    def use(self) -> None:
        self.engine.dispose(close=False)
        self.select()

    def select(self) -> None:
        with self.engine.connect() as connection:
            connection.execute(self.query).all()


class Server(Troublemaker):
    """A server that forks its workers, with a control thread that writes down how they are."""

    def start(self) -> None:
        self.lock = threading.Lock()
        self.state: dict[str, float] = {}
        self.log = logging.getLogger("control")
        self.log.propagate = False
        self.log.addHandler(logging.FileHandler(os.devnull))
        work(self.use, 1, pause=0.0002)

    def use(self) -> None:
        self.lock.acquire()
        self.state["now"] = time.monotonic()
        self.log.warning("state: %s", json.dumps(self.state))
        self.lock.release()


PROGRAMS = {
    "logging": Logging,
    "lock": Lock,
    "pool": Pool,
    "tqdm": Tqdm,
    "queue": Queue,
    "sqlalchemy": SQLAlchemy,
    "server": Server,
}
program: Troublemaker


def trouble(name: str, guarded: bool, forks: int) -> dict[str, Any]:
    """Fork that often, and return what became of it."""
    global program
    warnings.simplefilter("ignore", DeprecationWarning)
    if guarded and sys.version_info < (3, 12):
        freezethreads.install().enrol()
    program = PROGRAMS[name]()
    program.start()
    time.sleep(0.2)
    pauses: list[float] = []
    forked: dict[int, float] = {}
    refused = failed = 0
    guard = freezethreads.guard_forks(timeout=30)
    with guard if guarded else contextlib.nullcontext():
        os.fork, fork = timed(os.fork, pauses), os.fork
        for _ in range(forks):
            try:
                forked[program.fork()] = time.monotonic()
            except freezethreads.ForkUnsafe as error:
                print(error, file=sys.stderr)
                refused += 1
            failed += reap(forked)
            time.sleep(0.002)
        os.fork = fork
    end = time.monotonic() + PATIENCE
    while forked and time.monotonic() < end:
        failed += reap(forked)
        time.sleep(0.01)
    for pid in forked:
        os.kill(pid, signal.SIGKILL)
    return {
        "forks": forks,
        "hung": len(forked),
        "failed": failed,
        "refused": refused,
        "median": statistics.median(pauses) if pauses else None,
        "most": max(pauses, default=None),
    }


def timed(fork: Callable[[], int], pauses: list[float]) -> Callable[[], int]:
    """The same, which notes how long each takes."""

    def call() -> int:
        begin = time.perf_counter()
        pid = fork()
        pauses.append(time.perf_counter() - begin)
        return pid

    return call


def reap(forked: dict[int, float]) -> int:
    """Take out the children that have ended; return how many of them failed."""
    failed = 0
    for pid in list(forked):
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # its pool has waited for it
            ended, status = pid, 0
        if ended:
            del forked[pid]
            failed += status != 0
    return failed


def main() -> int:
    """Print a line for each troublemaker; 0 if no guarded child hung, and none was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forks", type=int, default=200, metavar="N", help="of each: 200")
    parser.add_argument("--only", nargs="+", default=list(PROGRAMS), choices=PROGRAMS)
    parser.add_argument("--guarded-only", action="store_true", help="leave out the plain runs")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, mode = options.child
        print(json.dumps(trouble(name, mode == "guarded", options.forks)), flush=True)
        os._exit(0)  # whatever its threads and pools wait for
    unsafe = 0
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"CPython {sys.version.split()[0]}, {'with' if has_gil else 'without'} a GIL", flush=True)
    for name in options.only:
        for mode in ["guarded"] if options.guarded_only else ["plain", "guarded"]:
            found = run(name, mode, options.forks)
            print(describe(name, mode, found), flush=True)
            unsafe += mode == "guarded" and (found is None or found["hung"] + found["refused"]) != 0
    return int(unsafe > 0)


def run(name: str, mode: str, forks: int) -> dict[str, Any] | None:
    """What a process of its own says; None: it does not end."""
    command = [sys.executable, __file__, "--forks", str(forks), "--child", name, mode]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, _ = process.communicate(timeout=60 + 3 * forks)
        found: dict[str, Any] = json.loads(out)
        return found
    except (subprocess.TimeoutExpired, ValueError):
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def describe(name: str, mode: str, found: dict[str, Any] | None) -> str:
    """A line of the table."""
    if found is None:
        return f"{name:12}{mode:10}the parent hangs"
    pauses = ""
    if found["median"] is not None:
        pauses = f"a fork takes {1000 * found['median']:.1f} ms, {1000 * found['most']:.0f} at most"
    counts = f"{found['hung']} of {found['forks']} hung"
    others = f"{found['failed']} failed, {found['refused']} refused"
    return f"{name:12}{mode:10}{counts:20}{others:24}{pauses}"


if __name__ == "__main__":
    sys.exit(main())
