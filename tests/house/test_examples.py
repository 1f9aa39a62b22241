"""The programs in examples/: each prints what its first docstring says."""

from __future__ import annotations

import ast
import doctest
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from helpers import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
ARGUMENTS = {"crawler": [], "resuming": ["checkpoints", "0.5"], "service": ["1.2"]}


def what_it_prints(example: Path) -> str:
    """What the docstring says."""
    doc = ast.get_docstring(ast.parse(example.read_text())) or ""
    _, found, output = doc.partition("It prints::\n\n")
    assert found, f"{example.name} does not say what it prints"
    return textwrap.dedent(output) + "\n"


def run(example: Path, folder: Path) -> str:
    """Run it in a folder, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", example, *ARGUMENTS[example.stem]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_there_are_examples() -> None:
    assert {example.stem for example in EXAMPLES} == set(ARGUMENTS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_prints_what_it_says(example: Path, tmp_path: Path) -> None:
    wanted, got = what_it_prints(example), run(example, tmp_path)
    assert doctest.OutputChecker().check_output(wanted, got, doctest.ELLIPSIS), got


def test_the_one_that_resumes_goes_on_where_it_was(tmp_path: Path) -> None:
    example = ROOT / "examples" / "resuming.py"
    first, second = run(example, tmp_path), run(example, tmp_path)
    (end,) = [line for line in first.splitlines() if line.startswith("ends at ")]
    assert second.startswith(f"begins at {end.split()[2].rstrip(';')}\n")
    assert "begins at 1\n" not in second
