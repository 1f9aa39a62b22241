"""Has spin explore the models in stress/models, and then their mutants: `tools/model --help`.

A model says itself what is done with it, in comments of one line below the one that describes it:

    /* run "what is shown" -DMACRO ... */        explored as a whole; nothing may be found
    /* long "what is shown" -DMACRO ... */       likewise, with --long
    /* mutant name -DMACRO ... */                where this one fails, if not in the first run

A mutant is what `#ifdef MUTANT_name` (or `#ifndef`) makes of the model: it breaks a rule. Spin
has to find something wrong with each.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from _markers import steps_of

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "stress" / "models"

DEPTH = 100_000
MEMORY = {False: 2000, True: 6000}
"""Megabytes that one search may take; the second with --long."""

_DIRECTIVE = re.compile(r'/\* (run|long|mutant) (?:"([^"]*)"|(\w+))((?: -D\S+)*) \*/')
_FIGURES = {
    "errors": r"errors: (\d+)",
    "states": r"(\d+) states, stored",
    "depth": r"depth reached (\d+)",
    "seconds": r"elapsed time ([\d.]+)",
}
_COLUMNS = "{:<11} {:<44} {:>9} {:>5} {:>7}  {}"


class ModelError(Exception):
    """A model that cannot be explored. Says why."""


@dataclass(frozen=True)
class Search:
    """One exploration of one model. Of a mutant `mutant` is the name, and then it has to fail."""

    model: Path
    title: str
    macros: tuple[str, ...] = ()
    mutant: str | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the preprocessor is told."""
        return (*self.macros, f"-DMUTANT_{self.mutant}") if self.mutant else self.macros


@dataclass(frozen=True)
class Result:
    """What spin found: `wrong` is its complaint, or None; `trail` the last steps before that."""

    search: Search
    states: int
    depth: int
    seconds: float
    wrong: str | None
    trail: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the model is right, or the mutant is not."""
        return (self.wrong is None) == (self.search.mutant is None)

    @property
    def verdict(self) -> str:
        """In a few words."""
        if self.search.mutant is None:
            return "holds" if self.wrong is None else f"FAILS: {self.wrong}"
        return "SURVIVES" if self.wrong is None else "fails, as it should"


def searches_of(model: Path, long: bool) -> list[Search]:
    """The runs of a model, and then its mutants. Raises ModelError if it names none."""
    text = model.read_text()
    runs: list[Search] = []
    places: dict[str, tuple[str, ...]] = {}
    for kind, title, name, macros in _DIRECTIVE.findall(text):
        if kind == "mutant":
            places[name] = tuple(macros.split())
        elif kind == "run" or long:
            runs.append(Search(model, title, tuple(macros.split())))
    mutants = list(dict.fromkeys(re.findall(r"\bMUTANT_(\w+)", text)))
    unknown = places.keys() - set(mutants)
    if not runs or unknown:
        raise ModelError(f"{model.name} says of {', '.join(unknown) or 'no run'} what to do")
    first = runs[0].macros
    return runs + [
        Search(model, name.replace("_", " "), places.get(name, first), name) for name in mutants
    ]


def explore(search: Search, compiler: str, megabytes: int) -> Result:
    """Have spin make a program of the model, and run that. Raises ModelError."""
    with tempfile.TemporaryDirectory(prefix="ft-model-") as folder:
        for path in search.model.parent.glob("*.pml"):  # it may include others
            shutil.copy(path, folder)
        name = search.model.name
        _run(["spin", "-a", *search.arguments, name], folder, search)
        # A program that runs for a second is not worth a second of the compiler.
        how = ["-O0" if search.mutant else "-O2", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={megabytes}"]
        _run([*shlex.split(compiler), *how, "-w", "-o", "pan", "pan.c"], folder, search)
        output = _run(["./pan", f"-m{DEPTH}"], folder, search)
        figures = {key: re.search(pattern, output) for key, pattern in _FIGURES.items()}
        found = {key: match[1] if match else "0" for key, match in figures.items()}
        wrong = re.search(r"^pan:1: (.*?)(?: \(at depth.*)?$", output, re.MULTILINE)
        complete = wrong or (found["errors"] == "0" and "Search not completed" not in output)
        if figures["errors"] is None or not complete:
            raise ModelError(f"{name} was not explored to its end:\n{output}")
        trail: list[str] = []
        if wrong and search.mutant is None:
            steps = _run(["spin", "-t", "-p", "-g", *search.arguments, name], folder, search)
            trail = steps.splitlines()[-60:]
    numbers = int(found["states"]), int(found["depth"]), float(found["seconds"])
    return Result(search, *numbers, wrong[1] if wrong else None, trail)


def _run(command: Sequence[str], folder: str, search: Search) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode and command[0] != "./pan":
        shown = f"{done.stdout}{done.stderr}"[-2000:]
        raise ModelError(f"{search.model.name}: {shlex.join(command)} failed:\n{shown}")
    return done.stdout + done.stderr


def explore_all(
    searches: Sequence[Search], compiler: str, megabytes: int, at_once: int
) -> Iterator[Result]:
    """Explore them side by side, and give the results in their order. Raises ModelError."""
    with ThreadPoolExecutor(at_once) as pool:
        try:
            yield from pool.map(lambda one: explore(one, compiler, megabytes), searches)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def find_tools() -> str:
    """The C compiler. Ends the script, with a line on how to get it, if that or spin is missing."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    missing = [
        what for what, there in (("spin", shutil.which("spin")), ("gcc", compiler)) if not there
    ]
    if missing or compiler is None:
        packages = " ".join(missing)
        sys.exit(
            f"tools/model: {' and '.join(missing)} not found on PATH; get it by "
            f"`apt install {packages}`, `brew install {packages}` or from https://spinroot.com"
        )
    return compiler


def row(result: Result) -> str:
    """One line of the table, and the steps that led to what should not be."""
    search = result.search
    name = f"  not: {search.title}" if search.mutant else search.title
    figures = f"{result.states}", f"{result.depth}", f"{result.seconds:.1f}"
    line = _COLUMNS.format(search.model.stem, name, *figures, result.verdict)
    return "\n".join([line, *(f"    {step}" for step in result.trail)])


def steps(model: Path) -> Iterator[str]:
    """A table of the model's steps and the code's lines."""
    for step in steps_of(model.read_text(), ROOT / "freezethreads"):
        lines = ", ".join(map(str, step.lines))
        place = f"{step.path.name}:{lines}"
        yield f"{model.name}:{step.marker.line:<5} {place:<36} {step.marker.function}"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    names = [path.stem for path in models()]
    parser = argparse.ArgumentParser(
        prog="tools/model",
        allow_abbrev=False,
        description="Explore each model of the freezer's protocol in stress/models as a whole, and "
        "then each of its mutants, which breaks one rule and has to fail. The status is 0 if all "
        "models hold and no mutant survives.",
    )
    add = parser.add_argument
    add("--only", metavar="NAME", action="append", choices=names, help=f"of {', '.join(names)}")
    add("--code", action="store_true", help="say which step is which line of the code, and no more")
    add("--long", action="store_true", help="the bigger searches as well, for minutes each")
    add("--at-once", type=int, default=2, metavar="N", help="side by side; default: 2")
    return parser.parse_args(arguments)


def models() -> list[Path]:
    """Those that say what is to be done with them; the others are included by these."""
    return [path for path in sorted(MODELS.glob("*.pml")) if _DIRECTIVE.search(path.read_text())]


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; return 0 if all is as it should be."""
    options = parse(arguments)
    chosen = [path for path in models() if not options.only or path.stem in options.only]
    if options.code:
        print("\n".join(line for path in chosen for line in steps(path)))
        return 0
    compiler = find_tools()
    print(_COLUMNS.format("model", "property", "states", "depth", "seconds", "verdict"), flush=True)
    results = []
    try:
        searches = [search for path in chosen for search in searches_of(path, options.long)]
        for result in explore_all(searches, compiler, MEMORY[options.long], options.at_once):
            results.append(result)
            print(row(result), flush=True)
    except ModelError as error:
        sys.exit(f"tools/model: {error}")
    mutants = [result for result in results if result.search.mutant]
    wrong = [result for result in results if not result.passed]
    print(
        f"{len(results) - len(mutants)} searches, {len(mutants)} mutants: "
        f"{f'{len(wrong)} WRONG' if wrong else 'all as they should be'}"
    )
    return 1 if wrong else 0
