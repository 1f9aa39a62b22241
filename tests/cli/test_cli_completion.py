"""Names complete in a shell: by argcomplete, as its own scripts for the shells ask it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from control_programs import program
from control_programs import runtime as runtime
from helpers import ROOT


def complete(line: str, **env: str) -> list[str]:
    """What could follow: what the command writes for the shell."""
    reading, writing = os.pipe()
    shell = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, **shell, "_ARGCOMPLETE_IFS": "\n", **env}
    code = (
        "import os, sys; os.dup2(int(sys.argv.pop()), 8)\n"
        "from freezethreads.cli import main; sys.exit(main())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(writing)],
        env=environment,
        pass_fds=[writing],
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(writing)
    with open(reading) as answer:
        words = answer.read().split("\n")
    assert result.returncode == 0, result.stderr
    return sorted(word.strip() for word in words if word.strip())


def test_verbs() -> None:
    assert complete("freezethreads t") == ["thaw", "threads"]
    assert complete("freezethreads si") == ["sites"]


def test_options() -> None:
    assert complete("freezethreads freeze --l") == ["--lease"]


@pytest.mark.usefixtures("runtime")
def test_numbers_of_processes() -> None:
    with program() as served:
        assert complete("freezethreads thaw ") == [str(served.pid)]
