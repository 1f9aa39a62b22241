"""A CPython that is newer than this library: what is another one there is said, and left alone."""

from __future__ import annotations

import sys
import warnings

import pytest

from freezethreads._ground import uninterruptible
from freezethreads._ground.uninterruptible import covered
from helpers import run_python

LATER = sys.version_info[:2]

# A program on a CPython where no exception table looks as expected.
NEWER = """
import warnings; warnings.simplefilter("always")
import dis, sys
del dis.Bytecode  # which is asked what the tables say
sys.version_info = (3, 99, 0, "final", 0)
import freezethreads
with freezethreads.register(), freezethreads.blocking(), freezethreads.freeze():
    print("frozen")
"""


def act() -> None:
    """Begins with a `try`."""
    try:
        print()
    except ValueError:
        raise


def act_otherwise() -> None:
    """Does the same."""
    try:
        print()
    except ValueError:
        raise


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """From this CPython on, nothing is known."""
    monkeypatch.setattr(uninterruptible, "_UNKNOWN", LATER)
    monkeypatch.setattr(uninterruptible, "_left_alone", [])
    for function in (act, act_otherwise):
        monkeypatch.setattr(function, "__code__", function.__code__)  # as it was, afterwards


def test_where_the_format_is_the_same_nothing_is_said() -> None:
    table = act.__code__.co_exceptiontable
    covered(act)
    assert act.__code__.co_exceptiontable[2:].endswith(table)


@pytest.mark.parametrize("entry", [b"", b"\x80\x01\x01\x00", b"\xff" * 4])
def test_where_it_is_another_functions_stay_as_they_are(
    entry: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uninterruptible, "_entry_from_zero", lambda table: entry)
    before = act.__code__
    with pytest.warns(RuntimeWarning, match="does not know CPython"):
        covered(act)
    covered(act_otherwise)  # where a second warning would be an error
    assert act.__code__ is before


def test_where_no_try_is_found_they_do_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uninterruptible, "_entry_from_zero", lambda table: None)
    with pytest.warns(RuntimeWarning, match="look for a newer freezethreads"):
        covered(act)


def test_the_library_works_there_and_says_it_once() -> None:
    result = run_python(NEWER)
    assert result.stdout == "frozen\n"
    assert result.stderr.count("does not know CPython 3.99") == 1, result.stderr


def test_the_known_ones_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        covered(act)
