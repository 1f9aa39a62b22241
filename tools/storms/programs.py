"""Small programs that live on threads, each of which does some work and prints what came of it.

They lie in `tools/programs`, beside what several of them share (`_*.py`). What one of them needs
its head says (the inline metadata of Python's packaging); that is put into a folder of its own
below .venvs/.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from storms.packages import FetchError, folder_of, install
from storms.suites import Suite
from storms.worker import ROOT

FOLDER = ROOT / "tools" / "programs"
_HEAD = re.compile(r"^# /// script$(.*?)^# ///$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Program:
    """One of them, and what it needs."""

    path: Path
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.stem


def read_program(path: Path) -> Program:
    """What that file says of itself."""
    head = _HEAD.search(path.read_text())
    if head is None:
        return Program(path, ())
    lines = [line.removeprefix("#").strip() for line in head[1].splitlines()]
    return Program(path, tuple(tomllib.loads("\n".join(lines))["dependencies"]))


PROGRAMS = tuple(read_program(path) for path in sorted(FOLDER.glob("[!_]*.py")))


def fetch_program(program: Program) -> Suite:
    """The program as a suite, whose tests are the lines that it prints.

    What it needs is installed first, if that was not done before; where it cannot be had the suite
    is absent, and stderr says why.
    """
    paths: tuple[str, ...] = (str(FOLDER),)
    absent = False
    if program.needs:
        folder = folder_of(program.name)
        try:
            install(folder, program.needs)
            paths += (str(folder / "site"),)
        except FetchError:
            absent = True
    return Suite(program.name, "script", (str(program.path),), paths=paths, absent=absent)
