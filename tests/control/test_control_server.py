"""The server, whatever its clients do: it answers or drops them, and the program goes on."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
from collections.abc import Mapping

import pytest

from control_programs import own_threads
from control_programs import runtime as runtime
from control_programs import serving as serving
from freezethreads.control import RequestRefused, Serving, _server, connect
from freezethreads.control._peer import Peer, is_trusted
from freezethreads.control._protocol import encode
from freezethreads.control._requests import REQUESTS
from freezethreads.control._session import Session
from freezing import looping
from helpers import WAIT, wait_until

HELLO = encode({"request": "hello"})
ME = os.getpid()


def raw(serving: Serving) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(WAIT)
    client.connect(str(serving.path))
    return client


def say(serving: Serving, data: bytes, *, half_closed: bool = False) -> list[bytes]:
    """Send something, and return the lines that come until the connection ends."""
    with raw(serving) as client:
        try:
            client.sendall(data)
            if half_closed:
                client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was dropped already, and told why
        try:
            return client.makefile("rb").readlines()
        except ConnectionResetError:
            return []


def error_of(line: bytes) -> str:
    kind: str = json.loads(line)["error"]["kind"]
    return kind


# Whoever may talk to it.


def test_the_same_user_and_root_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert is_trusted(Peer(1000, 1))
    assert is_trusted(Peer(0, 1))
    assert not is_trusted(Peer(1001, 1))
    assert not is_trusted(None)


def test_nobody_else_is_heard(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_server, "peer_of", lambda connection: Peer(os.geteuid() + 1, 1))
    monkeypatch.setattr(_server, "call", None)
    (line,) = say(serving, b"")
    assert error_of(line) == "permission"


# What clients do.

NONSENSE = {
    "no JSON": b"hello\n",
    "no object": b"[]\n",
    "no version": b'{"request": "hello"}\n',
    "another version": b'{"version": 2, "request": "hello"}\n',
    "no request": b'{"version": 1}\n',
    "nested": b"[" * 60_000 + b"\n",
    "no text": b"\xff\xfe\n",
    "half a line": b'{"version": 1',
    "too long": b" " * 70_000,
    "long and whole": b" " * 70_000 + HELLO,
}


@pytest.mark.parametrize("name", NONSENSE)
def test_what_is_no_request_is_told_so_and_dropped(serving: Serving, name: str) -> None:
    lines = say(serving, NONSENSE[name], half_closed=True)
    if name not in ("too long", "long and whole"):  # what is unread then may cut the answer off
        (line,) = lines
        assert error_of(line) == "protocol"
    with connect(ME) as client:
        assert client.hello["state"] == "running"


@pytest.mark.usefixtures("serving")
def test_a_name_that_is_none_is_not_sent() -> None:
    with connect(ME) as client:
        with pytest.raises(TypeError, match=r"^name must be that of a request, .* not 5$"):
            client.request(5)  # type: ignore[arg-type]
        assert client.request("hello")["pid"] == ME


@pytest.mark.parametrize("waits", [True, False])
def test_random_bytes_change_nothing(serving: Serving, waits: bool) -> None:
    """The client waits for what is said to it, or does not."""
    for seed in range(40):
        choose = random.Random(seed)
        data = bytearray(HELLO * choose.randrange(1, 4))
        for _ in range(choose.randrange(1, 8)):
            data[choose.randrange(len(data))] = choose.randrange(256)
        if waits:
            assert all(map(json.loads, say(serving, bytes(data), half_closed=True)))
        else:
            with raw(serving) as client:
                client.sendall(data)
    wait_until(lambda: own_threads() == ["freezethreads-control"])
    with connect(ME) as client:
        assert client.hello["pid"] == ME


def test_a_half_closed_client_has_its_answers(serving: Serving) -> None:
    lines = say(serving, HELLO + HELLO, half_closed=True)
    assert [json.loads(line)["result"]["pid"] for line in lines] == [ME, ME]


def test_a_slow_client_is_dropped(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_server, "_SLOW", 0.05)
    (line,) = say(serving, HELLO[:-1])
    assert error_of(line) == "slow"
    monkeypatch.setattr(_server, "IDLE", 0.05)
    first, second = say(serving, HELLO)
    assert (json.loads(first)["result"]["pid"], error_of(second)) == (ME, "slow")


def test_a_client_that_does_not_read_is_dropped(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_server, "_SLOW", 0.05)
    with raw(serving) as client:
        try:
            while True:
                client.sendall(HELLO * 100)
        except (BrokenPipeError, ConnectionResetError):
            pass
    wait_until(lambda: own_threads() == ["freezethreads-control"])


def test_only_so_many_clients_at_a_time(serving: Serving) -> None:
    clients = [raw(serving) for _ in range(_server.MOST_CLIENTS)]
    wait_until(lambda: len(own_threads()) == 1 + _server.MOST_CLIENTS)
    with pytest.raises(RequestRefused, match="8 clients are connected"):
        connect(ME)
    for client in clients:
        client.close()
    wait_until(lambda: own_threads() == ["freezethreads-control"])
    connect(ME).close()


def test_a_fault_of_ours_is_told_and_ends_nothing(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> dict[str, object]:
        raise LookupError("of ours")

    with connect(ME) as client:
        monkeypatch.setattr(_server, "call", fail)
        with pytest.raises(RequestRefused, match="LookupError: of ours") as caught:
            client.request("hello")
        assert caught.value.kind == "internal"
        monkeypatch.undo()
        assert client.request("hello")["pid"] == ME
    assert "the request 'hello' failed" in caplog.text


def test_a_result_that_is_not_json_is_a_fault_as_well(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REQUESTS, "wrong", lambda session, arguments: {"x": object()})
    with connect(ME) as client:
        with pytest.raises(RequestRefused, match="TypeError: Object of type object is not JSON"):
            client.request("wrong")
        assert client.request("hello")["pid"] == ME


def test_a_client_that_no_thread_is_left_for_is_dropped(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_server, "_PAUSE", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(_server, "OwnThread", NoThread)
        assert say(serving, b"") == []
    connect(ME).close()


def test_a_finalizer_that_runs_in_the_server_does_not_stop_it(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is not registered stops at safepoints while all are frozen; the server must not."""

    def finalize(session: Session, arguments: Mapping[str, object]) -> dict[str, object]:
        session.freezer({}).safepoint()
        return {"passed": True}

    monkeypatch.setitem(REQUESTS, "finalize", finalize)
    with looping(serving.freezer, 1), connect(ME) as client:
        client.request("freeze", lease=WAIT)
        assert client.request("finalize") == {"passed": True}
        client.request("thaw")
