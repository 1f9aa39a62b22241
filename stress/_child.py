"""The process of one scenario: ``python -m stress._child JOB PIPE``, as `stress._launch` has it."""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import os
import sys
import threading
from typing import Any

from freezethreads._ground.original import OwnThread
from freezethreads.testing import Progress, Result, Run, Scenario
from stress._job import MUTANT, Job
from stress.mutants import MUTANTS
from stress.scenarios import built_in, load


def main(arguments: list[str]) -> int:
    """Run the job; return 0 if every check held."""
    job, pipe = Job.from_json(arguments[0]), int(arguments[1])
    faulthandler.enable()  # the parent aborts a child that says nothing, to see where it is
    if job.mutant is not None:
        MUTANTS[job.mutant].apply()
        os.environ[MUTANT] = job.mutant
    run = Run(scenario_of(job), job.plan)
    OwnThread(target=_obey, args=(run,), name="freezethreads-obey", daemon=True).start()

    def tell_progress(progress: Progress) -> None:
        _write(pipe, progress=dataclasses.asdict(progress))

    last_word = threading.Lock()  # of the main thread and the watchdog, whoever is first

    def give_up(result: Result) -> None:
        with last_word:
            _write(pipe, result=result.as_dict())
            os._exit(1)  # nothing that hangs is waited for

    result = run.execute(tell_progress, give_up)
    if result.hung:
        give_up(result)
    _write(pipe, result=result.as_dict())
    return 0 if result.passed else 1


def scenario_of(job: Job) -> type[Scenario]:
    """The scenario of that name."""
    return (built_in() if job.load is None else load(job.load))[job.scenario]


def _obey(run: Run) -> None:
    """Wait for the end of the standard input, past `sys.stdin`, whose lock the exit would want."""
    while os.read(0, 4096):
        pass
    run.interrupt()


def _write(pipe: int, **message: Any) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
