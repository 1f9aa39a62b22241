"""What tools/test does: linters, mutants, explorer and models once, tests on one Python or all."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from _pythons import Interpreter, ask_own, discover
from _venv import ROOT, SetUpError, exiting_on_errors, prepared

EXTRAS = ("cli", "plot", "test")
LINT_EXTRAS = (*EXTRAS, "lint")

# Runs of pytest that all the tests are dealt out to, and how many of them run side by side,
# whichever Pythons they are for. (What is in them waits for a part of the time: so one more than
# there are processors. With two more some tests of time-outs are at their limits.)
PARTS = 12
AT_ONCE = min(os.cpu_count() or 1, 2) + 1
LANES = threading.Semaphore(AT_ONCE)
PYTHONS_AT_ONCE = 2  # so that nobody waits for the last part of one, nor for the other's set-up
interrupted = threading.Event()

# The core's, and the rules on the tree: what --quick runs.
QUICK = (
    "ground",
    "registry",
    "report",
    "refrigerator",
    "controller",
    "freezer",
    "house/test_layers.py",
)

# What --all runs on the first Python alone: what no interpreter has a part in. (The models are
# checked by spin and a C compiler, and compared with the text of the code.)
ONCE = ("tests/stress/test_models.py",)

# What pytest prints of a file of tests: its name, and a letter for each.
FILE_DONE = re.compile(r"tests/\S+\.py [.FEsxX]")

# The order in which pytest itself names them.
OUTCOMES = ("failed", "passed", "skipped", "xfailed", "xpassed", "error", "warnings")


@dataclass(frozen=True)
class Run:
    """One step that has ended: what it was, its exit status, and pytest's counts if it had any."""

    name: str
    status: int
    counts: Counter[str]
    seconds: float

    def __str__(self) -> str:
        verdict = "ok" if self.status == 0 else f"FAILED with status {self.status}"
        counts = f": {describe(self.counts)}" if self.counts else ""
        return f"{self.name} {verdict}{counts} in {self.seconds:.1f}s"


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; return the exit status of the script."""
    options, pytest_arguments = parse(arguments)
    with exiting_on_errors():
        interpreters = discover(os.environ.get("PATH", "")) if options.all else [ask_own()]
        if options.all:
            labels = ", ".join(interpreter.label for interpreter in interpreters)
            announce(f"found {len(interpreters)} interpreters: {labels}")
        if len(interpreters) < options.at_least:
            announce(f"--at-least {options.at_least} asks for more")
            return 1
        lacking = [each for each in options.wanted if each not in map(kind_of, interpreters)]
        began = time.monotonic()
        own, *others = interpreters
        runs = [] if pytest_arguments else run_linters(own)
        if options.quick:
            pytest_arguments = [f"tests/{name}" for name in QUICK]
        if not pytest_arguments:
            announce("all tests: five to ten minutes on each Python (--quick: one)")
        runs.append(run_tests(own, pytest_arguments))
        if options.all and not pytest_arguments:
            runs += [run_mutants(own), *run_explorer(own), *run_models()]
        runs += try_all(others, pytest_arguments)
    status = summarize(runs, time.monotonic() - began)
    if others and not pytest_arguments:
        announce(f"on Python {own.label} alone, as no Python has a part in it: {', '.join(ONCE)}")
    if lacking:
        announce(f"not tested, as not found on PATH: Python {', '.join(lacking)}")
    return status


def kind_of(interpreter: Interpreter) -> str:
    """What --wanted calls it: `3.13`, or `3.13t` of a free-threaded build."""
    return interpreter.release + ("t" if interpreter.free_threaded else "")


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split the command line into this script's options and pytest's arguments."""
    parser = argparse.ArgumentParser(
        prog="tools/test",
        allow_abbrev=False,
        usage="%(prog)s [--all [--at-least N] [--wanted X.Y,...]] "
        "[--quick | pytest's arguments ...]",
        description="Without pytest's arguments: ruff, mypy, pyright, and all the tests. With "
        "them: the tests that they select. The tests run on the Python that runs this script.",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="ruff, mypy, pyright, and the tests of the core alone: an answer within a minute",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="run the tests on each kind of CPython from 3.11 on that is on PATH "
        "(python3.11, python3.13t, ...); without pytest's arguments also "
        "stress --mutants, stress --explore (with --mutants too) and tools/model, once",
    )
    parser.add_argument(
        "--at-least", type=int, default=1, metavar="N", help="fail if --all finds fewer than N"
    )
    parser.add_argument(
        "--wanted",
        type=lambda text: text.split(","),
        default=[],
        metavar="X.Y,...",
        help="which Pythons --all had better find (3.13t: a free-threaded one); the summary names "
        "those that were not tested, and that is no failure",
    )
    options, rest = parser.parse_known_args(arguments)
    if options.at_least < 1:
        parser.error("--at-least takes a number from 1 on")
    if (options.at_least > 1 or options.wanted) and not options.all:
        parser.error("--at-least and --wanted say what --all has to find: give it too")
    if options.quick and rest:
        parser.error(f"--quick selects the tests itself: leave out either it or {' '.join(rest)}")
    return options, rest


def run_linters(interpreter: Interpreter) -> list[Run]:
    """Run ruff and mypy over all Python in the checkout, and pyright over what tells of the types
    of the public API. Raises SetUpError.
    """
    scripts = [str(path) for path in (ROOT / "tools").iterdir() if path.is_file()]
    commands = {
        "ruff check": ["ruff", "check"],
        "ruff format": ["ruff", "format", "--check"],
        # Of a folder it takes the files that end in .py; a script in tools/ has to be named.
        "mypy": ["mypy", ".", *sorted(path for path in scripts if not path.endswith(".py"))],
        "pyright": ["pyright"],
    }
    os.environ["PYRIGHT_PYTHON_IGNORE_WARNINGS"] = "1"  # so it does not ask for a newer release
    with prepared(interpreter, LINT_EXTRAS) as environment:
        python = [environment.python, "-m"]
        return [run([[*python, *command]], name) for name, command in commands.items()]


def run_mutants(interpreter: Interpreter) -> Run:
    """Torture freezers that break a rule, and this one, on one interpreter. Raises SetUpError."""
    with prepared(interpreter, EXTRAS) as environment:
        return run([[environment.python, "-m", "stress", "--mutants"]], "stress --mutants")


def run_explorer(interpreter: Interpreter) -> list[Run]:
    """Run what interleavings there are of small scenarios, also where a rule is broken.

    Raises SetUpError.
    """
    with prepared(interpreter, EXTRAS) as environment:
        command = [environment.python, "-m", "stress", "--explore"]
        return [
            run([[*command, "--seconds", "8"]], "stress --explore"),
            run([[*command, "--mutants"]], "stress --explore --mutants"),
        ]


def run_models() -> list[Run]:
    """Check the models of the protocol, where there is what it takes."""
    missing = [name for name in ("spin", "cc") if shutil.which(name) is None]
    if missing:
        announce(f"tools/model was not run: {' and '.join(missing)} not found")
        return []
    return [run([[sys.executable, str(ROOT / "tools" / "model")]], "tools/model")]


def run_tests(
    interpreter: Interpreter, arguments: Sequence[str], left_out: Sequence[str] = ()
) -> Run:
    """Run pytest on one interpreter; of all the tests, without these files. Raises SetUpError."""
    with prepared(interpreter, EXTRAS) as environment, tempfile.TemporaryDirectory() as folder:
        commands = []
        counts: list[Path] = []
        for selected in parts_of(arguments, left_out):
            counts.append(Path(folder, f"{len(counts)}.json"))
            totals = [str(ROOT / "tools" / "_totals.py"), str(counts[-1])]
            commands.append([environment.python, *totals, "-p", "no:cacheprovider", *selected])
        return run(commands, f"Python {interpreter.label}", counts)


def parts_of(arguments: Sequence[str], left_out: Sequence[str] = ()) -> list[Sequence[str]]:
    """The arguments of the runs of pytest that make up one.

    All the tests are dealt out to several, of which `AT_ONCE` run at a time, since most tests wait
    most of the time. Each file passes alone and in any order, so any of them may go together.
    """
    if arguments:
        return [arguments]
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    files = sorted(found - set(left_out))
    return [files[part::PARTS] for part in range(PARTS)]


def try_all(interpreters: Sequence[Interpreter], arguments: Sequence[str]) -> list[Run]:
    """Run pytest on each of them; on several at a time, unless their output is to come as it is."""
    with ThreadPoolExecutor(1 if arguments else PYTHONS_AT_ONCE) as pool:
        try:
            return list(pool.map(try_tests, interpreters, repeat(arguments)))
        except BaseException:
            interrupted.set()
            raise


def try_tests(interpreter: Interpreter, arguments: Sequence[str]) -> Run:
    """The same for one of several: that it cannot be set up must not hide what the others say."""
    try:
        return run_tests(interpreter, arguments, ONCE)
    except SetUpError as error:
        announce(f"Python {interpreter.label}: {error}")
        return Run(f"Python {interpreter.label} (its set-up)", 1, Counter(), 0.0)


def run(commands: Sequence[Sequence[str]], name: str, counts: Iterable[Path] = ()) -> Run:
    """Run `commands` in the checkout, and add up what they have written to `counts`.

    A single one's output comes as it is made, and that of each of several when it has ended.
    """
    announce(name)
    began = time.monotonic()
    if len(commands) == 1:
        statuses = [run_shown(commands[0])]
    else:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            statuses = list(pool.map(run_quietly, commands, repeat(name)))
    counted = [Counter(json.loads(path.read_text())) for path in counts if path.exists()]
    status = next(filter(None, statuses), 0)
    return Run(name, status, sum(counted, Counter()), time.monotonic() - began)


def run_shown(command: Sequence[str]) -> int:
    """Run it in the checkout, its output unchanged, and return its exit status."""
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()  # it was interrupted as well, and has something to say about it
            raise


def run_quietly(command: Sequence[str], name: str) -> int:
    """The same, its output in one piece at its end, but for a line about each file of tests."""
    with LANES:
        if interrupted.is_set():
            return 1
        held = [f"==== of {name} ====\n"]
        with subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if FILE_DONE.match(line):
                    print(f"{name}: {line}", end="", flush=True)
                else:
                    held.append(line)
        print("".join(held), end="", flush=True)
        return process.returncode


def summarize(runs: Sequence[Run], seconds: float) -> int:
    """Print a line for each run and, last, the totals; return the script's exit status."""
    announce("summary")
    for each in runs:
        print(each)
    failures = sum(each.status != 0 for each in runs)
    totals = sum((each.counts for each in runs), Counter())
    verdict = f"{failures} of {len(runs)} FAILED" if failures else "all ok"
    announce(f"{verdict}: {describe(totals)} in {seconds:.1f}s")
    return 1 if failures else 0


def describe(counts: Counter[str]) -> str:
    """Pytest's counts, as it prints them: `1 failed, 20 passed`."""
    return ", ".join(f"{counts[name]} {name}" for name in OUTCOMES if counts[name]) or "no tests"


def announce(text: str) -> None:
    print(f"==== {text} ====", flush=True)
