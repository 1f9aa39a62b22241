"""Threads that an exception has ended are remembered, as long as somebody wants to know."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import freezethreads
from fork_helpers import forked
from freezethreads._report.ended import Ended, ended, forget_ended, note_ended


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the program's own hook is called with."""
    calls: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: calls.append(arguments.exc_type))
    return calls


@pytest.fixture
def noted(passed_on: list[Any]) -> Iterator[None]:
    """Somebody wants to know."""
    note_ended("a test")
    yield
    forget_ended("a test")


def end_by(error: BaseException | type[BaseException], name: str = "observer") -> None:
    def observe() -> None:
        raise error

    thread = threading.Thread(target=observe, name=name)
    thread.start()
    thread.join()


def errors() -> list[str]:
    return [one.error for one in ended()]


@pytest.mark.usefixtures("noted")
def test_the_name_the_error_and_the_line_are_remembered(passed_on: list[Any]) -> None:
    end_by(LookupError("no such row\nin the table"))
    (one,) = ended()
    raises = end_by.__code__.co_firstlineno + 2
    assert one[:2] == ("observer", "LookupError: no such row")
    assert one.line == (__file__, raises, "observe")
    assert passed_on == [LookupError]


@pytest.mark.usefixtures("noted")
def test_what_has_no_text_or_no_line() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise ValueError("cannot say")

    end_by(ZeroDivisionError)
    end_by(Unspeakable())
    end_by(OSError("x" * 1000))
    threading.excepthook(threading.ExceptHookArgs((KeyError, None, None, None)))
    said = f"{Unspeakable.__qualname__}: its str() raises"
    assert errors()[:2] == ["ZeroDivisionError", said]
    assert len(errors()[2]) < 300
    assert ended()[3] == Ended(ended()[3].name, "KeyError", ended()[3].at, None)


@pytest.mark.usefixtures("noted")
def test_the_programs_hook_is_called_whatever_becomes_of_ours(passed_on: list[Any]) -> None:
    class Exits(Exception):
        def __str__(self) -> str:
            raise SystemExit

    end_by(Exits())
    assert passed_on == [Exits]


@pytest.mark.usefixtures("noted")
def test_a_thread_that_exits_was_not_ended_by_an_exception(passed_on: list[Any]) -> None:
    end_by(SystemExit)
    assert (ended(), passed_on) == ([], [SystemExit])


@pytest.mark.usefixtures("noted")
def test_the_newest_are_remembered() -> None:
    for number in range(101):
        end_by(ValueError(number))
    assert (len(ended()), errors()[-1]) == (100, "ValueError: 100")


def test_when_nobody_wants_to_know_the_hook_is_the_programs(passed_on: list[Any]) -> None:
    its_own = threading.excepthook
    note_ended("one")
    note_ended("another")
    forget_ended("one")
    end_by(ValueError)
    assert errors() == ["ValueError"]
    forget_ended("another")
    forget_ended("another")
    assert (threading.excepthook, ended()) == (its_own, [])


def test_a_hook_that_came_later_stays(passed_on: list[Any]) -> None:
    note_ended("one")
    ours = threading.excepthook

    def later(arguments: Any) -> None:
        ours(arguments)

    threading.excepthook = later
    forget_ended("one")
    assert threading.excepthook is later
    end_by(KeyError)
    note_ended("one")
    end_by(ValueError)
    forget_ended("one")
    assert threading.excepthook is later
    assert (passed_on, ended()) == ([KeyError, ValueError], [])


def test_each_is_remembered_once_where_a_hook_came_later(passed_on: list[Any]) -> None:
    note_ended("one")
    ours = threading.excepthook
    threading.excepthook = lambda arguments: ours(arguments)
    forget_ended("one")
    note_ended("one")
    end_by(ValueError)
    assert errors() == ["ValueError"]
    forget_ended("one")


@pytest.mark.usefixtures("noted")
def test_a_child_remembers_none_of_its_parents() -> None:
    end_by(ValueError)

    def check() -> None:
        assert ended() == []
        end_by(KeyError)
        assert errors() == ["KeyError"]

    forked(lambda fork: fork(), check)
    assert errors() == ["ValueError"]


def install() -> Callable[[], None]:
    return freezethreads.install().uninstall


def serve() -> Callable[[], None]:
    return freezethreads.Freezer("served").serve().close


@pytest.mark.parametrize("begin", [install, serve])
def test_who_installs_or_serves_wants_to_know(
    begin: Callable[[], Callable[[], None]], passed_on: list[Any]
) -> None:
    before = threading.excepthook
    end = begin()
    end_by(ValueError)
    assert errors() == ["ValueError"]
    end()
    assert threading.excepthook is before
