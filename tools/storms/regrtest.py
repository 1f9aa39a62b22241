"""Runs a module of the standard library's own test suite, as `python -m test MODULE` does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from storms.journal import Journal


def run(arguments: Sequence[str], tests: Sequence[str], journal: Journal) -> int:
    """Run `python -m test ARGUMENTS`, or some of its tests, here; return its exit status."""
    results: Any = _module_of_results()
    # Its runners look the class up by this name for each run.
    results.RegressionTestResult = recording(results.RegressionTestResult, journal)
    sys.argv = ["regrtest", *(f"--match={_pattern(test)}" for test in tests), *arguments]
    try:
        importlib.import_module("test.libregrtest.main").main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _pattern(test: str) -> str:
    """What chooses this test. Where the set-up of a class has failed, that is the whole class."""
    _, bracket, owner = test.partition(" (")
    return f"{owner.rstrip(')')}.*" if bracket else test


def _module_of_results() -> ModuleType:
    try:
        return importlib.import_module("test.libregrtest.testresult")
    except ModuleNotFoundError:  # CPython 3.11 had it here, up to 3.11.6
        return importlib.import_module("test.support.testresult")


def recording(base: Any, journal: Journal) -> Any:
    """A subclass of the class of results `base` that writes down the outcome of each test."""
    support: Any = importlib.import_module("test.support")

    class Recording(base):  # type: ignore[misc]
        _altered_before: bool | None = None

        def startTest(self, test: Any) -> None:
            journal.note(begins=test.id())
            self._altered_before = support.environment_altered
            support.environment_altered = False
            super().startTest(test)

        def stopTest(self, test: Any) -> None:
            super().stopTest(test)
            if self._altered_before is None:
                return  # a test that is skipped never began, on CPython 3.12.1
            if support.environment_altered:
                journal.note(litters=test.id())
            support.environment_altered |= self._altered_before
            self._altered_before = None
            journal.note(ends=test.id())

        def addSuccess(self, test: Any) -> None:
            self._note(test, "passed")
            super().addSuccess(test)

        def addSkip(self, test: Any, reason: str) -> None:
            self._note(test, "skipped")
            super().addSkip(test, reason)

        def addFailure(self, test: Any, err: Any) -> None:
            self._note(test, "failed", err)
            super().addFailure(test, err)

        def addError(self, test: Any, err: Any) -> None:
            self._note(test, "error", err)
            super().addError(test, err)

        def addExpectedFailure(self, test: Any, err: Any) -> None:
            self._note(test, "xfailed")
            super().addExpectedFailure(test, err)

        def addUnexpectedSuccess(self, test: Any) -> None:
            self._note(test, "xpassed")
            super().addUnexpectedSuccess(test)

        def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
            if err is not None:
                kind = "failed" if issubclass(err[0], test.failureException) else "error"
                self._note(subtest, kind, err)
            super().addSubTest(test, subtest, err)

        def _note(self, test: Any, outcome: str, err: Any = None) -> None:
            whole = getattr(test, "test_case", test)  # a subtest belongs to its test
            detail = "" if err is None else f"{test}\n{self._exc_info_to_string(err, whole)}"
            journal.note(test=whole.id(), outcome=outcome, detail=detail)

    return Recording
