"""Runs a job in a process of its own, and comes back with a result, whatever becomes of that."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import IO, Any

from freezethreads.testing import Finding, Progress, Result
from stress._job import Job

ROOT = Path(__file__).resolve().parents[1]

TICK = 0.1
"""Seconds between two looks whether to end early."""
START = 20.0
"""Seconds that a process has to start and to say its first word."""
PRINTED = 200
"""Lines of what it prints that are kept."""


class Child:
    """One process, and what it says. A context manager that ends the process."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.printed: deque[str] = deque(maxlen=PRINTED)
        self.messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        reading, writing = os.pipe()
        command = [sys.executable, *_warning_options(), "-m", "stress._child"]
        try:
            # A session of its own: Ctrl-C reaches the parent alone, which passes it on in its way.
            self.process = subprocess.Popen(
                [*command, job.to_json(), str(writing)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(writing,),
                start_new_session=True,
                env=_environment(),
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._threads = [
            threading.Thread(target=self._read_messages, args=(reading,), daemon=True),
            threading.Thread(target=self._read_output, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Kill what is left of it, the processes that it has started among that."""
        self.stop()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for thread in self._threads:
            thread.join(START)  # a process that has left the group may still have the pipes
        _pipe_of(self.process.stdout).close()

    def stop(self) -> None:
        """Tell it to end early, with a result. May be repeated."""
        _pipe_of(self.process.stdin).close()

    def abort(self) -> None:
        """End it where it is, with the stacks of its threads in what it prints."""
        self.process.send_signal(signal.SIGABRT)

    def _read_messages(self, pipe: int) -> None:
        with open(pipe, "rb") as lines:
            for line in lines:
                self.messages.put(json.loads(line))
        self.messages.put(None)

    def _read_output(self) -> None:
        for line in _pipe_of(self.process.stdout):
            self.printed.append(line.decode(errors="replace"))


class Interrupts:
    """While it is entered, the first Ctrl-C only raises a flag; a second one is raised as always.

    By the main thread.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *exc_info: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run_job(
    job: Job,
    on_progress: Callable[[Progress], object] = lambda progress: None,
    is_over: Callable[[], bool] = lambda: False,
) -> Result:
    """Run `job` and return its result; if `is_over` says so, end it early, which the result notes.

    Both are called by the calling thread, some times a second. Whatever happens, the process is
    no more when this returns or raises.
    """
    with Child(job) as child:
        result, problem = _listen(child, on_progress, is_over)
        status = _wait_for_exit(child)
    if result is None:
        plan = job.plan
        interval = plan.interval_of(job.scenario)
        result = Result(job.scenario, plan.seed, plan.threads, interval)
        _add(result, f"the process {problem}; {_describe(status)}")
    elif status != (0 if result.passed else 1):
        _add(result, f"the process has reported a result, and then {_describe(status)}")
    result.output = "".join(child.printed)
    return result


def _listen(
    child: Child, on_progress: Callable[[Progress], object], is_over: Callable[[], bool]
) -> tuple[Result | None, str]:
    """Wait for the result; without one, say what was wrong instead."""
    limit = START + child.job.plan.patience
    heard = monotonic()
    while monotonic() - heard < limit:
        if is_over():
            child.stop()
        try:
            message = child.messages.get(timeout=TICK)
        except queue.Empty:
            continue
        heard = monotonic()
        if message is None:
            return None, "has not reported a result"
        if "result" in message:
            return Result.from_dict(message["result"]), ""
        on_progress(Progress(**message["progress"]))
    child.abort()
    return None, f"has said nothing for {limit:.0f} s, and was aborted"


def _wait_for_exit(child: Child) -> int | None:
    """Its exit status; None if it does not end by itself, and has shown its stacks."""
    patience = child.job.plan.patience
    try:
        return child.process.wait(patience)
    except subprocess.TimeoutExpired:
        child.abort()
    try:
        child.process.wait(patience)
    except subprocess.TimeoutExpired:
        pass  # it is killed next
    return None


def _describe(status: int | None) -> str:
    if status is None:
        return "it did not end, and was aborted"
    if status < 0:
        return f"it was ended by {signal.Signals(-status).name}"
    return f"it ended with status {status}"


def _add(result: Result, what: str) -> None:
    result.findings.append(Finding(what, "the process", result.seconds))


def _warning_options() -> list[str]:
    return [f"-W{option}" for option in sys.warnoptions]


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def _pipe_of(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # asked for above
    return pipe
