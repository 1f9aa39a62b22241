"""Libraries that wait in C of their own, as far as `install()` can tell: their names, and no more.

None of their calls goes through anything that is replaced: `_socket` is the C under `socket`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import freezethreads
from freezethreads import Freezer

Libraries: TypeAlias = Callable[[dict[str, str]], None]

ZMQ = {
    "zmq/__init__.py": """
from zmq.backend import Again, proxy, zmq_poll
from zmq.sugar import device
from zmq.sugar.socket import Socket
NOBLOCK = 1
""",
    "zmq/backend.py": """
import _socket

class Again(Exception):
    pass

class SocketBase:
    rcvtimeo = -1
    receives = True

    def __init__(self):
        self.here, self.there = _socket.socketpair()
        self.taken = 0
        self.flags = []

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.here.close()
        self.there.close()

    def drain(self):
        self.there.settimeout(0)
        try:
            while self.there.recv(65536):
                pass
        except BlockingIOError:
            pass

    def recv(self, flags=0, copy=True, track=False):
        if not self.receives:
            raise OSError("it only sends")
        self.flags.append(flags)
        _set_timeout(self.here, 0 if flags & 1 else self.rcvtimeo)
        try:
            message = self.here.recv(1)
        except OSError as error:
            raise Again from error
        self.taken += 1
        return message

    def recv_into(self, buffer, /, *, nbytes=0, flags=0):
        message = SocketBase.recv(self, flags)
        buffer[: len(message)] = message
        return len(message)

    def send(self, data, flags=0, copy=True, track=False):
        _set_timeout(self.here, 0 if flags & 1 else -1)
        try:
            self.here.send(data)
        except OSError as error:
            raise Again from error

def _set_timeout(sock, milliseconds):
    sock.settimeout(None if milliseconds < 0 else milliseconds / 1000)

def zmq_poll(sockets, timeout=-1):
    ((socket, flags),) = sockets
    _set_timeout(socket.here, timeout)
    try:
        socket.here.recv(1, _socket.MSG_PEEK)
    except TimeoutError:
        return []
    return [(socket, flags)]

def proxy(frontend, backend):
    zmq_poll([(frontend, 1)])
""",
    "zmq/sugar/__init__.py": """
from zmq.backend import proxy

def device(device_type, frontend, backend):
    return proxy(frontend, backend)
""",
    "zmq/sugar/poll.py": "from zmq.backend import zmq_poll",
    "zmq/sugar/socket.py": """
import zmq.sugar.poll
from zmq.backend import SocketBase

class Socket(SocketBase):
    def send(self, data, flags=0, copy=True, track=False):
        return super().send(data, flags, copy, track)

    def poll(self, timeout=-1):
        return zmq.sugar.poll.zmq_poll([(self, 1)], timeout)
""",
}

UVLOOP = {
    "uvloop/__init__.py": """
import asyncio
import select
import selectors

select_in_c = getattr(select.select, "__wrapped__", select.select)

class InC(selectors.SelectSelector):
    def select(self, timeout=None):
        ready, _, _ = select_in_c(list(self.get_map()), [], [], timeout)
        return [(self.get_key(one), selectors.EVENT_READ) for one in ready]

class Loop(asyncio.SelectorEventLoop):
    def __init__(self):
        super().__init__(InC())
""",
}

PSYCOPG = {
    "psycopg/__init__.py": "",
    "psycopg/waiting.py": """
import select

def wait_selector(generator, descriptor, interval=0):
    polling = select.poll()
    polling.register(descriptor, next(generator))
    try:
        while True:
            generator.send([event for _, event in polling.poll(None)])
    except StopIteration as end:
        return end.value

wait = iter  # a function of C
""",
}


@contextmanager
def libraries(folder: Path, files: dict[str, str]) -> Iterator[None]:
    """They can be imported; at the end they have never been."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        tops = {name.partition("/")[0] for name in files}
        for name in [one for one in sys.modules if one.partition(".")[0] in tops]:
            del sys.modules[name]


class Imported:
    """A library under an installation that came before it, or after it."""

    def __init__(self, freezer: Freezer, name: str, order: str) -> None:
        if order == "before":
            self.library: Any = importlib.import_module(name)
        self.installation = freezethreads.install(freezer)
        if order == "after":
            self.library = importlib.import_module(name)

    def __enter__(self) -> Any:
        return self.library

    def __exit__(self, *exc_info: object) -> None:
        self.installation.uninstall()


orders = pytest.mark.parametrize("order", ["before", "after"])
