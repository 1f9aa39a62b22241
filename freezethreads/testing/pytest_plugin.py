"""The plugin of pytest: the fixture `freezer`, and the option ``--freeze-a-lot``.

pytest 8.2 or newer loads it by itself where this package is installed, and ``-p no:freezethreads``
keeps it out. The fixture `freezer` of `pytest-freezer`, which sets clocks, goes before ours.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import pytest

from freezethreads import FreezeError, Freezer, default_freezer
from freezethreads._ground.files import is_own

if TYPE_CHECKING:
    from freezethreads.testing._background import Background
    from freezethreads.testing.pytest_fixtures import Check

TIMEOUT = pytest.StashKey[float]()
CHECK: pytest.StashKey[Check] = pytest.StashKey()
A_LOT: pytest.StashKey[Background] = pytest.StashKey()

# By these names pytest knows the plugins that have had a fixture `freezer` for long.
_OTHERS = ("freezer", "pytest_freezer", "freezegun", "pytest_freezegun")
_LONGEST = 60_000.0  # milliseconds: more is no such thing as a lot


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which options there are."""
    group = parser.getgroup("freezethreads")
    group.addoption(
        "--freeze-a-lot",
        nargs="?",
        const=5.0,
        type=_milliseconds,
        metavar="MS",
        help="while the tests run, stop all enrolled threads about every MS milliseconds (5)",
    )
    group.addoption(
        "--freeze-a-lot-seed", metavar="SEED", help="what decides when; it is in the report"
    )
    parser.addini(
        "freezethreads_timeout",
        "seconds that threads have to stop in at the end of a test with the fixture `freezer`",
        default="5",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the options, and load what they ask for. Raises UsageError."""
    config.stash[TIMEOUT] = _seconds(config.getini("freezethreads_timeout"))
    if _other(config) is None:
        from freezethreads.testing import pytest_fixtures

        config.pluginmanager.register(pytest_fixtures, "freezethreads-fixtures")
    if config.option.freeze_a_lot is not None and not config.option.collectonly:
        from freezethreads.testing._pytest_a_lot import FreezeALot

        config.pluginmanager.register(FreezeALot(config), "freezethreads-a-lot")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Tell who else has the fixture's name."""
    other = _other(config)
    return other and f"freezethreads: the fixture `freezer` is that of the plugin {other!r}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Note what its fixtures have frozen."""
    check = item.stash.get(CHECK, None)
    if check is not None:
        check.begin()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Look at the threads before any fixture ends: most end with a fixture, or wait for one."""
    check = item.stash.get(CHECK, None)
    if check is not None:
        item.addfinalizer(check.end)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> None:
    """End the traceback of an error of this library at the line that called it.

    A `FreezeError`, and a TypeError or ValueError for an argument that is wrong. ``--full-trace``
    shows the rest, and any other error shows it by itself.
    """
    if call.excinfo is not None:
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == "freezethreads":
                vars(module)["__tracebackhide__"] = _hides


def _hides(error: pytest.ExceptionInfo[BaseException] | None) -> bool:
    if error is None or isinstance(error.value, FreezeError):
        return error is not None
    is_wrong_use = isinstance(error.value, (TypeError, ValueError))
    return is_wrong_use and is_own(str(error.traceback[-1].path))


@pytest.fixture
def freezethreads_freezer() -> Freezer:
    """Which freezer the fixture `freezer` is: the default one. Override this for another."""
    return default_freezer


def _other(config: pytest.Config) -> str | None:
    return next((name for name in _OTHERS if config.pluginmanager.hasplugin(name)), None)


def _milliseconds(text: str) -> float:
    value = _number(text)
    if not 0 < value <= _LONGEST:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of milliseconds above 0 and up to {_LONGEST:g} "
            "(before a file name write --freeze-a-lot=5)"
        )
    return value


def _seconds(text: str) -> float:
    value = _number(text)
    if not 0 < value < float("inf"):
        raise pytest.UsageError(
            f"freezethreads_timeout must be a number of seconds above 0, not {text!r}"
        )
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
