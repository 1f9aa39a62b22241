"""The waits for sockets, files, processes and signals, in the manner of `install_waits`."""

from __future__ import annotations

import os
import select
import selectors
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from helpers import WAIT
from install_waits import Maker, Wait, into

IO_WAITS: dict[str, Maker] = {}
wait = into(IO_WAITS)


def pair(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    here, there = socket.socketpair()
    stack.enter_context(here)
    stack.enter_context(there)
    return here, there


def selecting(selector: Callable[[], selectors.BaseSelector]) -> Maker:
    def make(stack: ExitStack) -> Wait:
        here, there = pair(stack)
        chosen = stack.enter_context(selector())
        chosen.register(here, selectors.EVENT_READ)
        return Wait(lambda: len(chosen.select()), lambda: there.send(b"x"), 1)

    return make


IO_WAITS["default_selector"] = selecting(selectors.DefaultSelector)
IO_WAITS["select_selector"] = selecting(selectors.SelectSelector)
IO_WAITS["poll_selector"] = selecting(selectors.PollSelector)
if hasattr(selectors, "EpollSelector"):
    IO_WAITS["epoll_selector"] = selecting(selectors.EpollSelector)


@wait
def select_select(stack: ExitStack) -> Wait:
    here, there = pair(stack)
    return Wait(
        lambda: select.select([here], [], [], WAIT)[0] == [here], lambda: there.send(b"x"), True
    )


def receiving(call: Callable[[socket.socket], object], result: object) -> Maker:
    """What is sent to a thread that is frozen in a call that receives stays in the socket."""

    def make(stack: ExitStack) -> Wait:
        here, there = pair(stack)
        return Wait(
            lambda: call(here),
            lambda: there.send(b"xy"),
            result,
            lambda: here.recv(3, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"xy",
        )

    return make


def recv_with_timeout(here: socket.socket) -> bytes:
    here.settimeout(WAIT)
    return here.recv(3)


IO_WAITS["recv"] = receiving(lambda here: here.recv(3), b"xy")
IO_WAITS["recv_with_timeout"] = receiving(recv_with_timeout, b"xy")
IO_WAITS["recv_into"] = receiving(lambda here: here.recv_into(bytearray(3)), 2)
IO_WAITS["recvfrom"] = receiving(lambda here: here.recvfrom(3)[0], b"xy")
IO_WAITS["recvfrom_into"] = receiving(lambda here: here.recvfrom_into(bytearray(3))[0], 2)
IO_WAITS["recvmsg"] = receiving(lambda here: here.recvmsg(3)[0], b"xy")
IO_WAITS["socket_file"] = receiving(lambda here: here.makefile("rb").read(2), b"xy")


@wait
def recvmsg_into(stack: ExitStack) -> Wait:
    """Of this one there is no usual form, in which what comes would be left in the socket."""
    here, there = pair(stack)
    return Wait(lambda: here.recvmsg_into([bytearray(3)])[0], lambda: there.send(b"xy"), 2)


@wait
def recv_with_flags(stack: ExitStack) -> Wait:
    here, there = pair(stack)
    return Wait(lambda: here.recv(2, socket.MSG_WAITALL), lambda: there.send(b"xy"), b"xy")


@wait
def accept(stack: ExitStack) -> Wait:
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

    def answer() -> bytes:
        with server.accept()[0] as connection:
            return connection.recv(2)

    def call() -> None:
        stack.enter_context(socket.create_connection(server.getsockname(), WAIT)).send(b"xy")

    return Wait(answer, call, b"xy", lambda: bool(select.select([server], [], [], 0)[0]))


def connecting(call: Callable[[socket.socket, str], object], result: object) -> Maker:
    """A server whose queue is full does not answer before it has accepted somebody."""

    def make(stack: ExitStack) -> Wait:
        path = f"{stack.enter_context(tempfile.TemporaryDirectory())}/socket"
        server, other, client = (stack.enter_context(unix_socket()) for _ in range(3))
        server.bind(path)
        server.listen(0)
        other.connect(path)
        return Wait(
            lambda: call(client, path), lambda: stack.enter_context(server.accept()[0]), result
        )

    return make


def unix_socket(kind: int = socket.SOCK_STREAM) -> socket.socket:
    return socket.socket(socket.AF_UNIX, kind)


IO_WAITS["connect"] = connecting(lambda client, path: client.connect(path), None)
IO_WAITS["connect_ex"] = connecting(lambda client, path: client.connect_ex(path), 0)


def sending(call: Callable[[socket.socket], object], result: object) -> Maker:
    def make(stack: ExitStack) -> Wait:
        here, there = pair(stack)
        fill(here)
        return Wait(lambda: call(here), lambda: drain(there), result)

    return make


def fill(sock: socket.socket) -> None:
    """Send until there is no room left."""
    sock.setblocking(False)
    try:
        while True:
            sock.send(bytes(4096))
    except BlockingIOError:
        sock.setblocking(True)


def drain(sock: socket.socket) -> None:
    """Receive all that there is."""
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        sock.setblocking(True)


IO_WAITS["send"] = sending(lambda here: here.send(b"xy"), 2)
IO_WAITS["sendall"] = sending(lambda here: here.sendall(b"xy"), None)
IO_WAITS["sendmsg"] = sending(lambda here: here.sendmsg([b"x", b"y"]), 2)


@wait
def sendto(stack: ExitStack) -> Wait:
    path = f"{stack.enter_context(tempfile.TemporaryDirectory())}/socket"
    here, there = (stack.enter_context(unix_socket(socket.SOCK_DGRAM)) for _ in range(2))
    there.bind(path)
    here.connect(path)
    fill(here)
    other = stack.enter_context(unix_socket(socket.SOCK_DGRAM))
    return Wait(lambda: other.sendto(b"xy", path), lambda: drain(there), 2)


def child(stack: ExitStack, **options: Any) -> tuple[subprocess.Popen[bytes], Callable[[], object]]:
    """A process that copies what it reads, and what lets it end."""
    read, write = os.pipe()
    try:
        process = subprocess.Popen(["cat"], stdin=read, **options)
    finally:
        os.close(read)
    stack.enter_context(process)
    into = stack.enter_context(os.fdopen(write, "wb"))
    into.write(b"xy")
    return process, into.close


def child_wait(stack: ExitStack, timeout: float | None) -> Wait:
    process, end = child(stack, stdout=subprocess.DEVNULL)
    return Wait(lambda: process.wait(timeout), end, 0)


IO_WAITS["child_wait"] = lambda stack: child_wait(stack, None)
IO_WAITS["child_wait_with_timeout"] = lambda stack: child_wait(stack, WAIT)


@wait
def child_communicate(stack: ExitStack) -> Wait:
    process, end = child(stack, stdout=subprocess.PIPE)
    return Wait(process.communicate, end, (b"xy", None))


@wait
def child_communicate_by_two_pipes(stack: ExitStack) -> Wait:
    process, end = child(stack, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return Wait(process.communicate, end, (b"xy", b""))


def signalled(call: Callable[[], object], result: object) -> Maker:
    """The signal is sent to the very thread, which blocks it to have it when it waits for it."""

    def make(stack: ExitStack) -> Wait:
        idents: list[int] = []

        def await_it() -> object:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            idents.append(threading.get_ident())
            return call()

        return Wait(await_it, lambda: signal.pthread_kill(idents[0], signal.SIGUSR1), result)

    return make


IO_WAITS["sigwait"] = signalled(lambda: signal.sigwait([signal.SIGUSR1]), signal.SIGUSR1)
if hasattr(signal, "sigwaitinfo"):
    IO_WAITS["sigwaitinfo"] = signalled(
        lambda: signal.sigwaitinfo([signal.SIGUSR1]).si_signo, signal.SIGUSR1
    )
    IO_WAITS["sigtimedwait"] = signalled(
        lambda: getattr(signal.sigtimedwait([signal.SIGUSR1], WAIT), "si_signo", None),
        signal.SIGUSR1,
    )
