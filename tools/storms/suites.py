"""The suites: what each is, and how a process that runs it, or some of its tests, is started."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from storms.journal import DIED, Account, read
from storms.worker import Job

if TYPE_CHECKING:
    from storms.controller import Weather

OUTPUT_KEPT = 200
"""Lines of the output of a process that died."""

GRACE = 20.0
"""Seconds that a process gets to end itself after its limit before it is killed."""


@dataclass(frozen=True)
class Suite:
    """One suite, as it is given to its runner."""

    name: str
    runner: str
    arguments: tuple[str, ...]
    tests: tuple[str, ...] = ()
    """Those of its tests that are run; all if there are none."""
    folder: Path | None = None
    """Where it is run; None: in an empty folder."""
    paths: tuple[str, ...] = ()
    """Folders that its process imports from."""
    excluded: dict[str, str] = field(default_factory=dict)
    """Tests that are not run in the storm, each with the reason."""
    absent: bool = False
    """Whether what it needs cannot be had."""

    def is_there(self) -> bool:
        """Whether this Python has it: some do without parts of the standard library's tests."""
        if self.absent:
            return False
        if self.runner != "regrtest" or "--testdir" in self.arguments:
            return True
        names = ("test", "test.libregrtest", f"test.{self.name}")
        try:
            return all(importlib.util.find_spec(name) is not None for name in names)
        except ModuleNotFoundError:  # a name with a dot
            return False


@dataclass
class Run:
    """One run of a suite, or of some of its tests, to the end; in one process, if none dies."""

    account: Account = field(default_factory=Account)
    seconds: float = 0.0
    deaths: list[str] = field(default_factory=list)
    """How each process ended that did not run to its end, with the end of its output."""

    def add(self, other: Run) -> None:
        """Take in a later run."""
        self.account.add(other.account)
        self.seconds += other.seconds
        self.deaths += other.deaths


def run(suite: Suite, weather: Weather | None, limit: float, tests: Sequence[str] = ()) -> Run:
    """Run `suite`, or those of its tests, without us (None) or in a storm.

    If the process dies, another one runs those of the tests that are left. A process may take
    `limit` seconds.
    """
    total = Run()
    left = list(tests)
    while True:
        part = _run_process(suite, weather, limit, left)
        total.add(part)
        before, left = left, [test for test in left if test not in part.account.outcomes]
        if not part.deaths or not left or len(left) == len(before):
            return total


def _run_process(suite: Suite, weather: Weather | None, limit: float, tests: Sequence[str]) -> Run:
    with tempfile.TemporaryDirectory(prefix="storm-") as name:
        folder = Path(name)
        empty, journal, output = folder / "cwd", folder / "journal", folder / "output"
        empty.mkdir()
        journal.touch()
        job = Job(
            runner=suite.runner,
            arguments=suite.arguments,
            tests=list(tests) or suite.tests,
            paths=suite.paths,
            journal=str(journal),
            limit=limit,
            weather=None if weather is None else asdict(weather),
        )
        began = time.monotonic()
        status = _wait_for(job, suite.folder or empty, output)
        run = Run(read(journal), time.monotonic() - began)
        if run.account.status is None or not run.account.outcomes:
            run.deaths.append(_describe_death(run.account, status, output))
        return run


def _describe_death(account: Account, status: int, output: Path) -> str:
    where = [test for test, outcome in account.outcomes.items() if outcome == DIED]
    last = output.read_text(errors="replace").splitlines()[-OUTPUT_KEPT:]
    return "\n".join([f"status {status} in {', '.join(where) or 'no test'}; its output:", *last])


def _wait_for(job: Job, folder: Path, output: Path) -> int:
    """Run it, its output to a file, since what it leaves behind may keep a pipe open for ever."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment["FREEZETHREADS_LOOKOUT"] = "0"  # whose thread some tests would count
    with output.open("wb") as file:
        process = subprocess.Popen(
            job.command(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    try:
        return process.wait(job.limit + GRACE)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
    finally:
        _kill_session(process)


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """End it, and the children that it has left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def standard(module: str, *options: str, match: str | None = None) -> Suite:
    """A module of the standard library's own test suite, or its tests that match a pattern."""
    return Suite(
        module,
        "regrtest",
        (*options, module),
        tests=() if match is None else (match,),
        excluded=EXCLUDED.get(module, {}),
    )


MODULES = (
    "test_threading",
    "test_thread",
    "test_queue",
    "test_threading_local",
    "test_sched",
    "test_logging",
)

EXCLUDED = {
    "test_threading": {
        "test.test_threading.ThreadTests.test_disallow_instantiation": "asserts that the type of a "
        "lock cannot be called, and it is threading.Lock, as that of all locks from 3.13 on",
        "test.test_threading.SubinterpThreadingTests.test_threads_join_with_no_main": "CPython "
        "crashes, also without us, if sys._current_frames() is called while a subinterpreter has "
        "threads, and who looks at the threads that did not stop calls it",
    }
}
