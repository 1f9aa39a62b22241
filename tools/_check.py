"""What tools/test does: linters, site, mutants, explorer, models once, tests on each Python."""

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
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

from _pythons import Interpreter, ask_own, discover
from _venv import ROOT, SetUpError, exiting_on_errors, prepared

EXTRAS = ("cli", "plot", "test")

# Runs of pytest that all the tests are dealt out to; and how many of them, whichever Pythons they
# are for, and of the other commands run side by side, in the order in which they were begun. (What
# is in them waits for a part of the time: so one more than there are processors. With two more some
# tests of time-outs are at their limits. No command has two processes that both compute.)
PARTS = 8
LANES = min(os.cpu_count() or 1, 2) + 1

# Beside these lanes, what computes and waits for nobody: with the least priority it takes what the
# tests leave of the processors, and no time from them.
SPARE_LANES = 2
LEAST = ("nice", "-n", "19")

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

# What --all runs on one Python alone, since the subject is this project's own tools, and no
# interpreter: the first one, or else the newest, so that the explorer, which explores the core on
# the first, is tested on another. (The models are checked by spin and a C compiler, and compared
# with the text of the code.)
ON_FIRST = (
    "tests/house/test_bench.py",
    "tests/house/test_tools.py",
    "tests/house/test_transcript.py",
    "tests/stress/test_attack_mutants.py",
    "tests/stress/test_models.py",
)
ON_NEWEST = ("tests/stress/test_explore.py", "tests/stress/test_explore_search.py")

# Which files of tests take longest, the longest first. Each part begins with one of them: so none
# has several by chance, and no part is much longer than the others, and alone at the end.
LONGEST = (
    "tests/stress/test_explore_search.py",
    "tests/races/test_async_exceptions.py",
    "tests/races/test_async_exceptions_in_threads.py",
    "tests/stress/test_explore.py",
    "tests/house/test_documents.py",
    "tests/refrigerator/test_depth.py",
    "tests/stress/test_attack_mutants.py",
    "tests/stress/test_stress_engine.py",
    "tests/stress/test_stress_attack.py",
    "tests/sync/test_sync_standard.py",
    "tests/demo/test_demo_process.py",
    "tests/programs/test_servers.py",
    "tests/house/test_tools.py",
    "tests/races/test_signals_standing.py",
    "tests/control/test_control_liars.py",
    "tests/install/test_guarded_forks.py",
    "tests/cli/test_run_children.py",
    "tests/cli/test_run_unpatched.py",
)

# What is compiled before the tests begin, beside the standard library: they start some thousand
# processes, each of which would compile it anew where Python keeps no bytecode by itself
# (PYTHONDONTWRITEBYTECODE). Of a Python that was only unpacked this takes a few seconds.
COMPILED = ("freezethreads", "stress", "tests/support")
COMPILE = """
import compileall, re, sys, sysconfig
left_out = re.compile("/(site-packages|dist-packages|test|idlelib|lib2to3)/")
compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2, rx=left_out)
for folder in sys.argv[1:]:
    compileall.compile_dir(folder, quiet=1)
"""

# What pytest prints of a file of tests: its name, and a letter for each.
FILE_DONE = re.compile(r"tests/\S+\.py [.FEsxX]")

# The order in which pytest itself names them.
OUTCOMES = ("failed", "passed", "skipped", "xfailed", "xpassed", "error", "warnings")


@dataclass(frozen=True)
class Run:
    """One step that has ended: what it was, its exit status, and pytest's counts if it had any.

    `seconds` are from the beginning of its first command to the end of the last one, and
    `processor` those that all of them have computed for.
    """

    name: str
    status: int
    counts: Counter[str]
    seconds: float
    processor: float | None = None

    def __str__(self) -> str:
        verdict = "ok" if self.status == 0 else f"FAILED with status {self.status}"
        counts = f": {describe(self.counts)}" if self.counts else ""
        computed = "" if self.processor is None else f", {self.processor:.1f}s of processor time"
        return f"{self.name} {verdict}{counts} in {self.seconds:.1f}s{computed}"


@dataclass(frozen=True)
class Ended:
    """One command that has ended: its exit status, when it began and ended, what it computed."""

    status: int
    began: float
    over: float
    processor: float


class Step:
    """Commands that run in lanes, in the checkout, under one name."""

    def __init__(self, lanes: ThreadPoolExecutor, name: str, *commands: Sequence[str]) -> None:
        self._name = name
        self._futures = [lanes.submit(run_quietly, command, name) for command in commands]

    @classmethod
    def spare(cls, lanes: ThreadPoolExecutor, name: str, *command: str) -> Step:
        """One with a command that waits for nobody, for a spare lane."""
        return cls(lanes, name, [*LEAST, *command])

    def wait(self, counts: Iterable[Path] = ()) -> Run:
        """Wait for their end, and add up what they have written to `counts`."""
        ended = [future.result() for future in self._futures]
        counted = [Counter(json.loads(path.read_text())) for path in counts if path.exists()]
        return Run(
            self._name,
            next((each.status for each in ended if each.status), 0),
            sum(counted, Counter()),
            max(each.over for each in ended) - min(each.began for each in ended),
            sum(each.processor for each in ended),
        )


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
        if pytest_arguments:
            runs = [try_tests(run_shown, each, pytest_arguments) for each in interpreters]
        else:
            runs = run_all(interpreters, options)
    status = summarize(runs, time.monotonic() - began)
    if len(interpreters) > 1 and not pytest_arguments:
        for interpreter, alone in ((interpreters[0], ON_FIRST), (interpreters[-1], ON_NEWEST)):
            announce(f"on Python {interpreter.label} alone: {', '.join(alone)}")
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
        "stress --mutants, stress --explore (with --mutants too), tools/model and tools/docs, once",
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


def run_all(interpreters: Sequence[Interpreter], options: argparse.Namespace) -> list[Run]:
    """Run the linters, the tests (or the quick ones), with --all what is run once: side by side.

    Raises SetUpError.
    """
    once = options.all and not options.quick
    files = [f"tests/{name}" for name in QUICK] if options.quick else []
    if not files:
        announce("all tests: five to ten minutes on each Python (--quick: one)")
    # There is no wheel of mypy for every free-threaded build.
    judge = next((one for one in interpreters if not one.free_threaded), None)
    if judge is None:
        announce("mypy, pyright and ruff were not run: they take a Python with a GIL")
    extras = [*EXTRAS, *(["docs"] if once else []), *(["lint"] if judge else [])]
    with (
        ready(judge or interpreters[0], extras) as python,
        ThreadPoolExecutor(LANES) as lanes,
        ThreadPoolExecutor(SPARE_LANES) as spare,
        stopping_at_an_interrupt(),
    ):
        # What takes longest is begun first.
        steps = begin_once(lanes, spare, python) if once else []
        steps += begin_linters(spare, python) if judge else []
        tests = try_all(lanes, interpreters, files)
        return [*(step.wait() for step in steps), *tests]


@contextmanager
def ready(interpreter: Interpreter, extras: Sequence[str]) -> Iterator[str]:
    """The interpreter of its environment, for which the checkout is compiled. Raises SetUpError."""
    with prepared(interpreter, extras) as environment:
        command = [environment.python, "-c", COMPILE, *COMPILED]
        subprocess.run(command, cwd=ROOT, check=False)  # what it cannot, the tests tell of
        yield environment.python


def begin_once(lanes: ThreadPoolExecutor, spare: ThreadPoolExecutor, python: str) -> list[Step]:
    """What no interpreter has a part in, or one alone is enough for.

    Every interleaving of small scenarios, also where a rule is broken; the tortured freezers that
    break one; the models, where there is what it takes; and the site.
    """
    stress = [python, "-m", "stress", "--at-once", "1"]
    steps = [
        Step(lanes, "stress --mutants", [*stress, "--mutants"]),
        Step.spare(spare, "stress --explore", *stress, "--explore", "--seconds", "3"),
        Step.spare(spare, "stress --explore --mutants", *stress, "--explore", "--mutants"),
    ]
    missing = [name for name in ("spin", "cc") if shutil.which(name) is None]
    if missing:
        announce(f"tools/model was not run: {' and '.join(missing)} not found")
    else:
        model = (sys.executable, str(ROOT / "tools" / "model"), "--at-once", "1")
        steps.append(Step.spare(spare, "tools/model", *model))
    return [*steps, Step.spare(spare, "tools/docs", python, str(ROOT / "tools" / "_docs.py"))]


def begin_linters(spare: ThreadPoolExecutor, python: str) -> list[Step]:
    """Run ruff and mypy over all Python in the checkout, and pyright over what tells of the types
    of the public API.
    """
    scripts = [str(path) for path in (ROOT / "tools").iterdir() if path.is_file()]
    commands = {
        # Of a folder it takes the files that end in .py; a script in tools/ has to be named.
        "mypy": ["mypy", ".", *sorted(path for path in scripts if not path.endswith(".py"))],
        "pyright": ["pyright", "--pythonpath", python],  # else it asks the first one on PATH
        "ruff check": ["ruff", "check"],
        "ruff format": ["ruff", "format", "--check"],
    }
    os.environ["PYRIGHT_PYTHON_IGNORE_WARNINGS"] = "1"  # so it does not ask for a newer release
    return [Step.spare(spare, name, python, "-m", *command) for name, command in commands.items()]


def run_tests(
    lanes: ThreadPoolExecutor,
    interpreter: Interpreter,
    files: Sequence[str],
    left_out: Sequence[str] = (),
) -> Run:
    """Run these files of tests on one interpreter, or all but those left out. Raises SetUpError."""
    with ready(interpreter, EXTRAS) as python, tempfile.TemporaryDirectory() as folder:
        parts = parts_of(files, left_out)
        counts = [Path(folder, f"{number}.json") for number, _ in enumerate(parts)]
        commands = map(pytest_command, repeat(python), counts, parts)
        return Step(lanes, f"Python {interpreter.label}", *commands).wait(counts)


def run_shown(interpreter: Interpreter, arguments: Sequence[str]) -> Run:
    """Run pytest with its arguments, its output as it is made. Raises SetUpError."""
    announce(f"Python {interpreter.label}")
    with ready(interpreter, EXTRAS) as python, tempfile.TemporaryDirectory() as folder:
        counts = Path(folder, "counts.json")
        began = time.monotonic()
        with subprocess.Popen(pytest_command(python, counts, arguments), cwd=ROOT) as process:
            try:
                status = process.wait()
            except KeyboardInterrupt:
                process.wait()  # it was interrupted as well, and has something to say about it
                raise
        counted = Counter(json.loads(counts.read_text())) if counts.exists() else Counter[str]()
        return Run(f"Python {interpreter.label}", status, counted, time.monotonic() - began)


def pytest_command(python: str, counts: Path, arguments: Sequence[str]) -> list[str]:
    """How pytest is run, and writes its counts there."""
    totals = str(ROOT / "tools" / "_totals.py")
    return [python, totals, str(counts), "-p", "no:cacheprovider", *arguments]


def parts_of(files: Sequence[str], left_out: Sequence[str] = ()) -> list[Sequence[str]]:
    """The arguments of the runs of pytest that make up one.

    All the tests are dealt out to several, of which some run at a time, since most tests wait
    most of the time. Each file passes alone and in any order, so any of them may go together.
    """
    if files:
        return [files]
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    left = found - set(left_out)
    every = [*(name for name in LONGEST if name in left), *sorted(left - set(LONGEST))]
    return [every[part::PARTS] for part in range(PARTS)]


def try_all(
    lanes: ThreadPoolExecutor, interpreters: Sequence[Interpreter], files: Sequence[str]
) -> list[Run]:
    """Run the tests on each of them, on several at a time, and `ON_FIRST`, `ON_NEWEST` on one."""
    first, newest = interpreters[0], interpreters[-1]
    left_out = [
        (*(() if each is first else ON_FIRST), *(() if each is newest else ON_NEWEST))
        for each in interpreters
    ]
    run = partial(try_tests, partial(run_tests, lanes))
    with ThreadPoolExecutor(PYTHONS_AT_ONCE) as pool, stopping_at_an_interrupt():
        return list(pool.map(run, interpreters, repeat(files), left_out))


def try_tests(run: Callable[..., Run], interpreter: Interpreter, *how: Sequence[str]) -> Run:
    """`run` them; that one cannot be set up must not hide what the others say."""
    try:
        return run(interpreter, *how)
    except SetUpError as error:
        announce(f"Python {interpreter.label}: {error}")
        return Run(f"Python {interpreter.label} (its set-up)", 1, Counter(), 0.0)


@contextmanager
def stopping_at_an_interrupt() -> Iterator[None]:
    """Once this block is left by an exception, no other command is begun."""
    try:
        yield
    except BaseException:
        interrupted.set()
        raise


def run_quietly(command: Sequence[str], name: str) -> Ended:
    """Run it in the checkout, its output in one piece at its end, but for a line about each file
    of tests."""
    began = time.monotonic()
    if interrupted.is_set():
        return Ended(1, began, began, 0.0)
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
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    print("".join(held), end="", flush=True)
    computed = usage.ru_utime + usage.ru_stime
    return Ended(process.returncode, began, time.monotonic(), computed)


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
