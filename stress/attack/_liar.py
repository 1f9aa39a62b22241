"""A server that lies: it has the socket of a process, and answers as it is told."""

from __future__ import annotations

import copy
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Answers = dict[str, dict[str, Any]]

WRONG: list[Any] = [None, [], {}, [[]], "x\x1b[31m", -1, 0, 1.5, True, 10**30, 1e308]
_PIECE = b'"' + b"x" * 65_000


class Liar:
    """Listens at `path`, and answers each request with what `lies` has for it, else truly.

    A lie is a function that sends something through the connection; it ends then.
    """

    def __init__(self, path: Path, truth: Answers) -> None:
        self.truth = truth
        self.lies: dict[str, Callable[[socket.socket], object]] = {}
        self._over = False
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._listen, name="liar", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it, and wait for that."""
        self._over = True
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self._path))
        self._thread.join()
        self._listener.close()

    def _listen(self) -> None:
        while not self._over:
            connection, _ = self._listener.accept()
            with connection:
                try:
                    self._answer(connection)
                except OSError:
                    pass  # it has heard enough, which is its right

    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for line in lines:
                name = json.loads(line)["request"]
                if name in self.lies:
                    self.lies[name](connection)
                    return
                connection.sendall(encoded(self.truth[name]))


def encoded(answer: dict[str, Any]) -> bytes:
    """The line of an answer."""
    return json.dumps({"version": 1, **answer}).encode() + b"\n"


def changed(answer: dict[str, Any], choose: random.Random) -> dict[str, Any]:
    """A copy in which one thing is another, or missing."""
    whole = copy.deepcopy(answer)
    *way, last = choose.choice(list(_paths(whole, ())))
    inner: Any = whole
    for key in way:
        inner = inner[key]
    if choose.random() < 0.2:
        del inner[last]
    else:
        inner[last] = choose.choice(WRONG)
    return whole


def _paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _paths(value[key], (*path, key))


def nonsense(choose: random.Random) -> Callable[[socket.socket], object]:
    """A lie of another kind: too much, too little, too slow, or no answer at all."""
    cut = choose.randrange(1, 40)
    whole = encoded({"result": {"thawed": 1, "freezers": []}})
    return choose.choice(
        [
            lambda connection: None,
            lambda connection: connection.sendall(whole[:cut]),
            lambda connection: connection.sendall(choose.randbytes(100) + b"\n"),
            lambda connection: connection.sendall(b'{"version": 1, "x": ' + b"[" * 100_000 + b"\n"),
            lambda connection: connection.sendall(b"[" + b"[]," * 2_500_000 + b"0]\n"),
            _talk_for_ever,
            lambda connection: _drip(connection, whole),
            lambda connection: connection.recv(1),  # nothing, until it is given up
        ]
    )


def _talk_for_ever(connection: socket.socket) -> None:
    while True:
        connection.sendall(_PIECE)


def _drip(connection: socket.socket, line: bytes) -> None:
    """A byte at a time, until it is given up."""
    connection.settimeout(0.05)
    for byte in line:
        connection.sendall(bytes([byte]))
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            pass
