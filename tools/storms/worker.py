"""What a process does that runs one suite: in a storm, or as if there were no freezer.

Started as `python -c BOOT JOB`, so that it has no main module which a child could import again.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from storms import pytests, regrtest, scripts
from storms.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
OWN_PATHS = (str(ROOT / "tools"), str(ROOT))
BOOT = f"import sys; sys.path[:1] = {OWN_PATHS!r}; from storms.worker import main; main()"

RUNNERS = {"regrtest": regrtest, "pytest": pytests, "script": scripts}


@dataclass(frozen=True)
class Job:
    """What to run, and how."""

    runner: str
    arguments: Sequence[str]
    tests: Sequence[str]
    """Which tests; all if there are none."""
    paths: Sequence[str]
    """Folders to import from."""
    journal: str
    limit: float
    """Seconds after which the process shows all stacks and ends itself."""
    weather: dict[str, Any] | None
    """The fields of a `Weather`; None: without us."""

    def command(self) -> list[str]:
        """How to start the process that does it."""
        return [sys.executable, "-c", BOOT, json.dumps(asdict(self))]


def main() -> NoReturn:
    """Do the job that the command line says."""
    job = Job(**json.loads(sys.argv[1]))
    journal = Journal(job.journal)
    # A copy, since a suite may put something else in the place of the process's own.
    with os.fdopen(os.dup(2), "wb") as stderr, conditions(job, journal):
        faulthandler.dump_traceback_later(job.limit, exit=True, file=stderr)
        sys.path = [*job.paths, *(path for path in sys.path if path not in OWN_PATHS)]
        status = RUNNERS[job.runner].run(job.arguments, job.tests, journal)
        faulthandler.cancel_dump_traceback_later()
    journal.note(status=status)
    sys.exit(status)


@contextmanager
def conditions(job: Job, journal: Journal) -> Iterator[None]:
    """Frozen all the time, enrolled for it or as they are; or nothing of the kind."""
    if job.weather is None:
        yield
        return
    import freezethreads  # what runs without us must not even import it
    from storms.controller import Storm, Weather

    weather = Weather(**job.weather)
    with Storm(weather, journal):
        if weather.where is None:
            with freezethreads.install(), freezethreads.register("MainThread"):
                yield
        else:
            yield
