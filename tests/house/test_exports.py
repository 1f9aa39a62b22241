"""The public names, pinned: programs are written against these, and against their signatures.

A page of `tests/house/public/` has what can be used of a module; `public_api` writes them.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import importlib
import importlib.metadata
import inspect
import pickle
import pkgutil
import pydoc
import re
import sys
from types import FunctionType
from typing import Any

import pytest

import freezethreads
from freezethreads import Freezer, FreezeTimeout, Straggler, default_freezer
from helpers import run_python
from public_api import MODULES, PAGES, page_of, path_of

# The methods of a Freezer that the module has as functions, bound to the default freezer.
METHODS = sorted(
    name
    for name, value in vars(Freezer).items()
    if isinstance(value, FunctionType) and not name.startswith("_")
)

ERRORS = sorted(
    name
    for name in freezethreads.__all__
    if inspect.isclass(found := vars(freezethreads)[name]) and issubclass(found, Exception)
)

# Modules in which nothing is promised: the command, a folder, and what says so of itself.
UNPINNED = {"freezethreads.__main__", "freezethreads.integrations", "freezethreads.demo"}


def public_modules() -> set[str]:
    """Every module of the package that has no underscore on its way."""
    found = pkgutil.walk_packages(freezethreads.__path__, "freezethreads.")
    names = {"freezethreads", *(each.name for each in found)}
    return {name for name in names if not re.search(r"\._(?!_)", name)}


@pytest.mark.parametrize("module", MODULES)
def test_the_public_api_is_what_its_page_says(module: str) -> None:
    pinned, now = (text.splitlines() for text in (path_of(module).read_text(), page_of(module)))
    changes = list(difflib.unified_diff(pinned, now, path_of(module).name, "now", lineterm=""))
    if changes:
        advice = (
            "the public API is not what its page says. If that is meant, tell of it in "
            "CHANGELOG.md, and write the pages anew:  python tests/support/public_api.py"
        )
        pytest.fail("\n".join([advice, *changes]), pytrace=False)


def test_every_public_module_has_a_page_and_no_other_has() -> None:
    assert public_modules() == {*MODULES, *UNPINNED}
    assert {path.stem for path in PAGES.iterdir()} == set(MODULES)


def test_the_version_is_that_of_the_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"1.2.3 of {name}")
    assert freezethreads.__version__ == "1.2.3 of freezethreads"


def test_the_version_of_a_checkout_is_before_every_release(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", nothing)
    assert freezethreads.__version__ == "0+unknown"


def test_the_version_is_looked_up_when_somebody_asks_and_not_before() -> None:
    code = """
import sys, freezethreads
print("importlib.metadata" in sys.modules, isinstance(freezethreads.__version__, str))
"""
    assert run_python(code).stdout == "False True\n"


def test_another_name_is_missing_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match=r"^module 'freezethreads' has no attribute 'thawn'$"):
        _ = freezethreads.thawn  # type: ignore[attr-defined]


def test_who_goes_through_all_modules_may_ask_each_for_a_name() -> None:
    """As the standard library's test runner does, in a loop over `sys.modules` itself."""
    loop = "for one in sys.modules.values(): hasattr(one, '__warningregistry__')"
    run_python(f"import sys, freezethreads, freezethreads.control\n{loop}")


def test_help_has_nothing_that_is_for_a_tool() -> None:
    shown = pydoc.render_doc(freezethreads)
    assert "has freezers of its own" in shown
    assert "PYTEST_DONT_REWRITE" not in shown


def test_nothing_else_looks_public() -> None:
    looks = {name for name in vars(freezethreads) if not name.startswith("_")}
    # A folder of the package that some test has imported is an attribute as well.
    folders = {name for name in looks if f"freezethreads.{name}" in sys.modules}
    assert looks - folders == set(freezethreads.__all__)


@pytest.mark.parametrize("name", METHODS)
def test_functions_are_those_of_the_default_freezer(name: str) -> None:
    function = getattr(freezethreads, name)
    assert function.__name__ == name
    assert getattr(function, "__self__", default_freezer) is default_freezer


def test_the_default_freezer_is_a_freezer() -> None:
    assert type(default_freezer) is Freezer


def public_objects() -> dict[str, Any]:
    """The classes and functions of all public modules by their full names."""
    found: dict[str, Any] = {}
    for module in map(importlib.import_module, MODULES):
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if isinstance(value, type) or inspect.isroutine(value):
                found[f"{module.__name__}.{name}"] = value
    return found


@pytest.mark.parametrize("name", public_objects())
def test_public_names_are_documented(name: str) -> None:
    found = public_objects()[name]
    # Not inspect.getdoc(): what a base class says of itself does not count.
    assert (found.__doc__ or "").strip()
    own = f"{found.__name__}("
    assert not found.__doc__.startswith(own), "the text that a dataclass gives itself"


@pytest.mark.parametrize(
    "name", [name for name, it in public_objects().items() if isinstance(it, type)]
)
def test_public_methods_are_documented(name: str) -> None:
    cls = public_objects()[name]
    # What the standard library has and we leave as it is may be undocumented there.
    ours = [vars(base) for base in cls.__mro__ if base.__module__.startswith("freezethreads")]
    names = {key for attributes in ours for key in attributes if not key.startswith("_")}
    public = {key: getattr(cls, key) for key in names}
    own = {key: value for key, value in public.items() if callable(value) or is_property(cls, key)}
    assert not [key for key, value in own.items() if not (inspect.getdoc(value) or "").strip()]


def is_property(cls: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(cls, name), property)


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_pickle(name: str, protocol: int) -> None:
    error = getattr(freezethreads, name)("things stand as they did")
    for twin in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):
        assert type(twin) is type(error)
        assert twin.args == error.args
        assert str(twin) == str(error) == "things stand as they did"


def test_a_timeout_pickles_with_its_stragglers() -> None:
    freezer = Freezer("exports")
    with freezer.register("main"):
        (info,) = freezer.threads()
    values = {field.name: getattr(info, field.name) for field in dataclasses.fields(info)}
    names = {field.name for field in dataclasses.fields(Straggler)} - set(values)
    more: dict[str, Any] = {**dict.fromkeys(names), "stack": info.stack(), "moving": True}
    error = FreezeTimeout("one did not stop", (Straggler(**values, **more),))
    twin = pickle.loads(pickle.dumps(error))
    assert twin.args == error.args
    assert twin.stragglers == error.stragglers
    assert twin.stragglers[0].stack


@pytest.mark.parametrize("name", public_objects())
def test_public_names_say_where_they_are_public(name: str) -> None:
    """So that a pickle is read after the room has changed in which its class lives."""
    found = public_objects()[name]
    if isinstance(found, (type, FunctionType)):  # else it is a method of the default freezer
        assert f"{found.__module__}.{found.__name__}" == name


def test_the_quickest_safepoint_says_what_every_other_does() -> None:
    assert inspect.getdoc(freezethreads.safepoint) == inspect.getdoc(Freezer.safepoint)


@pytest.mark.parametrize("name", ["armed", "name"])
def test_help_has_a_text_for_each_attribute_of_a_freezer(name: str) -> None:
    text = pydoc.plain(pydoc.render_doc(Freezer))
    (told,) = re.findall(rf"^ \|  {name}\n \|      (\S.*)$", text, re.MULTILINE)
    assert told.startswith("T")
