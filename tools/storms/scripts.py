"""Runs a program, as `python FILE` does. Each line that it prints is a test that has passed."""

from __future__ import annotations

import io
import runpy
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout

from storms.journal import Journal


def run(arguments: Sequence[str], tests: Sequence[str], journal: Journal) -> int:
    """Run the program here, whole, whatever tests are named; return its exit status."""
    (path,) = sys.argv[:] = arguments
    stdout, name, outcome, detail = io.StringIO(), "it ends", "passed", ""
    journal.note(begins=name)
    try:
        with redirect_stdout(stdout):
            runpy.run_path(path, run_name="__main__")
    except BaseException:  # noqa: BLE001 - whatever it is, it is the outcome
        outcome, detail = "failed", traceback.format_exc()
    journal.note(ends=name)
    journal.note(test=name, outcome=outcome, detail=detail)
    for line in stdout.getvalue().splitlines():
        journal.note(test=f"it prints: {line}", outcome="passed", detail="")
    return int(outcome != "passed")
