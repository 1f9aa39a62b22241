"""What the tests of ``freezethreads run`` share: processes."""

from __future__ import annotations

import os
import subprocess
import sys

from helpers import ROOT

RUN = ("-m", "freezethreads", "run")


def python(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the interpreter. Does not look at its status."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        check=False,
    )


def run(*program: str, **env: str) -> str:
    """Run a program by the command, and return what it prints; it must print no error."""
    result = python(*RUN, *program, **env)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout
