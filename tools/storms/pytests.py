"""Runs a pytest suite, as `python -m pytest ARGUMENTS` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from storms.journal import Journal

if TYPE_CHECKING:
    import pytest


def run(arguments: Sequence[str], tests: Sequence[str], journal: Journal) -> int:
    """Run `python -m pytest ARGUMENTS`, or some of its tests, here; return its exit status."""
    import pytest  # not before all threads are enrolled

    return int(pytest.main(list(arguments), plugins=[Recorder(journal, tests)]))


class Recorder:
    """A plugin of pytest that writes down the outcome of each test, and leaves out all others."""

    def __init__(self, journal: Journal, tests: Sequence[str]) -> None:
        self._journal = journal
        self._tests = frozenset(tests)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._tests:
            items[:] = [item for item in items if item.nodeid in self._tests]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._journal.note(begins=nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._journal.note(ends=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            detail = report.longreprtext if report.failed else ""
            self._journal.note(test=report.nodeid, outcome=_outcome(report), detail=detail)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            detail = report.longreprtext
            self._journal.note(test=report.nodeid, outcome="error", detail=detail)


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    if report.failed:
        return "failed" if report.when == "call" else "error"
    return report.outcome
