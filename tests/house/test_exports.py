"""The public names, pinned: programs are written against these, and against their signatures."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import importlib.metadata
import inspect
import pickle
import sys
from enum import Enum
from types import FunctionType
from typing import Any

import pytest

import freezethreads
from freezethreads import (
    Freezer,
    FreezeTimeout,
    Histogram,
    Hold,
    Installation,
    Registration,
    Site,
    State,
    Statistics,
    Straggler,
    ThreadInfo,
    World,
    default_freezer,
)
from helpers import run_python

ASK = "timeout=20.0, reason='', group='', lease=None"

# Every method of a Freezer, without self. The module has a function of each name, bound to the
# default freezer.
METHODS = {
    "register": "(name=None, *, group='', waker=None)",
    "unregister": "()",
    "safepoint": "(label=None)",
    "blocking": "(label=None, *, fork_safe=False)",
    "no_freeze": "()",
    "freeze": f"(*, {ASK})",
    "run_frozen": f"(callback, /, *args, {ASK})",
    "hold": f"(*, {ASK})",
    "todo": "(thread, fn, /, *args, priority=0)",
    "todo_all": "(fn, /, *args, priority=0, group='')",
    "threads": "()",
    "sites": "()",
    "statistics": "()",
    "dump": "(file=None, *, timeout=1.0)",
    "serve": "()",
}

# What is the module's alone.
FUNCTIONS = {"install", "register_signal", "unregister_signal"}

CLASSES = {
    "Freezer",
    "World",
    "Hold",
    "Registration",
    "ThreadInfo",
    "Site",
    "Statistics",
    "Histogram",
    "Straggler",
    "State",
    "Thread",
    "ThreadPoolExecutor",
    "Installation",
}

# Each error, and the classes that a program may catch it by.
ERRORS: dict[str, tuple[type[Exception], ...]] = {
    "FreezeError": (RuntimeError,),
    "FreezeTimeout": (freezethreads.FreezeError, TimeoutError),
    "LeaseExpired": (freezethreads.FreezeError,),
    "AlreadyRegistered": (freezethreads.FreezeError,),
    "NotRegistered": (freezethreads.FreezeError,),
    "ThreadExited": (freezethreads.FreezeError,),
    "ThreadBlocked": (freezethreads.FreezeError,),
    "SafepointViolation": (freezethreads.FreezeError,),
}

# What can be read of the other classes, and what can be called, without self.
MEMBERS: dict[type, set[str]] = {
    Freezer: {"name", "armed"},
    World: {"reason", "threads", "unregistered", "waited", "call", "thaw"},
    Hold: {"thaw"},
    Installation: {"missed", "enrol", "uninstall"},
    Registration: {"name", "group", "move"},
    ThreadInfo: {"stack"},
}

CALLS = {
    (World, "call"): "(thread, fn, /, *args)",
    (World, "thaw"): "()",
    (Hold, "thaw"): "()",
    (Registration, "move"): "(group)",
    (ThreadInfo, "stack"): "()",
    (Freezer, "__init__"): "(name='freezer', *, debug=None)",
}

INFO = {"name", "ident", "native_id", "state", "group", "site", "since", "todo_pending"}
FIELDS: dict[type[Any], set[str]] = {
    ThreadInfo: INFO,
    Straggler: INFO | {"stack", "moving", "last_site", "last_seen", "waits_for"},
    Site: {"label", "kind", "filename", "lineno", "function", "hits"},
    Statistics: {"freezes", "timeouts", "lease_expiries", "todos_run"},
    Histogram: set(),
}


def signature_of(function: Any, *, bound: bool) -> str:
    """The signature as text, without annotations, and without self."""
    found = inspect.signature(function)
    parameters = list(found.parameters.values())[0 if bound else 1 :]
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    return str(inspect.Signature(plain))


def test_all_is_what_the_design_names() -> None:
    expected = {*METHODS, "default_freezer", *FUNCTIONS, *CLASSES, *ERRORS}
    assert set(freezethreads.__all__) == expected
    assert len(freezethreads.__all__) == len(expected)
    assert all(hasattr(freezethreads, name) for name in expected)


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


def test_nothing_else_looks_public() -> None:
    looks = {name for name in vars(freezethreads) if not name.startswith("_")}
    # A folder of the package that some test has imported is an attribute as well.
    folders = {name for name in looks if f"freezethreads.{name}" in sys.modules}
    assert looks - folders == set(freezethreads.__all__)


@pytest.mark.parametrize("name", METHODS)
def test_signatures(name: str) -> None:
    assert signature_of(getattr(Freezer, name), bound=False) == METHODS[name]
    assert signature_of(getattr(freezethreads, name), bound=True) == METHODS[name]


@pytest.mark.parametrize("name", METHODS)
def test_functions_are_those_of_the_default_freezer(name: str) -> None:
    function = getattr(freezethreads, name)
    assert function.__name__ == name
    assert getattr(function, "__self__", default_freezer) is default_freezer


def test_the_freezer_has_no_other_method() -> None:
    public = {name for name in dir(Freezer) if not name.startswith("_")}
    assert public == {*METHODS, *MEMBERS[Freezer]}


@pytest.mark.parametrize(
    ("cls", "name"), CALLS, ids=lambda value: getattr(value, "__name__", value)
)
def test_signatures_of_the_others(cls: type, name: str) -> None:
    assert signature_of(getattr(cls, name), bound=False) == CALLS[cls, name]


@pytest.mark.parametrize("cls", MEMBERS, ids=lambda cls: cls.__name__)
def test_members(cls: type) -> None:
    assert MEMBERS[cls] <= set(dir(cls))


@pytest.mark.parametrize(
    "cls", [World, Hold, Registration, Installation], ids=lambda cls: cls.__name__
)
def test_context_managers(cls: type) -> None:
    assert hasattr(cls, "__enter__")
    assert hasattr(cls, "__exit__")


def test_the_default_freezer_is_a_freezer() -> None:
    assert type(default_freezer) is Freezer


@pytest.mark.parametrize("cls", FIELDS, ids=lambda cls: cls.__name__)
def test_records_are_frozen_dataclasses(cls: type[Any]) -> None:
    fields = {field.name for field in dataclasses.fields(cls)}
    assert fields >= FIELDS[cls]
    assert cls.__dataclass_params__.frozen


def test_states() -> None:
    assert issubclass(State, Enum)
    assert [state.name for state in State] == ["RUNNING", "BLOCKED", "FROZEN", "EXITED"]


@pytest.mark.parametrize("name", sorted({*METHODS, *FUNCTIONS, *CLASSES, *ERRORS}))
def test_public_names_are_documented(name: str) -> None:
    found = getattr(freezethreads, name)
    # Not inspect.getdoc(): what a base class says of itself does not count.
    assert (found.__doc__ or "").strip()
    assert not found.__doc__.startswith(f"{name}("), "the text that a dataclass gives itself"


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_public_methods_are_documented(name: str) -> None:
    cls = getattr(freezethreads, name)
    # What the standard library has and we leave as it is may be undocumented there.
    ours = [vars(base) for base in cls.__mro__ if base.__module__.startswith("freezethreads")]
    names = {key for attributes in ours for key in attributes if not key.startswith("_")}
    public = {key: getattr(cls, key) for key in names}
    own = {key: value for key, value in public.items() if callable(value) or is_property(cls, key)}
    assert not [key for key, value in own.items() if not (inspect.getdoc(value) or "").strip()]


def is_property(cls: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(cls, name), property)


@pytest.mark.parametrize("name", ERRORS)
def test_errors_can_be_caught_by_their_bases(name: str) -> None:
    assert getattr(freezethreads, name).__bases__ == ERRORS[name]


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


@pytest.mark.parametrize("module", ["", ".checkpoint", ".control", ".sync", ".testing"])
def test_public_names_say_where_they_are_public(module: str) -> None:
    """So that a pickle is read after the room has changed in which its class lives."""
    found = importlib.import_module(f"freezethreads{module}")
    private = [
        name
        for name in found.__all__
        if isinstance(vars(found).get(name), (type, FunctionType))
        and vars(found)[name].__module__ != found.__name__
    ]
    assert not private
