"""The load: clients that ask without a pause, in several ways, and check each answer.

A client is a thread of the test's process. What it is answered wrong it raises.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from socket import create_connection

from helpers import WAIT, Worker, start
from servers_app import LARGE

LONGEST = 40.0
"""Seconds that a load may last."""

GETS = ("/transfer", "/sleep", "/vault", "/desk", "/pool", "/large")


class Client:
    """One that asks for one thing after another, until told to end."""

    KEEPS = True
    """Whether it keeps its connection for the next request."""

    def __init__(self, port: int, seed: int, over: threading.Event) -> None:
        self.asked: Counter[str] = Counter()
        self.paid_in = 0
        self._over = over
        self._random = random.Random(seed)
        self._connection = HTTPConnection("127.0.0.1", port, timeout=WAIT)

    def run(self) -> None:
        """Ask. In a thread of its own."""
        try:
            while not self._over.is_set():
                self._ask_once()
                if not self.KEEPS:
                    self._connection.close()
        finally:
            self._connection.close()

    def _ask_once(self) -> None:
        number = self._random.randrange(1_000_000)
        if self._random.random() < 0.2:
            path, body = "/deposit", self._random.randbytes(number % 30_000 + 1)
        else:
            path, body = self._random.choice(GETS), b""
        response = self._ask(path, f"{path}?number={number}", body)
        self._check(response, path, number, body)
        self.asked[path] += 1
        self.paid_in += len(body)

    def _ask(self, path: str, url: str, body: bytes) -> HTTPResponse:
        headers = {} if self.KEEPS else {"Connection": "close"}
        self._connection.request("POST" if body else "GET", url, body or None, headers)
        return self._connection.getresponse()

    def _read(self, response: HTTPResponse) -> bytes:
        return response.read()

    def _check(self, response: HTTPResponse, path: str, number: int, body: bytes) -> None:
        line, _, rest = self._read(response).partition(b"\n")
        assert response.status == 200, (path, response.status, line)
        assert json.loads(line) == {
            "path": path,
            "number": number,
            "result": number**2 if path in ("/desk", "/pool") else None,
            "digest": hashlib.sha256(body).hexdigest(),
        }
        assert rest == (LARGE if path == "/large" else b"")


class HastyClient(Client):
    """One that makes a connection for each request."""

    KEEPS = False


class SlowClient(Client):
    """One that sends in pieces and reads in pieces, with pauses."""

    def _ask(self, path: str, url: str, body: bytes) -> HTTPResponse:
        self._connection.putrequest("POST" if body else "GET", url)
        if body:
            self._connection.putheader("Content-Length", str(len(body)))
        self._connection.endheaders()
        for begin in range(0, len(body), 10_000):
            self._pause()
            self._connection.send(body[begin : begin + 10_000])
        return self._connection.getresponse()

    def _read(self, response: HTTPResponse) -> bytes:
        pieces = []
        while piece := response.read(100_000):
            pieces.append(piece)
            self._pause()
        return b"".join(pieces)

    def _pause(self) -> None:
        time.sleep(self._random.random() * 0.003)


class LateClient(Client):
    """One that sends half a request, and the rest when the load is over."""

    def run(self) -> None:
        with create_connection(("127.0.0.1", self._connection.port), WAIT) as connection:
            connection.sendall(b"GET /sleep?number=1 HTTP/1.1\r\n")
            assert self._over.wait(LONGEST)
            connection.sendall(b"Host: localhost\r\n\r\n")
            response = HTTPResponse(connection)
            response.begin()
            self._check(response, "/sleep", 1, b"")
        self.asked["/sleep"] += 1


KINDS = (*2 * [Client], *4 * [HastyClient], *2 * [SlowClient], LateClient)


class Load:
    """All the clients of one server."""

    def __init__(self, port: int) -> None:
        self._over = threading.Event()
        self._clients = [kind(port, seed, self._over) for seed, kind in enumerate(KINDS)]
        self._threads: list[Worker[None]] = []

    def start(self) -> None:
        """Start the clients."""
        self._threads = [start(client.run) for client in self._clients]

    def end(self) -> None:
        """Have the clients end, and raise what one of them raised."""
        self._over.set()
        for thread in self._threads:
            thread.join(2 * WAIT)
        for thread in self._threads:
            thread.finish()

    @property
    def asked(self) -> Counter[str]:
        """How many requests of each kind were answered, and rightly. When it has ended."""
        return sum((client.asked for client in self._clients), Counter())

    @property
    def paid_in(self) -> int:
        """How much the bank was given."""
        return sum(client.paid_in for client in self._clients)


@contextmanager
def load_on(port: int) -> Iterator[Load]:
    """Clients that ask while the block lasts."""
    load = Load(port)
    load.start()
    try:
        yield load
    finally:
        load.end()
