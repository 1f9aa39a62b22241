"""Threads that `_thread` starts: enrolled, and in all else as without an installation."""

from __future__ import annotations

import _thread
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import freezethreads
from freezethreads import Freezer
from freezethreads._install import _members, _raw
from freezing import Pause, before
from helpers import WAIT, wait_for
from install_waits import is_back, is_waiting, until


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


STARTERS = [
    name
    for name in ("start_new_thread", "start_new", "start_joinable_thread")
    if hasattr(_thread, name)
]
ORIGINALS = {name: getattr(_thread, name) for name in STARTERS}


def launch(starter: str, function: Callable[[], object]) -> None:
    """Start a thread by what is at that name now."""
    start: Any = getattr(_thread, starter)
    if starter == "start_joinable_thread":
        start(function)
    else:
        start(function, ())


def all_objects() -> list[threading.Thread]:
    """Every object of a thread that there is, as `threading` keeps them."""
    return list(threading._dangling)  # type: ignore[attr-defined]


@pytest.mark.parametrize("starter", STARTERS)
def test_it_is_enrolled_while_it_runs(freezer: Freezer, starter: str) -> None:
    over, ended = threading.Event(), threading.Event()
    listed, dangling = set(threading.enumerate()), set(all_objects())

    def work() -> None:
        wait_for(over)
        ended.set()

    with freezethreads.install(freezer, group="all"):
        launch(starter, work)
        until(lambda: bool(freezer.threads()))
        (info,) = freezer.threads()
        assert info.group == "all"
        record = freezer._registry.records[info.ident]
        until(lambda: is_waiting(record))
        assert set(threading.enumerate()) == listed
        assert set(all_objects()) <= dangling  # what a fork takes for threads that it has to mend
        with freezer.freeze(timeout=WAIT):
            over.set()
            until(lambda: is_back(record))
            assert not ended.is_set()
        wait_for(ended)
        until(lambda: not freezer.threads())
        assert info.ident not in threading._active  # type: ignore[attr-defined]


def test_arguments_and_result_are_passed_on(freezer: Freezer) -> None:
    seen: list[object] = []
    done = threading.Event()

    def work(*args: object, **kwargs: object) -> None:
        seen.extend((args, kwargs, threading.get_ident()))
        done.set()

    with freezethreads.install(freezer):
        ident = _thread.start_new_thread(work, (1, 2), {"x": 3})
        wait_for(done)
        assert seen == [(1, 2), {"x": 3}, ident]
        until(lambda: not freezer.threads())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="there are none before Python 3.13")
def test_a_joinable_one_can_be_joined(freezer: Freezer) -> None:
    seen: list[int] = []
    with freezethreads.install(freezer):
        start: Any = vars(_thread)["start_joinable_thread"]
        handle = start(function=lambda: seen.append(len(freezer.threads())), daemon=False)
        handle.join(WAIT)
        assert handle.is_done()
    assert seen == [1]


WRONG: list[tuple[object, ...]] = [
    (),
    (int,),
    (1, ()),
    (int, 1),
    (int, []),
    (int, (), 1),
    (int, (), [], 1),
]


def error_of(starter: str, arguments: tuple[object, ...], keywords: dict[str, object]) -> str:
    try:
        getattr(_thread, starter)(*arguments, **keywords)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return repr(error)
    return "none"


@pytest.mark.parametrize("starter", STARTERS[:2])
def test_wrong_arguments_get_the_same_error(freezer: Freezer, starter: str) -> None:
    cases: list[tuple[tuple[object, ...], dict[str, object]]] = [(args, {}) for args in WRONG]
    cases += [((), {"function": int, "args": ()}), ((int, ()), {"kwargs": {}})]
    wanted = [error_of(starter, *case) for case in cases]
    assert "none" not in wanted
    with freezethreads.install(freezer):
        assert [error_of(starter, *case) for case in cases] == wanted


# What it raises.


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Any], list[object]]]:
    """Start a thread whose function raises, and return what is reported of that."""
    seen: list[Any] = []
    reported = threading.Event()

    def report(args: Any) -> None:
        seen.append(args)
        reported.set()

    def make(starter: str, function: Any) -> list[object]:
        reported.clear()
        launch(starter, function)
        wait_for(reported)
        args = seen.pop()
        top = args.exc_traceback and args.exc_traceback.tb_frame.f_code
        assert args.exc_traceback is args.exc_value.__traceback__
        return [type(args), args.exc_type, str(args.exc_value), top, args.err_msg, args.object]

    monkeypatch.setattr(sys, "unraisablehook", report)
    yield make
    assert not seen


def fail() -> None:
    raise ZeroDivisionError("of the test")


@pytest.mark.parametrize("starter", STARTERS)
@pytest.mark.parametrize("function", [fail, chr], ids=["python", "c"])
def test_what_it_raises_is_reported_in_its_name(
    freezer: Freezer,
    reports: Callable[[str, Any], list[object]],
    starter: str,
    function: Callable[..., object],
) -> None:
    wanted = reports(starter, function)
    with freezethreads.install(freezer):
        assert reports(starter, function) == wanted
        until(lambda: not freezer.threads())


def run_to_its_end(function: Callable[[], object]) -> None:
    """Start a thread that calls `function`; return when nothing of it is left."""
    count, begun = _thread._count(), threading.Event()

    def work() -> None:
        begun.set()
        function()

    _thread.start_new_thread(work, ())
    wait_for(begun)
    until(lambda: _thread._count() == count)


def test_the_standard_report_is_the_same(
    freezer: Freezer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    run_to_its_end(fail)
    wanted = re.sub("0x[0-9a-f]+", "...", capsys.readouterr().err)
    assert "ZeroDivisionError: of the test" in wanted
    with freezethreads.install(freezer):
        run_to_its_end(fail)
    assert re.sub("0x[0-9a-f]+", "...", capsys.readouterr().err) == wanted


def test_it_can_begin_when_the_installation_has_ended(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    pause = Pause()
    before(monkeypatch, _members.Members, "enrol", pause)
    done = threading.Event()
    with freezethreads.install(freezer):
        launch("start_new_thread", done.set)
        pause.wait()
    pause.go()
    wait_for(done)
    assert seen == []


def test_a_python_without_that_report_shows_the_function_all_the_same(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_raw, "_report", lambda error, function: False)
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    with freezethreads.install(freezer):
        launch("start_new_thread", fail)
        until(lambda: bool(seen))
    assert repr(fail) in f"{seen[0].err_msg} {seen[0].object!r}"


def test_leaving_by_system_exit_is_no_error(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    with freezethreads.install(freezer):
        run_to_its_end(sys.exit)
        assert freezer.threads() == ()
    assert seen == []


def test_it_has_an_object_of_its_own_if_it_asks_for_one(freezer: Freezer) -> None:
    seen: list[Any] = []
    done = threading.Event()

    def work() -> None:
        seen.extend((threading.current_thread(), threading.current_thread()))
        seen.append(threading._active.get(threading.get_ident()))  # type: ignore[attr-defined]
        done.set()

    with freezethreads.install(freezer):
        _thread.start_new_thread(work, ())
        wait_for(done)
        until(lambda: not freezer.threads())
    assert type(seen[0]).__name__ == "_DummyThread"
    assert seen[0] is seen[1] is seen[2]
