"""What is easily written and not meant: each is told where it is, and what to write."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, cast

import pytest

import freezethreads
from fork_helpers import looping
from freezethreads import (
    AlreadyRegistered,
    FreezeError,
    Freezer,
    NotRegistered,
    World,
    sync,
)
from freezethreads._ground.elsewhere import METHODS, MODULES
from freezethreads._ground.files import is_own
from freezethreads.integrations import asyncio_loop
from helpers import WAIT, Worker, run_python, start, wait_for


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("mine")


@pytest.fixture
def worker(freezer: Freezer) -> Iterator[Worker[None]]:
    """A registered thread in a loop."""
    with looping(freezer, "worker") as thread:
        yield thread


def here() -> str:
    """The line that calls this, as messages name it."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return f"{__file__}:{frame.f_back.f_lineno}"


def warning_of(caplog: pytest.LogCaptureFixture) -> str:
    """The one warning that was logged."""
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("freezethreads", logging.WARNING)
    return record.getMessage()


# Without `with`.


@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_what_is_dropped_at_once_says_where_and_what_to_write(
    freezer: Freezer, worker: Worker[None], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    getattr(freezer, kind)(timeout=WAIT), (line := here())
    message = warning_of(caplog)
    assert f"made at {line} in test_what_is_dropped" in message
    assert f"write `with freezer.{kind}():`" in message


def test_the_advice_names_the_default_freezer_as_the_program_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    freezethreads.freeze(timeout=WAIT)
    assert "write `with freezethreads.freeze():`" in warning_of(caplog)


REGIONS = """
import {imports}freezethreads

freezer = freezethreads.Freezer("mine"{debug})
for region in freezer, freezethreads:
    with region.register():
        region.blocking("a nap")
        region.no_freeze()
        region.pending("tx")
        region.group("io")
        with region.blocking("another"), region.no_freeze():
            pass
    with region.pending("tx"), region.group("io"):
        pass
"""


def regions(debug: str = "", **env: str) -> list[str]:
    code = REGIONS.format(imports="", debug=debug)
    return run_python(code, env={"PYTHONTRACEMALLOC": "0", **env}).stderr.splitlines()


@pytest.mark.parametrize("env", [{"FREEZETHREADS_DEBUG": "1"}, {"PYTHONDEVMODE": "1"}])
def test_a_region_that_is_never_entered_is_told_of_in_debug_and_development_mode(
    env: dict[str, str],
) -> None:
    nap = "blocking('a nap') at <string>:7 in <module> was never entered, and stops nobody"
    shut = "no_freeze() at <string>:8 in <module> was never entered, and keeps nobody going"
    marks = (
        "pending('tx') at <string>:9 in <module> was never entered, and marks nothing as pending"
    )
    moves = "group('io') at <string>:10 in <module> was never entered, and moves nobody"
    assert regions(**env) == [
        line
        for called in ("freezer", "freezethreads")
        for line in (
            f"{nap}; write `with {called}.blocking('a nap'):`",
            f"{shut}; write `with {called}.no_freeze():`",
            f"{marks}; write `with {called}.pending('tx'):`",
            f"{moves}; write `with {called}.group('io'):`",
        )
    ]


def test_a_region_costs_nothing_of_that_otherwise() -> None:
    assert regions() == []
    assert len(regions(", debug=True")) == 4


def test_a_guard_of_forks_that_is_never_entered_says_so(caplog: pytest.LogCaptureFixture) -> None:
    Freezer("mine").guard_forks(timeout=WAIT), (line := here())
    assert warning_of(caplog) == (
        f"guard_forks() at {line} in test_a_guard_of_forks_that_is_never_entered_says_so was "
        "never entered, and guards no fork; write "
        "`with freezer.guard_forks():`"
    )


def test_a_guard_of_forks_that_was_entered_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    guard = Freezer("mine").guard_forks()
    with guard:
        pass
    del guard
    with pytest.raises(ValueError, match="anywhere"):
        Freezer("mine").guard_forks(where=cast("Any", "anywhere"))
    assert caplog.records == []


def test_a_watched_region_of_a_kind_begins_where_the_program_enters_it() -> None:
    careful = Freezer("careful", debug=True)
    inside, ended = threading.Event(), threading.Event()
    lines: dict[str, str] = {}

    def work() -> None:
        with careful.register(), careful.pending(lines.setdefault(here(), "tx")):
            inside.set()
            while not ended.is_set():
                careful.safepoint()

    worker = start(work)
    wait_for(inside)
    with careful.freeze(timeout=WAIT) as world:
        (unfinished,) = world.pending
    ended.set()
    worker.finish()
    assert [f"{unfinished.site.filename}:{unfinished.site.lineno}"] == list(lines)


def test_a_region_in_debug_mode_is_where_the_program_has_it() -> None:
    careful = Freezer("careful", debug=True)
    with careful.register():
        with careful.blocking("nap"):
            line = here()
            (info,) = careful.threads()
        assert info.site is not None
        assert f"{info.site.filename}:{info.site.lineno + 1}" == line


# The wrong kind of `with`.


def test_async_with_a_world_names_what_to_write(
    freezer: Freezer, worker: Worker[None], caplog: pytest.LogCaptureFixture
) -> None:
    async def wrong(stop: Callable[[], Any]) -> None:
        async with stop():
            pytest.fail("entered")

    for stop in freezer.freeze, freezer.hold:
        with pytest.raises(TypeError, match=r"`async with asyncio_loop\.freeze\(\)`"):
            asyncio.run(wrong(stop))
        assert freezer.todo(worker, str).result(WAIT) == "", "it runs"
    assert not caplog.records


def test_await_of_a_world_or_a_block_names_what_to_write(
    freezer: Freezer, worker: Worker[None]
) -> None:
    async def wrong(stop: Callable[[], Any]) -> None:
        await stop()

    for stop in freezer.freeze, freezer.hold, functools.partial(asyncio_loop.freeze, freezer):
        with pytest.raises(TypeError, match=r"`async with asyncio_loop\.freeze\(\)`"):
            asyncio.run(wrong(stop))
        assert freezer.todo(worker, str).result(WAIT) == "", "it runs"


def test_with_a_block_of_a_loop_names_what_to_write(freezer: Freezer) -> None:
    block: Any = asyncio_loop.freeze(freezer)
    advice = r"`async with asyncio_loop\.freeze\(\)`.* `with freezethreads"
    with pytest.raises(TypeError, match=advice), block:
        pytest.fail("entered")


def test_a_block_of_a_loop_that_is_never_entered(
    freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    async def forgetful() -> str:
        asyncio_loop.freeze(freezer), (line := here())
        return line

    line = asyncio.run(forgetful())
    message = warning_of(caplog)
    assert f"freeze() at {line} in " in message
    assert "write `async with asyncio_loop.freeze():`" in message


def test_a_block_of_a_loop_that_is_entered_says_nothing(
    freezer: Freezer, worker: Worker[None], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with asyncio_loop.freeze(freezer, timeout=WAIT):
            pass

    asyncio.run(main())
    assert not caplog.records


# Kinds of which nothing is ever pending.


@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_a_kind_of_which_nothing_was_ever_pending(
    freezer: Freezer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    stop: Callable[..., Any] = getattr(freezer, kind)
    stop(settled="transction").thaw()
    assert not caplog.records, "there may be nothing of any kind yet"
    for known in "tx.write", "io":
        with freezer.pending(known):
            pass
    for settled in "tx", "tx.write", "io", ("tx", "io"):
        stop(settled=settled).thaw()
    assert not caplog.records
    for _ in range(2):  # it is said once
        stop(settled=("tx", "transction")).thaw(), (line := here())
    message = warning_of(caplog)
    assert f"at {line} in" in message
    said = "nothing of 'transction' was ever pending or outstanding; there is 'io', 'tx.write'"
    assert message.endswith(f"waits for nothing to be settled: {said}")


# Arguments that have names.


@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_an_argument_without_its_name(freezer: Freezer, kind: str) -> None:
    stop: Callable[..., Any] = getattr(freezer, kind)
    with pytest.raises(TypeError, match=rf"{kind}\(\) .* by name: write {kind}\(group='io'\)$"):
        stop("io")
    with pytest.raises(TypeError, match=rf"write {kind}\(timeout=2.5\)$"):
        stop(2.5)
    with pytest.raises(TypeError, match=rf"write {kind}\(timeout=None\)$"):
        stop(None)
    with pytest.raises(TypeError, match=r"by name: timeout, reason, group, lease$"):
        stop(freezer)
    assert not freezer.armed


def test_a_group_for_a_loop_without_its_name(freezer: Freezer) -> None:
    wrong: Any = "io"
    with pytest.raises(TypeError, match=r"not 'io'; write freeze\(group='io'\)$"):
        asyncio_loop.freeze(wrong)


# Nobody to stop.


def stops(freezer: Freezer) -> list[tuple[str, Callable[..., Any]]]:
    """Each way to freeze, and how the warning calls it."""

    def freeze(group: str) -> None:
        with freezer.freeze(group=group, timeout=WAIT):
            pass

    def hold(group: str) -> None:
        freezer.hold(group=group, timeout=WAIT).thaw()

    def run_frozen(group: str) -> None:
        freezer.run_frozen(str, group=group, timeout=WAIT)

    def asynchronously(group: str) -> None:
        async def block() -> World:
            async with asyncio_loop.freeze(freezer, group=group, timeout=WAIT) as world:
                return world

        asyncio.run(block())

    named = freeze, hold, run_frozen, asynchronously
    return [("hold" if stop is hold else "freeze", stop) for stop in named]


@pytest.mark.parametrize("number", range(4))
def test_a_group_in_which_nobody_ever_was(
    freezer: Freezer, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    kind, stop = stops(freezer)[number]
    with looping(freezer, "disk", group="io.disk"), looping(freezer, "net", group="io.net"):
        stop("io.dsik")
        message = warning_of(caplog)
        assert f"<{kind} of group 'io.dsik' by MainThread> at {__file__}:" in message
        assert message.endswith(
            "nobody is in group 'io.dsik', or ever was; there are 'io.disk', 'io.net'"
        )
        stop("io.dsik")
        assert len(caplog.records) == 1, "once"
        stop("io.d")
        assert len(caplog.records) == 2


def test_a_group_in_which_somebody_is_or_was_or_is_below_it(
    freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    with looping(freezer, "gone", group="gone"):
        pass

    def move() -> None:
        with freezer.register(group="first") as registration:
            registration.move("second")

    start(move).finish()
    with looping(freezer, "disk", group="io.disk"):
        for group in "", "io", "io.disk", "gone", "first", "second":
            for _, stop in stops(freezer):
                stop(group)
    assert not caplog.records


def test_nobody_is_registered_although_there_are_threads(
    freezer: Freezer, worker: Worker[None], caplog: pytest.LogCaptureFixture
) -> None:
    """The thread of `worker` is registered with another freezer."""
    other = Freezer("other")
    for _ in range(2):
        for _, stop in stops(other):
            stop("")
    message = warning_of(caplog)
    assert f"at {__file__}:" in message
    assert "no thread has registered with the freezer 'other'" in message
    assert "; the other thread, 'worker', goes on: a thread registers itself, with `w" in message
    assert "`with freezer.register():`" in message


def test_several_go_on(freezer: Freezer, caplog: pytest.LogCaptureFixture) -> None:
    with looping(freezer, "one"), looping(freezer, "two"):
        Freezer("other").hold(timeout=WAIT).thaw()
    assert "; 2 other threads go on, 'one' among them: a thread registers" in warning_of(caplog)


def test_a_group_where_threads_have_registered_without_one(
    freezer: Freezer, worker: Worker[None], caplog: pytest.LogCaptureFixture
) -> None:
    freezer.hold(group="io", timeout=WAIT).thaw()
    message = warning_of(caplog)
    assert message.endswith("threads are in the group '', and register(group=...) names another")


def test_where_there_is_no_other_thread_nothing_is_said(
    freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    for _, stop in stops(freezer):
        stop("")
    assert not caplog.records


def test_nothing_is_logged_while_somebody_stands(
    freezer: Freezer, worker: Worker[None], caplog: pytest.LogCaptureFixture
) -> None:
    """A thread that stands may have the lock of what it would be logged to."""
    with freezer.hold(timeout=WAIT):
        freezer.hold(group="dsik", timeout=WAIT).thaw()
        assert not caplog.records
    freezer.hold(group="dsik", timeout=WAIT).thaw()
    assert "'dsik'" in warning_of(caplog)


# Who is registered.


def test_a_thread_that_has_not_registered_is_told_how_it_does(freezer: Freezer) -> None:
    for called, asked in ("freezer", freezer), ("freezethreads", freezethreads.default_freezer):
        with pytest.raises(NotRegistered, match=f"`with {called}.register\\(\\):`"):
            asked.todo(threading.main_thread(), print)


def test_registering_twice_says_where_once_is_enough(freezer: Freezer) -> None:
    with (
        freezer.register("me"),
        pytest.raises(AlreadyRegistered, match=r"'me' is .* not at all in a freezethreads\.Thread"),
    ):
        freezer.register()


def test_unregistering_says_what_it_ends(freezer: Freezer) -> None:
    with pytest.raises(NotRegistered, match=r"what its own register\(\) has begun"):
        freezer.unregister()


def test_a_group_beside_that_of_ones_own_world_names_one_above_both(freezer: Freezer) -> None:
    with (
        freezer.freeze(group="io", timeout=WAIT),
        pytest.raises(FreezeError, match="begin with a group that both are in, such as ''"),
    ):
        freezer.freeze(group="cpu")


async def freeze_in_a_loop(freezer: Freezer) -> None:
    async with asyncio_loop.freeze(freezer, timeout=0.05):
        pass


FREEZES: dict[str, Callable[[Freezer], object]] = {
    "freeze": lambda freezer: freezer.freeze(timeout=0.05),
    "hold": lambda freezer: freezer.hold(timeout=0.05),
    "run_frozen": lambda freezer: freezer.run_frozen(print, timeout=0.05),
    "in a loop": lambda freezer: asyncio.run(freeze_in_a_loop(freezer)),
}


@pytest.mark.parametrize("kind", FREEZES)
@pytest.mark.parametrize("debug", [False, True])
def test_a_traceback_ends_where_the_library_was_called(kind: str, debug: bool) -> None:
    """In debug mode it goes on to where it was raised."""
    freezer = Freezer(debug=debug)
    over, registered = threading.Event(), threading.Event()

    def linger() -> None:
        with freezer.register("lingers"):
            registered.set()
            over.wait(WAIT)

    lingers = start(linger)
    assert registered.wait(WAIT)
    try:
        with pytest.raises(FreezeError) as caught:
            FREEZES[kind](freezer)
    finally:
        over.set()
        lingers.finish()
    own = [entry for entry in caught.traceback if is_own(str(entry.path))]
    assert bool(own) == debug, own


def test_what_a_callback_raises_keeps_its_traceback(freezer: Freezer) -> None:
    def fail() -> None:
        freezer.unregister()

    with pytest.raises(NotRegistered) as caught:
        freezer.run_frozen(fail)
    assert "fail" in [entry.name for entry in caught.traceback]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_is_taken_for_a_function(name: str) -> None:
    kind, method = METHODS[name].split(".")
    assert callable(getattr(getattr(freezethreads, kind), method))
    with pytest.raises(AttributeError, match=rf"no attribute '{name}'; {kind}\.{method}\(\) is"):
        getattr(freezethreads, name)


@pytest.mark.parametrize("module", MODULES)
def test_a_name_that_is_in_a_module_of_the_package(module: str) -> None:
    for name in MODULES[module].split():
        found = import_module(f"freezethreads.{module}")
        assert name in found.__all__
        with pytest.raises(AttributeError) as caught:
            getattr(freezethreads, name)
        assert str(caught.value).endswith(f"; it is in freezethreads.{module}")


def test_every_lock_and_queue_is_said_to_be_in_its_module() -> None:
    assert set(sync.__all__) == set(MODULES["sync"].split())


def test_nothing_is_said_of_other_names() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'stop_the_world'$"):
        freezethreads.stop_the_world  # type: ignore[attr-defined]  # noqa: B018


def test_a_target_for_a_group_names_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"not <built-in function print>; write target="):
        freezethreads.Thread(print)  # type: ignore[arg-type]


def test_another_thread_cannot_be_registered(freezer: Freezer) -> None:
    with pytest.raises(TypeError, match="a thread registers itself, not <_MainThread") as caught:
        freezer.register(cast("Any", threading.main_thread()))
    assert "with `with freezer.register():`, or is a freezethreads.Thread" in str(caught.value)
    assert freezer.threads() == ()


def test_a_group_of_a_registration_is_named(freezer: Freezer) -> None:
    register: Any = freezer.register
    with pytest.raises(TypeError, match=r"write register\('a', group='io'\)"):
        register("a", "io")
    with freezer.register("a", group="io"):
        (info,) = freezer.threads()
    assert (info.name, info.group) == ("a", "io")


@pytest.mark.parametrize("label", [time.sleep, 1, b"nap"])
@pytest.mark.parametrize("debug", [False, True])
def test_a_label_of_a_region_is_a_string(label: Any, debug: bool) -> None:
    with pytest.raises(TypeError, match=r"label must be a string .*write `with freezer.blocking"):
        Freezer(debug=debug).blocking(label)


def test_a_label_may_be_of_a_class_of_strings(freezer: Freezer) -> None:
    class Label(str):
        pass

    with freezer.register(), freezer.blocking(Label("nap")):
        (info,) = freezer.threads()
    assert info.site is not None
    assert info.site.label == "nap"
