"""The waits for pipes, connections, children and what `select` makes, as in `install_waits`."""

from __future__ import annotations

import multiprocessing
import os
import select
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

from install_waits import Maker, Wait, into
from install_waits_io import child, pair

FD_WAITS: dict[str, Maker] = {}
wait = into(FD_WAITS)


def is_readable(descriptor: int) -> bool:
    """Whether there is something in it now."""
    return bool(select.select([descriptor], [], [], 0)[0])


def pipe(stack: ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    stack.callback(os.close, read)
    stack.callback(os.close, write)
    return read, write


def impatient_pipe(stack: ExitStack) -> int:
    """One that is empty, and never waited for."""
    read, _ = pipe(stack)
    os.set_blocking(read, False)
    return read


def ended_pipe(stack: ExitStack) -> int:
    read, write = os.pipe()
    stack.callback(os.close, read)
    os.close(write)
    return read


@wait
def os_read(stack: ExitStack) -> Wait:
    """What is written to a thread that is frozen in a call that reads stays in the pipe."""
    read, write = pipe(stack)
    return Wait(
        lambda: os.read(read, 3), lambda: os.write(write, b"xy"), b"xy", lambda: is_readable(read)
    )


# The file objects of `subprocess`. (`cat` hands on what it gets as it comes.)


def reading(call: Callable[[Any], object], result: object, **options: Any) -> Maker:
    """What a child says to a thread that is frozen while it reads stays in the pipe."""

    def make(stack: ExitStack) -> Wait:
        process, end = child(stack, stdout=subprocess.PIPE, **options)
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        return Wait(lambda: call(process.stdout), end, result, lambda: is_readable(descriptor))

    return make


FD_WAITS["popen_lines"] = reading(list, [b"xy"])
FD_WAITS["popen_text_lines"] = reading(list, ["xy"], text=True)
FD_WAITS["popen_readline"] = reading(lambda file: file.readline(), b"xy")
FD_WAITS["popen_read"] = reading(lambda file: file.read(), b"xy")
FD_WAITS["popen_read_some"] = reading(lambda file: file.read(2), b"xy")
FD_WAITS["popen_read1"] = reading(lambda file: file.read1(), b"xy")
FD_WAITS["popen_readinto"] = reading(lambda file: file.readinto(bytearray(2)), 2)
FD_WAITS["popen_unbuffered"] = reading(lambda file: file.read(), b"xy", bufsize=0)
FD_WAITS["popen_unbuffered_some"] = reading(lambda file: file.read(3), b"xy", bufsize=0)
FD_WAITS["popen_small_buffer"] = reading(lambda file: file.read(2), b"xy", bufsize=16)


def polling(poller: Callable[[], Any], result: Callable[[int], object]) -> Maker:
    def make(stack: ExitStack) -> Wait:
        here, there = pair(stack)
        poll = poller()
        poll.register(here, select.POLLIN)
        return Wait(poll.poll, lambda: there.send(b"x"), result(here.fileno()))

    return make


def events(descriptor: int) -> list[tuple[int, int]]:
    return [(descriptor, select.POLLIN)]


FD_WAITS["poll"] = polling(lambda: select.poll(), events)
if hasattr(select, "epoll"):
    FD_WAITS["epoll"] = polling(lambda: select.epoll(), events)


# The connections of `multiprocessing`.


def closed_connection() -> Connection:
    here, there = multiprocessing.Pipe()
    there.close()
    here.close()
    return here


def ended_connection(stack: ExitStack) -> Connection:
    here, there = multiprocessing.Pipe()
    there.close()
    return stack.enter_context(here)


@wait
def connection_recv(stack: ExitStack) -> Wait:
    here, there = (stack.enter_context(end) for end in multiprocessing.Pipe())
    return Wait(here.recv, lambda: there.send("xy"), "xy", here.poll)


@wait
def connection_send(stack: ExitStack) -> Wait:
    """More than the pipe has room for."""
    here, there = (stack.enter_context(end) for end in multiprocessing.Pipe())
    return Wait(lambda: here.send_bytes(bytes(2**22)), there.recv_bytes)


@wait
def simple_queue_of_processes(stack: ExitStack) -> Wait:
    jobs: Any = multiprocessing.get_context("fork").SimpleQueue()
    stack.callback(jobs.close)
    return Wait(jobs.get, lambda: jobs.put("xy"), "xy", lambda: not jobs.empty())


# Children.


def reaping(call: Callable[[int], object], result: object) -> Maker:
    def make(stack: ExitStack) -> Wait:
        process, end = child(stack, stdout=subprocess.DEVNULL)
        return Wait(lambda: call(process.pid), end, result)

    return make


FD_WAITS["waitpid"] = reaping(lambda pid: os.waitpid(pid, 0)[1], 0)
FD_WAITS["wait4"] = reaping(lambda pid: os.wait4(pid, 0)[1], 0)
FD_WAITS["wait"] = reaping(lambda pid: os.wait()[1], 0)
FD_WAITS["wait3"] = reaping(lambda pid: os.wait3(0)[1], 0)
FD_WAITS["waitid"] = reaping(
    lambda pid: getattr(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT), "si_status", None), 0
)
