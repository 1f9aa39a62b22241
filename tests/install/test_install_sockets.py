"""Sockets: a program gets and sends what it does without an installation."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import freezethreads
from freezethreads import Freezer, Installation, State
from freezethreads._install import _wrappers
from helpers import WAIT, start
from install_waits import is_back, record_of, until, wait_in_wait, waiting
from install_waits_io import fill, pair

MUCH = os.urandom(2**22)  # more than a socket has room for


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture(autouse=True)
def installation(freezer: Freezer) -> Iterator[Installation]:
    with freezethreads.install(freezer) as installation:
        yield installation


@pytest.fixture(params=[None, WAIT], ids=["patient", "with a time-out"])
def sockets(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two that are connected; the first one has this time-out."""
    with ExitStack() as stack:
        here, there = pair(stack)
        here.settimeout(request.param)
        yield here, there


Sockets = tuple[socket.socket, socket.socket]


def receive_all(sock: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        received += sock.recv(2**16)
    return bytes(received)


@pytest.mark.parametrize("data", [MUCH, bytearray(MUCH), memoryview(MUCH)], ids=type)
def test_what_there_is_no_room_for_is_sent_when_there_is(
    freezer: Freezer, sockets: Sockets, data: bytes
) -> None:
    here, there = sockets
    with waiting(freezer, lambda: here.sendall(data)) as sending:
        with freezer.freeze(timeout=WAIT) as world:
            assert [info.state for info in world.threads] == [State.FROZEN]
        assert start(receive_all, there, len(MUCH)).finish() == MUCH
        assert sending.finish() is None


def test_a_patient_send_sends_all(freezer: Freezer) -> None:
    with ExitStack() as stack:
        here, there = pair(stack)
        with waiting(freezer, lambda: here.send(MUCH)) as sending:
            assert start(receive_all, there, len(MUCH)).finish() == MUCH
            assert sending.finish() == len(MUCH)


def test_an_impatient_one_sends_what_there_is_room_for() -> None:
    with ExitStack() as stack:
        here, there = pair(stack)
        here.settimeout(WAIT)
        sent = start(here.send, MUCH).finish()
        assert 0 < sent < len(MUCH)
        assert start(receive_all, there, sent).finish() == MUCH[:sent]


@pytest.mark.parametrize("counts", [True, False])
def test_an_error_in_the_middle(freezer: Freezer, counts: bool) -> None:
    """A call that counts says how much was sent before; the next one has the error."""
    with ExitStack() as stack:
        here, there = pair(stack)
        send: Callable[[bytes], int | None] = here.send if counts else here.sendall
        sending = start(send, MUCH)
        wait_in_wait(freezer, sending)
        there.close()
        if counts:
            sent = sending.finish()
            assert isinstance(sent, int)
            assert 0 < sent < len(MUCH)
        else:
            with pytest.raises(OSError, match=r"Broken pipe|reset"):
                sending.finish()
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            start(here.send, b"x").finish()


def datagrams(stack: ExitStack) -> Sockets:
    here, there = (
        stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)
    )
    for one in here, there:
        one.bind(("127.0.0.1", 0))
    here.connect(there.getsockname())
    there.connect(here.getsockname())
    return here, there


@pytest.mark.parametrize("timeout", [None, WAIT])
@pytest.mark.parametrize("send", ["send", "sendall"])
def test_an_empty_datagram_is_sent_and_received_once(timeout: float | None, send: str) -> None:
    def talk(here: socket.socket, there: socket.socket) -> list[bytes]:
        assert not getattr(here, send)(b"")
        assert getattr(here, send)(b"x") in (1, None)
        return [there.recv(1), there.recv(1)]

    with ExitStack() as stack:
        here, there = datagrams(stack)
        here.settimeout(timeout)
        there.settimeout(timeout)
        assert start(talk, here, there).finish() == [b"", b"x"]
        there.setblocking(False)
        with pytest.raises(BlockingIOError):
            there.recv(1)


@pytest.mark.parametrize(
    "receive",
    [
        lambda here: here.recv(2),
        lambda here: here.recvfrom(2)[0],
        lambda here: here.recvmsg(2)[0],
        lambda here: into(here.recv_into),
        lambda here: into(lambda buffer: here.recvfrom_into(buffer)[0]),
    ],
)
def test_a_thread_that_is_too_late_waits_again(
    freezer: Freezer, sockets: Sockets, receive: Callable[[socket.socket], bytes]
) -> None:
    """While it was frozen another one has taken what it was woken for."""
    here, there = sockets
    with waiting(freezer, lambda: receive(here)) as thread:
        with freezer.freeze(timeout=WAIT):
            there.send(b"x")
            assert here.recv(1, socket.MSG_DONTWAIT) == b"x"
        wait_in_wait(freezer, thread)
        with freezer.freeze(timeout=WAIT) as world:
            assert [info.state for info in world.threads] == [State.FROZEN]
        there.send(b"yz")
        assert thread.finish() == b"yz"


def into(receive: Callable[[bytearray], int]) -> bytes:
    buffer = bytearray(2)
    assert receive(buffer) == 2
    return bytes(buffer)


def test_each_kind_of_buffer(sockets: Sockets) -> None:
    here, there = sockets
    number = ctypes.c_uint32()
    there.send(b"abcd")
    assert start(here.recv_into, memoryview(number)).finish() == 4, "it has no dimension"
    assert bytes(number) == b"abcd"
    every_second = memoryview(bytearray(4))[::2]
    for receive in here.recv_into, here.recvfrom_into:
        with pytest.raises((TypeError, BufferError)):
            start(receive, every_second).finish()


def test_the_descriptor_is_that_of_the_socket() -> None:
    """Whatever a subclass says that it is: no method in C asks for that."""

    class Disguised(socket.socket):
        def fileno(self) -> int:
            return -1

    with ExitStack() as stack:
        here, there = pair(stack)
        disguised = stack.enter_context(Disguised(fileno=here.detach()))
        disguised.settimeout(WAIT)
        there.send(b"xy")
        assert start(disguised.recv, 1).finish() == b"x"
        assert start(disguised.recvfrom, 1).finish()[0] == b"y"
        assert start(disguised.send, b"z").finish() == 1
        assert there.recv(2) == b"z"


@pytest.mark.parametrize("call", [lambda here: here.send(b"x"), lambda here: here.sendall(b"x")])
def test_a_descriptor_that_is_shared_with_somebody_patient(
    call: Callable[[socket.socket], object],
) -> None:
    """It waits then, and the socket's time-out ends the call all the same."""
    with ExitStack() as stack:
        here, _ = pair(stack)
        other = stack.enter_context(here.dup())
        fill(here)
        here.settimeout(0.01)
        other.settimeout(None)
        with pytest.raises(TimeoutError):
            start(call, here).finish()


def test_a_thread_that_is_too_late_waits_with_the_rest_of_its_time(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left is less each time, and the call ends when nothing is."""
    wait_readable, left = _wrappers.wait_readable, list[float]()

    def wait_and_note(descriptor: int, timeout: float) -> None:
        left.append(timeout)
        wait_readable(descriptor, 0 if len(left) == 2 else timeout)

    monkeypatch.setattr(_wrappers, "wait_readable", wait_and_note)
    with ExitStack() as stack:
        here, there = pair(stack)
        here.settimeout(WAIT)
        thread = start(here.recv, 1)
        wait_in_wait(freezer, thread)
        record = record_of(freezer, thread)
        for waits in 1, 2:
            with freezer.freeze(timeout=WAIT):
                there.send(b"x")
                until(lambda: is_back(record))
                assert here.recv(1, socket.MSG_DONTWAIT) == b"x"
            until(lambda waits=waits: len(left) == waits)  # type: ignore[misc]
        with pytest.raises(TimeoutError):
            thread.finish()
    assert WAIT > left[0] > left[1] > 0


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM])
def test_what_a_frozen_thread_leaves_is_there_for_others(
    freezer: Freezer, kind: socket.SocketKind
) -> None:
    """The system may have woken only the one that stands."""

    def receive_as(group: str) -> bytes:
        with freezer.register(group=group):
            return here.recv(1)

    with ExitStack() as stack:
        here, there = (stack.enter_context(one) for one in socket.socketpair(type=kind))
        stands = start(receive_as, "stands")
        wait_in_wait(freezer, stands)
        runs = start(receive_as, "runs")
        wait_in_wait(freezer, runs)
        time.sleep(0.01)  # so that they wait in this order
        with freezer.freeze(group="stands", timeout=WAIT):
            there.send(b"x")
            assert runs.finish() == b"x"
        there.send(b"y")
        assert stands.finish() == b"y"


def test_the_end_of_a_stream(sockets: Sockets) -> None:
    here, there = sockets
    there.close()
    assert start(here.recv, 1).finish() == b""
    assert start(here.recv_into, bytearray(1)).finish() == 0


def test_a_time_out_of_the_system_is_none_of_ours() -> None:
    """Set where no method of the socket knows of it: the call ends all the same."""
    with ExitStack() as stack:
        here, _ = pair(stack)
        datagrams_here, _ = datagrams(stack)
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        fill(here)
        for one in here, datagrams_here, server:
            for option in socket.SO_RCVTIMEO, socket.SO_SNDTIMEO:
                one.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", 0, 10_000))
        calls: list[Callable[[], object]] = [
            lambda: here.recv(1),
            lambda: here.recv_into(bytearray(1)),
            lambda: here.sendall(b"x"),
            lambda: datagrams_here.recv(1),
            lambda: datagrams_here.recvfrom(1),
            server.accept,
        ]
        for call in calls:
            with pytest.raises(BlockingIOError):
                start(call).finish()


def test_a_descriptor_comes_along(freezer: Freezer) -> None:
    with ExitStack() as stack:
        here, there = pair(stack)
        read, write = os.pipe()
        stack.callback(os.close, write)
        receiving = start(socket.recv_fds, here, 1, 1)
        wait_in_wait(freezer, receiving)
        socket.send_fds(there, [b"x"], [read])
        os.close(read)
        received = receiving.finish()[1][0]
        os.write(write, b"y")
        assert os.read(received, 1) == b"y"
        os.close(received)


def test_a_family_that_may_not_know_how_to_look_is_polled(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_wrappers, "_PEEKED", ())
    monkeypatch.delattr(_wrappers, "_recv")
    with ExitStack() as stack:
        here, there = pair(stack)
        with waiting(freezer, lambda: here.recv(1)) as receiving:
            there.send(b"x")
            assert receiving.finish() == b"x"
