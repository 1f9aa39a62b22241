"""Marks from outside: what can be marked, what is in a mark, and what is refused."""

from __future__ import annotations

import logging
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import freezethreads
from freezethreads import FreezeError, Freezer
from freezethreads._machine.marks import Marks, atomic, name_of
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
    own = Marks("atomic")
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


# Marks of nothing: each looks like one, and spares nobody.


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("json.dumps", "there is no module 'json.dumps'; write 'json:dumps'"),
        ("json.encoder.JSONEncoder.encode", "write 'json.encoder:JSONEncoder.encode'"),
        ("json.decoder.JSONDecoder:decode", "write 'json.decoder:JSONDecoder.decode'"),
        ("math:sqrt", "which is no code of Python"),
        (f"{THIS}:Ledger.transfr", "has no 'transfr'"),
    ],
)
def test_what_a_loaded_module_has_not_is_refused(name: str, told: str) -> None:
    import json.encoder  # noqa: F401
    import math  # noqa: F401

    with pytest.raises(ValueError, match=r"there is no|no code|has no") as caught:
        name_of(name)
    assert told in str(caught.value)


PACKAGE = {
    "shop/__init__.py": "from shop.ledger import move",
    "shop/ledger.py": """
class Base:
    def move(self): import sys; return sys._getframe()
class Book(Base): pass
def move(): import sys; return sys._getframe()
""",
    "single.py": "def move(): pass",
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package and a module that nobody has imported."""
    for name, text in PACKAGE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("shop", "shop.ledger", "single"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        del sys.modules[name]  # and so it is again at the end


def freeze_and_read(caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with Freezer().freeze(where="unlocked", group="nobody"):
        pass
    return [message for message in caplog.messages if "marked" in message]


@needs_monitoring
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere:move", "there is no module 'nowhere', so that nothing is named 'nowhere:move'"),
        ("shop.legder:Book.move", "there is no module 'shop.legder'"),
        ("single.move", "there is no module 'single.move'; write 'single:move'"),
        ("__main__:nobody", "has no 'nobody'"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_a_mark_of_nothing_is_told_once(
    name: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    freezethreads.atomic(name)
    (message,) = freeze_and_read(caplog)
    assert message.startswith(f"{name!r} is marked as atomic, but ")
    assert told in message
    assert "shop" not in sys.modules
    assert freeze_and_read(caplog) == []
    (problem,) = atomic.problems().values()
    assert told in problem


@needs_monitoring
@pytest.mark.usefixtures("shop")
def test_nothing_is_said_of_what_has_yet_to_be_imported(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("shop.ledger:move", "shop.ledger", "single:nobody"):
        freezethreads.atomic(name)
    assert freeze_and_read(caplog) == []
    import shop.ledger  # type: ignore[import-not-found]  # noqa: F401
    import single  # type: ignore[import-not-found]  # noqa: F401

    (message,) = freeze_and_read(caplog)
    assert "there is no 'single:nobody'" in message


@needs_monitoring
def test_a_freeze_at_safepoints_looks_for_what_is_freezable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    freezethreads.freezable("nowhere:loop")
    assert freeze_and_read(caplog) == []
    with Freezer().freeze():
        pass
    assert any("'nowhere:loop' is marked as freezable" in one for one in caplog.messages)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("early", [True, False])
def test_a_name_by_which_it_was_imported_or_inherited(early: bool) -> None:
    """Before or after it was imported."""
    own = Marks("atomic")
    if not early:
        import shop.ledger
    for name in ("shop:move", "shop.ledger:Book.move", "os.path:join"):
        own.add(name)
    import shop.ledger

    own.problems()
    assert own.name_in(shop.move()) == "shop.ledger:move"
    assert own.name_in(shop.ledger.Book().move()) == "shop.ledger:Base.move"
    assert not own.sought


@pytest.mark.parametrize("name", ["__main__", "__mp_main__", "tool"])
@pytest.mark.parametrize("called", ["__main__", "__mp_main__"])
@pytest.mark.parametrize("has_spec", [True, False])
def test_the_program_itself_has_several_names(name: str, called: str, has_spec: bool) -> None:
    """In a process that `multiprocessing` has begun anew its module is called `__mp_main__`."""
    module = ModuleType(called)
    spec = ModuleSpec("tool", None) if has_spec else None
    vars(module).update(__spec__=spec, __file__="/there/tool.py")
    exec("import sys\ndef move(): return sys._getframe()", vars(module))
    own = Marks("atomic")
    own.add(f"{name}:move")
    assert own.name_in(vars(module)["move"]()) == f"{name}:move"
    own.add("other:move")
    assert own.name_in(function()) is None
