"""Calls that fail, do not wait, or end in an unusual way: as without an installation."""

from __future__ import annotations

import os
import queue
import select
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import freezethreads
from freezethreads import Freezer, Installation, State
from freezethreads._install import _wrappers
from helpers import WAIT, start
from install_waits import is_back, record_of, waiting
from install_waits_fd import closed_connection, ended_connection, ended_pipe, impatient_pipe, pipe
from install_waits_io import pair
from install_waits_tls import tls_pair


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture
def installation(freezer: Freezer) -> Iterator[Installation]:
    with freezethreads.install(freezer) as installation:
        yield installation


# That fail, or do not wait.


def closed_socket(stack: ExitStack) -> socket.socket:
    here, _ = pair(stack)
    here.close()
    return here


def peeking(stack: ExitStack) -> object:
    here, _ = pair(stack)
    return here.recv(1, socket.MSG_DONTWAIT)


PROMPT: dict[str, Callable[[ExitStack], object]] = {
    "recv of a closed socket": lambda stack: closed_socket(stack).recv(1),
    "recv_into of a closed socket": lambda stack: closed_socket(stack).recv_into(bytearray(1)),
    "send of a closed socket": lambda stack: closed_socket(stack).send(b"x"),
    "recv of nothing": lambda stack: pair(stack)[0].recv(0),
    "recv_into nothing": lambda stack: pair(stack)[0].recv_into(bytearray(0)),
    "recv without an argument": lambda stack: pair(stack)[0].recv(),  # type: ignore[call-arg]
    "recv of a string": lambda stack: pair(stack)[0].recv("1"),  # type: ignore[arg-type]
    "recv of a negative size": lambda stack: pair(stack)[0].recv(-1),
    "recv into a number": lambda stack: pair(stack)[0].recv_into(1),  # type: ignore[arg-type]
    "recv of a buffer": lambda stack: pair(stack)[0].recv(bytearray(1)),  # type: ignore[arg-type]
    "recv into a constant": lambda stack: pair(stack)[0].recv_into(memoryview(b"x")),
    "recv that may not wait": peeking,
    "recv of what is not connected": lambda stack: socket.socket().recv(1),
    "accept of what does not listen": lambda stack: socket.socket().accept(),
    "connect to nobody": lambda stack: socket.socket(socket.AF_UNIX).connect("/nobody"),
    "connect_ex to nobody": lambda stack: socket.socket(socket.AF_UNIX).connect_ex("/nobody"),
    "encrypted read of a closed socket": lambda stack: closed(tls_pair(stack)[0]).read(1),
    "join of oneself": lambda stack: threading.current_thread().join(),
    "join of what was not started": lambda stack: threading.Thread().join(),
    "wait without the lock": lambda stack: threading.Condition().wait(),
    "notify without the lock": lambda stack: threading.Condition().notify(),
    "release of what is free": lambda stack: threading.Lock().release(),
    "sleep for a negative time": lambda stack: time.sleep(-1),
    "sleep for a string": lambda stack: time.sleep("1"),  # type: ignore[arg-type]
    "get of an empty queue": lambda stack: queue.Queue().get_nowait(),
    "get of an empty simple queue": lambda stack: queue.SimpleQueue().get_nowait(),
    "get for a negative time": lambda stack: queue.SimpleQueue().get(timeout=-1),
    "select of nothing": lambda stack: select.select([], [], [], 0),
    "select of a string": lambda stack: select.select("x", [], []),  # type: ignore[type-var]
    "poll with an argument": lambda stack: select.poll(1),  # type: ignore[call-arg]
    "poll for a string": lambda stack: select.poll().poll("1"),  # type: ignore[arg-type]
    "poll for what is not there": lambda stack: select.poll().unregister(0),
    "epoll with a flag": lambda stack: select.epoll(flags=1),
    "os.read without an argument": lambda stack: os.read(),  # type: ignore[call-arg]
    "os.read of one too many": lambda stack: os.read(0, 1, 1),  # type: ignore[call-arg]
    "os.read of nothing": lambda stack: os.read(pipe(stack)[0], 0),
    "os.read of a negative size": lambda stack: os.read(pipe(stack)[0], -1),
    "os.read of a string": lambda stack: os.read("1", 1),  # type: ignore[arg-type]
    "os.read of what is not open": lambda stack: os.read(-1, 1),
    "os.read of what cannot be": lambda stack: os.read(2**70, 1),
    "os.read of what never waits": lambda stack: os.read(impatient_pipe(stack), 1),
    "os.read of the end": lambda stack: os.read(ended_pipe(stack), 1),
    "recv of a closed connection": lambda stack: closed_connection().recv(),
    "recv of the end of a connection": lambda stack: ended_connection(stack).recv(),
    "waitpid for nobody's child": lambda stack: os.waitpid(os.getpid(), 0),
    "waitpid for a string": lambda stack: os.waitpid("1", 0),  # type: ignore[arg-type]
    "sigwait for a string": lambda stack: signal.sigwait("x"),  # type: ignore[arg-type]
}


def closed(sock: ssl.SSLSocket) -> ssl.SSLSocket:
    sock.close()
    return sock


def outcome(call: Callable[[ExitStack], object]) -> object:
    """What it returns, or how its error looks."""
    with ExitStack() as stack:
        try:
            return call(stack)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            return type(error), str(error)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("name", PROMPT)
def test_it_returns_or_fails_at_once_as_ever(freezer: Freezer, name: str) -> None:
    wanted = start(outcome, PROMPT[name]).finish()
    with freezethreads.install(freezer):
        assert start(outcome, PROMPT[name]).finish() == wanted


@pytest.mark.parametrize(
    "call",
    [
        lambda here: here.recv(1),
        lambda here: here.recv_into(bytearray(1)),
        lambda here: here.recvmsg_into([bytearray(1)]),
        lambda here: [here.send(bytes(65536)) for _ in range(1000)],
    ],
)
def test_a_socket_that_never_waits_is_no_place_to_stop_at(
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[socket.socket], object],
) -> None:
    installation.enrol()
    monkeypatch.delattr(_wrappers, "Waiting")
    with ExitStack() as stack:
        here, _ = pair(stack)
        here.setblocking(False)
        with pytest.raises(BlockingIOError):
            call(here)


def test_the_wait_for_data_ends_with_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the time-out of the whole call; but what is too long for a poll is left to the call."""
    with ExitStack() as stack:
        here, _ = pair(stack)
        with pytest.raises(TimeoutError, match="timed out"):
            _wrappers.wait_readable(here.fileno(), 0.001)
        monkeypatch.setattr(_wrappers, "_LONGEST", 1)
        _wrappers.wait_readable(here.fileno(), WAIT)


def test_a_thread_that_is_not_enrolled_receives_as_ever(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(_wrappers, "wait_readable")
    with ExitStack() as stack:
        here, there = pair(stack)
        there.send(b"x")
        assert here.recv(1) == b"x"


def test_pause(freezer: Freezer, installation: Installation) -> None:
    handled: list[int] = []
    old = signal.signal(signal.SIGUSR1, lambda number, frame: handled.append(number))
    try:
        with waiting(freezer, signal.pause) as thread:
            record = record_of(freezer, thread)
            with freezer.freeze(timeout=WAIT):
                assert record.state is State.FROZEN
                while not is_back(record):  # a signal that comes before the call does not end it
                    signal.pthread_kill(record.ident, signal.SIGUSR1)
                    time.sleep(0.001)
                assert thread.is_alive()
            thread.finish()
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert handled


def test_a_notification_goes_to_who_is_not_frozen(
    freezer: Freezer, installation: Installation
) -> None:
    condition = threading.Condition()
    woken: list[str] = []

    def wait(group: str) -> None:
        with freezer.register(group=group), condition:
            assert condition.wait(WAIT)
            woken.append(group)

    with (
        waiting(freezer, lambda: wait("first")),
        waiting(freezer, lambda: wait("second")) as second,
    ):
        with freezer.freeze(group="first", timeout=WAIT), condition:
            condition.notify()
        second.finish()
        assert woken == ["second"]
        with condition:
            condition.notify()
