"""Runs pytest as `python -m pytest` does, and writes its counts to the file named first.

Pytest says how many tests passed only in print, and the summary of several runs adds them up.

It keeps the bytecode of what pytest rewrites (the files of tests, and all of Hypothesis) also where
Python is told to keep none: so not every run does it anew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest


class Totals:
    """A plugin of pytest that keeps the numbers of its last line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        stats = terminalreporter.stats.items()
        # Under no name are the passed set-ups and tear-downs, which pytest does not count either.
        self._path.write_text(json.dumps({name: len(reports) for name, reports in stats if name}))


if __name__ == "__main__":
    sys.dont_write_bytecode = False
    sys.exit(pytest.main(sys.argv[2:], plugins=[Totals(Path(sys.argv[1]))]))
