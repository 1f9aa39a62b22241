"""Whether a command can be given as a page has it: the parser of its program reads it."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Sequence

import argcomplete
import pytest

import _bench
import _check
import _docs
import _model
import _storm
import _transcript
from benchmarks.rows import select
from freezethreads.cli import _make_parser
from freezethreads.testing.pytest_plugin import pytest_addoption
from helpers import ROOT
from storms.packages import PACKAGES
from storms.suites import MODULES
from stress._cli import make_parser as make_stress_parser
from stress.mutants import MUTANTS
from stress.scenarios import built_in


def check_demo(arguments: Sequence[str]) -> None:
    if arguments != ["--help"]:
        _make_parser().parse_args(["demo", *arguments])


def check_test(arguments: Sequence[str]) -> None:
    _, of_pytest = _check.parse(arguments)
    missing = [name for name in of_pytest if not (ROOT / name).exists()]
    assert not missing


def check_bench(arguments: Sequence[str]) -> None:
    for name in _bench.parse(arguments).only:
        assert select(_bench.GROUPS, [name]), f"no row has {name!r} in its name"


def check_command(arguments: Sequence[str]) -> None:
    if arguments[0] == "demo":
        check_demo(arguments[1:])
    else:
        _make_parser().parse_args(arguments)


def check_storm(arguments: Sequence[str]) -> None:
    known = {*MODULES, *(package.name for package in PACKAGES)}
    options = _storm.parse(arguments)
    assert set(options.suite) <= known


def check_pip(arguments: Sequence[str]) -> None:
    assert list(arguments[:3]) == ["-m", "pip", "install"]
    (target,) = arguments[3:]
    found = re.fullmatch(r"\.(?:\[([\w,]+)\])?", target)
    assert found, target
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    extras = set(found[1].split(",")) if found[1] else set()
    assert extras <= set(settings["options.extras_require"])


def check_pytest(arguments: Sequence[str]) -> None:
    parser = pytest.Parser(_ispytest=True)
    pytest_addoption(parser)
    parser.parse(arguments)


def check_stress(arguments: Sequence[str]) -> None:
    options = make_stress_parser().parse_args(arguments)
    assert set(options.scenario or ()) <= set(built_in())
    assert set(options.mutants or ()) <= set(MUTANTS)


def check_python(arguments: Sequence[str]) -> None:
    if arguments[:2] == ["-m", "stress"]:
        check_stress(arguments[2:])
    else:
        check_pip(arguments)


def check_cp(arguments: Sequence[str]) -> None:
    assert arguments == ["-r", "data", "backup"]  # the reader's own


def check_eval(arguments: Sequence[str]) -> None:
    assert arguments == ["$(register-python-argcomplete freezethreads)"]
    assert callable(argcomplete.autocomplete)


CHECKS: dict[str, Callable[[Sequence[str]], object]] = {
    "./tools/demo": check_demo,
    "./tools/docs": _docs.parse,
    "./tools/test": check_test,
    "./tools/bench": check_bench,
    "./tools/model": _model.parse,
    "./tools/storm": check_storm,
    "./tools/transcript": _transcript.parse,
    "freezethreads": check_command,
    "cp": check_cp,
    "eval": check_eval,
    "python": check_python,
    "pytest": check_pytest,
}
