"""Where a freeze from outside stops threads: what may be asked for, what stands, what is told.

A client in this process is a thread like those of the library, which no freeze stops.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

import freezethreads
from control_programs import runtime as runtime
from freezethreads import Freezer, sync
from freezethreads._report.ownership import awaited_by
from freezethreads.control import FreezeFailed, RequestRefused, Serving, connect
from helpers import WAIT, start, start_own, wait_for, wait_until
from machine import WHERE, Load, loaded, needs_monitoring, nothing_is_left

T = TypeVar("T")

ME = os.getpid()


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("served")


@pytest.fixture
def serving(runtime: Path, freezer: Freezer) -> Iterator[Serving]:
    """In a program of which no thread is registered."""
    with freezer.serve() as serving:
        yield serving
    wait_until(lambda: not freezer.armed)
    assert nothing_is_left()


@pytest.fixture
def load(serving: Serving) -> Iterator[Load]:
    """Two threads that compute."""
    with loaded(one=spin, other=spin) as load:
        yield load
        serving.close()  # which thaws: they are to end


def spin() -> None:
    for _ in range(50):
        pass


def apart(client: Callable[[], T]) -> T:
    """Return `client()`, called by a thread that goes on whatever it freezes."""
    return start_own(client).finish(3 * WAIT)


def check_that_it_stands(load: Load) -> None:
    before = dict(load.counts)
    time.sleep(0.002)  # time itself is what is tested: that nothing moves in it
    assert load.counts == before


@pytest.fixture
def held() -> Iterator[list[None]]:
    """A thread that computes inside `with lock:` as long as this is empty."""
    over: list[None] = []
    inside, lock = threading.Event(), threading.Lock()

    def hold() -> None:
        with lock:
            inside.set()
            while not over:
                pass

    holder = start(hold, name="holder")
    wait_for(inside)
    yield over
    over.append(None)
    holder.finish()


@needs_monitoring
@pytest.mark.parametrize("where", WHERE)
def test_every_thread_stands_until_the_thaw(load: Load, where: str) -> None:
    def client() -> None:
        with connect(ME) as client:
            answer = client.request("freeze", where=where, timeout=WAIT)
            assert (answer["where"], answer["threads"] >= 3) == (where, True)
            check_that_it_stands(load)
            told = client.request("threads")
            (freeze,) = told["freezer"]["freezes"]
            assert (freeze["where"], freeze["state"], freeze["kind"]) == (where, "frozen", "hold")
            states = {one["name"]: one["state"] for one in told["unregistered"]}
            assert {"one": "frozen", "other": "frozen", "MainThread": "frozen"}.items() <= (
                states.items()
            )
            assert client.request("thaw")["thawed"] == 1
            told = client.request("threads")
            assert {one["state"] for one in told["unregistered"]} == {"running"}

    apart(client)
    load.goes_on()


@needs_monitoring
def test_it_ends_with_its_client_and_with_its_lease(load: Load) -> None:
    def freeze(**more: Any) -> None:
        with connect(ME) as client:
            client.request("freeze", where="unlocked", **more)
            check_that_it_stands(load)

    apart(freeze)
    load.goes_on()
    apart(lambda: freeze(keep=True, lease=0.2))
    load.goes_on()
    assert load.workers[0].is_alive()


@needs_monitoring
def test_a_second_one_takes_the_place_of_the_first(load: Load) -> None:
    def client() -> None:
        with connect(ME) as client:
            for where in ("unlocked", "anywhere", "unlocked", "safepoint"):
                assert client.request("freeze", where=where, timeout=WAIT)["where"] == where
                freezes = client.request("threads")["freezer"]["freezes"]
                assert [freeze["where"] for freeze in freezes] == [where]
                if where != "safepoint":
                    check_that_it_stands(load)

    apart(client)
    load.goes_on()


@needs_monitoring
def test_a_group_is_the_registered_threads_of_it(load: Load, freezer: Freezer) -> None:
    over: list[None] = []

    def run() -> None:
        with freezer.register("mine", group="io"):
            while not over:
                pass

    worker = start(run)
    wait_until(lambda: len(freezer.threads()) == 1)
    with connect(ME) as client:  # by this thread, which goes on
        answer = client.request("freeze", where="unlocked", group="io", timeout=WAIT)
        assert answer["threads"] == 1
        told = client.request("threads")
        assert [thread["state"] for thread in told["threads"]] == ["frozen"]
        assert {one["state"] for one in told["unregistered"]} == {"running"}
        load.goes_on()
    over.append(None)
    worker.finish()


@needs_monitoring
def test_what_is_not_said_the_program_says(runtime: Path, freezer: Freezer) -> None:
    def where() -> tuple[str, str]:
        with connect(ME) as client:
            usual = client.hello["freezers"][0]["where"]
            return usual, client.request("freeze", timeout=WAIT)["where"]

    with freezer.serve():
        assert apart(where) == ("safepoint", "safepoint")
        with freezethreads.install(freezer, patch=False):
            assert apart(where) == ("unlocked", "unlocked")


@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize("name", ["freeze", "stuck"])
@pytest.mark.parametrize("where", ["up", "", 1, ["unlocked"], {}, True])
def test_a_wrong_place_is_refused(freezer: Freezer, name: str, where: Any) -> None:
    with connect(ME) as client:
        with pytest.raises(
            RequestRefused, match="where must be one of safepoint, unlocked"
        ) as told:
            client.request(name, where=where)
        assert told.value.kind == "wrong"
        assert client.request("hello")["state"] == "running"
    assert freezer.statistics().freezes == 0


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there it can be had")
@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize("name", ["freeze", "stuck"])
def test_before_cpython_3_12_it_says_so(name: str) -> None:
    with connect(ME) as client:
        with pytest.raises(FreezeFailed, match=r"needs CPython 3\.12 or newer, and this is 3\.11"):
            client.request(name, where="unlocked")
        assert client.request("freeze", where="safepoint")["threads"] == 0


# Who does not stop.


@needs_monitoring
@pytest.mark.usefixtures("held")
def test_who_is_in_a_section_is_named_and_all_are_let_go(load: Load) -> None:
    def client() -> dict[str, Any]:
        with connect(ME) as client, pytest.raises(FreezeFailed) as told:
            client.request("freeze", where="unlocked", timeout=0.3)
        assert "it is in a section of lock, at" in str(told.value)
        return {one["name"]: one["text"] for one in told.value.details["stragglers"]}

    texts = apart(client)
    load.goes_on()
    assert "it is in a section of lock, at" in texts["holder"]


@needs_monitoring
def test_a_client_that_goes_lets_all_go(load: Load, freezer: Freezer, held: list[None]) -> None:
    """While the freeze waits for one that is in a section."""

    def client() -> None:
        going = connect(ME)
        going._channel.send(
            b'{"version": 1, "request": "freeze", "arguments": {"where": "unlocked"}}\n', WAIT
        )
        wait_until(lambda: freezer.armed)
        going.close()
        wait_until(lambda: not freezer.armed)

    apart(client)
    load.goes_on()
    assert not held


@needs_monitoring
@pytest.mark.usefixtures("serving")
def test_a_diagnosis_says_which_section(held: list[None]) -> None:
    """And leaves out those who would stop if that one did."""

    def ask(where: str) -> dict[str, Any]:
        with connect(ME) as client:
            return client.request("stuck", where=where, timeout=0.5)

    diagnosis = apart(lambda: ask("unlocked"))
    (finding,) = diagnosis["findings"]
    assert (finding["cause"], finding["thread"]) == ("section", "holder")
    assert finding["line"] == "with lock:"
    assert finding["why"].startswith("holder is in a section of lock, at ")
    assert "where='anywhere'" in finding["advice"]
    assert diagnosis["threads"] >= 2
    assert apart(lambda: ask("anywhere"))["healthy"]
    held.append(None)
    assert apart(lambda: ask("unlocked"))["healthy"]


@needs_monitoring
def test_two_who_wait_for_each_other(serving: Serving, freezer: Freezer) -> None:
    """In freezable waits, which count as stopped elsewhere."""
    left, right = sync.Lock(), sync.Lock()
    both = threading.Barrier(3)

    def take(first: sync.Lock, second: sync.Lock) -> None:
        with freezer.register(), first:
            both.wait(WAIT)
            with second:  # here
                pass

    threads = [start(take, left, right, name="one"), start(take, right, left, name="two")]
    both.wait(WAIT)
    wait_until(lambda: all(awaited_by(thread.ident or 0) is not None for thread in threads))

    def ask() -> tuple[dict[str, Any], str]:
        with connect(ME) as client:
            diagnosis = client.request("stuck", where="unlocked", timeout=0.5)
            with pytest.raises(FreezeFailed) as caught:
                client.request("freeze", where="unlocked", timeout=0.2)
            return diagnosis, str(caught.value)

    diagnosis, message = apart(ask)
    left.release()  # anybody may; but then there is nothing left for its owner to release
    threads[1].finish()
    with pytest.raises(RuntimeError):
        threads[0].finish()
    causes = sorted((one["thread"], one["cause"]) for one in diagnosis["findings"])
    assert causes == [("one", "deadlock"), ("two", "deadlock")], "they are in sections as well"
    assert "\n  probably a deadlock of 2 threads:\n  " in message
    assert " 2 of 3 threads did not stop " in message.splitlines()[0]
    assert message.count("held by one, which is late as well; ") == 1
    assert message.count("held by two, which is late as well; ") == 1
    assert message.count(f"for something) at {__file__}:") == 2


@needs_monitoring
@pytest.mark.usefixtures("serving")
def test_a_diagnosis_says_who_computes_in_a_call() -> None:
    over: list[None] = []

    def compute() -> None:
        while not over:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 3_000_000)  # without the interpreter

    def ask() -> dict[str, Any]:
        with connect(ME) as client:
            return client.request("stuck", where="anywhere", timeout=0.2)

    worker = start(compute, name="sums")
    finding: dict[str, Any] = {}
    while finding.get("cause") != "c-call":  # it may be between two calls
        finding = next(iter(apart(ask)["findings"]), {})
    over.append(None)
    worker.finish()
    assert finding["thread"] == "sums"
    assert finding["advice"].endswith("into shorter ones.")
    assert "rewritten" not in finding
