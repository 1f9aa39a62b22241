"""How serving begins and ends, within one process."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from control_programs import own_threads
from control_programs import runtime as runtime
from control_programs import serving as serving
from freezethreads import FreezeError, Freezer
from freezethreads.control import (
    ProcessEnded,
    RequestRefused,
    Serving,
    _server,
    connect,
    find_processes,
    serve,
)
from freezethreads.control._session import Session
from freezing import looping
from helpers import WAIT, wait_until

ME = os.getpid()


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("served")


def test_it_is_one_thread_until_somebody_connects(serving: Serving) -> None:
    assert own_threads() == ["freezethreads-control"]
    with connect(ME):
        assert own_threads() == ["freezethreads-control", f"freezethreads-control-for-{ME}"]
    wait_until(lambda: own_threads() == ["freezethreads-control"])


def test_the_socket_is_this_users_and_goes_at_the_end(runtime: Path, freezer: Freezer) -> None:
    with freezer.serve() as serving:
        assert serving.path == runtime / f"{ME}.sock"
        assert serving.path.stat().st_mode & 0o777 == 0o600
    assert not serving.path.exists()
    serving.close()
    with freezer.serve() as again, connect(ME) as client:
        assert again.path == serving.path
        assert client.hello["pid"] == ME


def test_who_is_served_twice_is_served_until_both_are_closed(serving: Serving) -> None:
    second = serving.freezer.serve()
    assert second is not serving
    second.close()
    second.close()
    assert "closed" in repr(second)
    assert "open" in repr(serving)
    with connect(ME) as client:
        assert [one["name"] for one in client.hello["freezers"]] == ["served"]


def test_the_end_of_the_last_ends_the_clients_and_their_freezes(
    runtime: Path, freezer: Freezer
) -> None:
    with looping(freezer, 1) as loops:
        serving = freezer.serve()
        with connect(ME) as client, connect(ME) as other:
            client.request("freeze")
            other.request("freeze", keep=True)
            serving.close()
            loops.progress()
            with pytest.raises(Exception, match="ceased to serve"):
                client.request("hello")


def test_the_end_ends_all_if_the_socket_cannot_be_removed(
    runtime: Path, freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    """As where the process has become another user's, who must not."""
    with looping(freezer, 1) as loops:
        serving = freezer.serve()
        with connect(ME) as client:
            client.request("freeze", keep=True)
            serving.path.unlink()
            serving.path.mkdir()
            serving.close()
            loops.progress()
            with pytest.raises(ProcessEnded):
                client.request("hello")
    assert "the control socket is left behind" in caplog.text


def test_a_time_out_for_all_sockets_is_none_of_its_own(
    runtime: Path, freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_server, "_PAUSE", 2 * WAIT)
    socket.setdefaulttimeout(0)
    try:
        serving = freezer.serve()
    finally:
        socket.setdefaulttimeout(None)
    with serving:
        for _ in range(2):
            connect(ME, patience=WAIT).close()
            wait_until(lambda: own_threads() == ["freezethreads-control"])


def test_several_freezers_share_the_socket(serving: Serving) -> None:
    second = Freezer("second")
    with second.serve() as other, connect(ME) as client:
        assert other.path == serving.path
        assert client.request("threads", freezer="second")["freezer"]["name"] == "second"
        with pytest.raises(RequestRefused, match="'served', 'second'"):
            client.request("threads")
        with pytest.raises(RequestRefused, match="no freezer 'third'"):
            client.request("threads", freezer="third")


def test_two_of_one_name_cannot_be_told_apart(serving: Serving) -> None:
    with pytest.raises(FreezeError, match="another freezer of the name 'served'"):
        Freezer("served").serve()


def test_a_socket_that_was_left_behind_is_replaced(runtime: Path, freezer: Freezer) -> None:
    runtime.mkdir(mode=0o700)
    path = runtime / f"{ME}.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    with freezer.serve(), connect(ME) as client:
        assert client.hello["pid"] == ME


def test_a_socket_that_somebody_answers_is_left_alone(runtime: Path, freezer: Freezer) -> None:
    runtime.mkdir(mode=0o700)
    path = runtime / f"{ME}.sock"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()
        with pytest.raises(FreezeError, match="served already"):
            freezer.serve()
    assert path.exists()
    assert own_threads() == []


def test_who_asks_at_the_very_end_is_told_that_it_is_over(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request has come in when the last freezer is closed, and its client is dropped then."""
    freezer_of = Session.freezer

    def close_first(self: Session, arguments: Mapping[str, object]) -> Freezer:
        serving.close()
        return freezer_of(self, arguments)

    monkeypatch.setattr(Session, "freezer", close_first)
    with connect(ME) as client, pytest.raises(ProcessEnded, match="ceased to serve"):
        client.request("threads")


def test_what_is_no_freezer_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^freezer must be a freezethreads\.Freezer, not 'io'$"):
        serve("io")  # type: ignore[arg-type]
    assert ME not in find_processes()
