"""The Pythons of this machine: what each says of itself, and which ones are on PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from _python import NEEDED

MINOR_VERSIONS = range(NEEDED[1], 16)
"""The 3.x that a search looks for."""

PROBE = """
import importlib.util, json, os, platform, sys, sysconfig
print(json.dumps({
    "executable": os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
    "implementation": sys.implementation.name,
    "version": platform.python_version(),
    "release": "%d.%d" % sys.version_info[:2],
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "missing": [name for name in ("venv", "ensurepip") if not importlib.util.find_spec(name)],
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python as it describes itself; of one inside a virtual environment, the one below it."""

    executable: str
    implementation: str
    version: str
    release: str
    free_threaded: bool
    missing: list[str]
    """Which of the modules that make a virtual environment its standard library lacks."""

    @property
    def label(self) -> str:
        """Its version, with the suffix `t` of a free-threaded build: `3.13.0t`."""
        return self.version + ("t" if self.free_threaded else "")

    @property
    def kind(self) -> tuple[str, bool]:
        """What two interpreters share between which the tests make no difference."""
        return self.release, self.free_threaded

    @property
    def supported(self) -> bool:
        major, minor = map(int, self.release.split("."))
        return self.implementation == "cpython" and (major, minor) >= NEEDED


def ask(executable: str) -> Interpreter | None:
    """Start `executable` and let it describe itself; None for what is no working Python.

    One may well be on PATH and not work: a version manager's stand-in for a version that is not
    switched on is such a file.
    """
    try:
        answer = subprocess.run(
            [executable, "-I", "-c", PROBE], capture_output=True, text=True, timeout=30, check=True
        )
        return Interpreter(**json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None


def ask_own() -> Interpreter:
    """Describe the Python that runs this script; end the script if it is not a CPython."""
    own = ask(sys.executable)
    if own is None or not own.supported:
        sys.exit(f"{sys.argv[0]} needs a CPython, which {sys.executable} is not")
    return own


def discover(path: str) -> list[Interpreter]:
    """Find one supported interpreter of each kind: this script's own, then the first on `path`."""
    own = ask_own()
    found = {own.kind: own}
    for minor in MINOR_VERSIONS:
        for name in (f"python3.{minor}", f"python3.{minor}t"):
            for folder in path.split(os.pathsep):
                interpreter = ask(str(Path(folder, name)))
                if interpreter is not None and interpreter.supported:
                    found.setdefault(interpreter.kind, interpreter)
    return list(found.values())
