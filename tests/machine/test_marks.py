"""Marks from outside: what can be marked, what is in a mark, and what is refused."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import freezethreads
from freezethreads import FreezeError, Freezer
from freezethreads._machine.marks import Marks, name_of
from machine import needs_monitoring

THIS = __name__


class Ledger:
    def transfer(self) -> Any:
        return sys._getframe()

    @staticmethod
    def fixed() -> Any:
        return sys._getframe()

    @classmethod
    def made(cls) -> Any:
        return (lambda: sys._getframe())()


def function() -> Any:
    return sys._getframe()


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (function, f"{THIS}:function"),
        (Ledger, f"{THIS}:Ledger"),
        (Ledger.transfer, f"{THIS}:Ledger.transfer"),
        (Ledger().transfer, f"{THIS}:Ledger.transfer"),
        (vars(Ledger)["fixed"], f"{THIS}:Ledger.fixed"),
        (Ledger.made, f"{THIS}:Ledger.made"),
        (sys.modules[THIS], THIS),
        ("not.there.yet:Class.method", "not.there.yet:Class.method"),
        ("not.there.yet", "not.there.yet"),
        (f"{THIS}:Ledger.made", f"{THIS}:Ledger.made"),
    ],
)
def test_what_a_mark_is_called(target: Any, name: str) -> None:
    assert name_of(target) == name


@pytest.mark.parametrize("target", [None, 3, 3.5, print, [function]])
def test_what_cannot_be_marked(target: Any) -> None:
    with pytest.raises(TypeError, match="function, a class, a module, or a name such as"):
        name_of(target)


@pytest.mark.parametrize("target", ["", "a b", "a:", ":b", "a..b", "a:b:c", "a/b.py"])
def test_what_is_no_name(target: str) -> None:
    with pytest.raises(ValueError, match=r"named like 'package\.module'"):
        name_of(target)


def test_a_name_that_a_loaded_module_has_not() -> None:
    with pytest.raises(ValueError, match="has no 'transfr'"):
        name_of(f"{THIS}:Ledger.transfr")


def test_what_is_in_a_mark() -> None:
    own = Marks()
    assert not own
    assert own.name_in(function()) is None
    own.add(Ledger.transfer)
    assert own.name_in(Ledger().transfer()) == f"{THIS}:Ledger.transfer"
    assert own.name_in(Ledger.fixed()) is None
    own.add(Ledger)
    assert own.name_in(Ledger.fixed()) == f"{THIS}:Ledger"
    assert own.name_in(Ledger.made()) == f"{THIS}:Ledger"
    assert own.name_in(function()) is None
    own.add(sys.modules[THIS], "all")
    assert own.name_in(function()) == THIS
    assert own.label_of(THIS) == "all"


@needs_monitoring
def test_the_target_is_returned_as_it_is() -> None:
    name = "not.there.yet:function"
    assert freezethreads.atomic(function) is function
    assert freezethreads.freezable(function, label="here") is function
    assert Freezer().atomic(name) == name


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there it is done without a wrapper")
def test_before_monitoring_a_function_is_wrapped() -> None:
    freezer = Freezer()
    seen = []

    def look(x: int, *, y: int) -> int:
        seen.append(freezer.threads()[0].state)
        return x + y

    with freezer.register():
        for wrapped in (freezer.atomic(look), freezer.freezable(look)):
            assert wrapped is not look
            assert wrapped.__name__ == "look"
            assert wrapped(1, y=2) == 3
    with pytest.raises(FreezeError, match=r"only a function can be marked on CPython 3\.11"):
        freezer.atomic(Ledger)


def test_a_wrong_target_is_refused_by_the_freezer() -> None:
    for method in (freezethreads.atomic, freezethreads.freezable):
        with pytest.raises(TypeError):
            method(None)
        with pytest.raises(ValueError, match="has no"):
            method(f"{THIS}:nobody")
