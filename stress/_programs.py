"""``python -m stress --program``: random programs, with the freezer as it is or with a broken rule.

Each search has a process of its own: a program may crash it, and threads that hang in it end with
it. The program that is being played is in a file meanwhile.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import json
import multiprocessing
import os
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from freezethreads.testing import Finding
from stress._rows import interpreter
from stress.mutants import MUTANTS
from stress.program._program import Program
from stress.program._verdict import Verdict

AT_ONCE = 2
"""Processes at a time."""
SHRINK = 30.0
"""Seconds in which a program that has failed is made smaller."""
MARGIN = 60.0
"""Seconds that a process has besides: to start, for the last program, for threads that hang."""

COLUMNS = f"{'freezer':<32}{'verdict':<10}{'after':>9}{'programs':>10}{'rounds':>9}{'seconds':>9}"


@dataclass(frozen=True)
class Job:
    """One search; with a program, the playing of that one. `mutant`: None for no broken rule."""

    seed: str
    seconds: float
    patience: float
    program: Program | None = None
    mutant: str | None = None


def run_programs(options: argparse.Namespace) -> int:
    """Do what the options say. Returns the exit status: with mutants 1 if one was not noticed."""
    if importlib.util.find_spec("hypothesis") is None:
        text = "--program needs hypothesis: install the extra 'stress'"
        print(f"python -m stress: {text}", file=sys.stderr)
        return 2
    jobs = list(_jobs(options))
    print(f"random programs, seed {options.seed}, {interpreter()}", COLUMNS, sep="\n\n", flush=True)
    verdicts = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for job, verdict in zip(jobs, pool.map(search, jobs), strict=True):
            verdicts.append(verdict)
            print(_row(job, verdict), flush=True)
    for job, verdict in zip(jobs, verdicts, strict=True):
        print(*_story(job, verdict), sep="\n", end="")
    if options.json is not None:
        content = {"seed": options.seed, "verdicts": [asdict(verdict) for verdict in verdicts]}
        Path(options.json).write_text(json.dumps(content, indent=1) + "\n")
    found = [verdict.finding is not None for verdict in verdicts]
    return int(any(found) if options.mutants is None else not all(found))


def _jobs(options: argparse.Namespace) -> Iterator[Job]:
    names = [None] if options.mutants is None else options.mutants or list(MUTANTS)
    for name in names:
        yield Job(options.seed, options.seconds, options.patience, options.program, name)


def search(job: Job) -> Verdict:
    """Search in a process of its own. From any thread."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    began = monotonic()
    with TemporaryDirectory() as folder:
        played = Path(folder, "program")
        process = context.Process(target=_search_here, args=(job, sending, played))
        process.start()
        sending.close()
        try:
            if receiving.poll(job.seconds + SHRINK + MARGIN):
                verdict: Verdict = receiving.recv()
                return verdict
            what = "the process does not end"
        except EOFError:
            process.join(MARGIN)
            what = f"the process ended with status {process.exitcode}"
        finally:
            process.kill()
            process.join()
            receiving.close()
        program = Program.parse(played.read_text()) if played.exists() else None
    seconds = monotonic() - began
    finding = Finding(what, "the process", seconds)
    return Verdict(seconds=seconds, found_after=seconds, program=program, finding=finding)


def _search_here(job: Job, sending: Connection, played: Path) -> None:
    """The process's main function. Nothing that hangs is waited for."""
    from stress.program._search import Search

    faulthandler.enable()
    if job.mutant is not None:
        MUTANTS[job.mutant].apply()
    shrink = SHRINK if job.mutant is None else 0  # one knows what it is
    searching = Search(job.seconds, shrink, job.patience, played)
    sending.send(searching.run(job.seed) if job.program is None else searching.replay(job.program))
    sending.close()
    os._exit(0)


def program_of(text: str) -> Program:
    """For `argparse`."""
    try:
        return Program.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _row(job: Job, verdict: Verdict) -> str:
    name = job.mutant or "(the freezer as it is)"
    after = f"{verdict.found_after:.2f}" if verdict.finding else "-"
    what = "FOUND" if verdict.finding else "passed"
    return (
        f"{name:<32}{what:<10}{after:>9}{verdict.programs:>10}{verdict.rounds:>9}"
        f"{verdict.seconds:>9.2f}"
    )


def _story(job: Job, verdict: Verdict) -> list[str]:
    """What was found, in which program, and how to play it again. Of a mutant only what."""
    if verdict.finding is None:
        return []
    lines = ["", f"{verdict.finding.who}: {verdict.finding.what}"]
    if verdict.program is not None:
        lines += [f"  {line}" for line in verdict.program.story()]
    if job.mutant is not None:
        return [f"\n{job.mutant} ({MUTANTS[job.mutant].rule})", *lines[1:], ""]
    lines += verdict.finding.trace.splitlines()
    if verdict.program is not None:
        lines.append(f"again: python -m stress --program {shlex.quote(str(verdict.program))}")
    return [*lines, ""]
