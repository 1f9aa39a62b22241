"""The application that the tests have served and frozen: WSGI, threads, locks, queues, a pool.

It knows nothing of freezing, like the programs that `install()` is for. Their threads stop in
waits alone, and that decides what a snapshot of them is worth:

* What is changed without a wait in between agrees in every snapshot, however many objects it is
  spread over. `Bank` and `Desk` are such.
* What is changed with a wait in between may be found half-way, in a snapshot as by anybody else.
  So it is in `Vault`. Who changes it has a lock meanwhile, and the lock tells: while nobody has it,
  this agrees as well. A lock that somebody else may have is a wait, also that of a log.
"""

from __future__ import annotations

import hashlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias
from urllib.parse import parse_qs

WAIT = 10.0
"""Seconds that any one wait may last; one that runs into it is an error."""

ACCOUNTS = 1000
STARTING = 1000
LARGE = b"0123456789abcdef" * 32_768

State: TypeAlias = dict[str, int]
StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], Any]


class Bank:
    """Money that moves between two dicts, and how often it did. Nobody waits while it moves."""

    def __init__(self) -> None:
        self.checking = dict.fromkeys(range(ACCOUNTS), STARTING)
        self.savings = dict.fromkeys(range(ACCOUNTS), 0)
        self.paid_in = 0
        self.moves = 0
        self.transfers = 0
        self.lock = threading.Lock()  # guards all of the above

    def transfer(self) -> None:
        """Move one unit from each checking account to the savings account of its neighbour."""
        with self.lock:
            for name in self.checking:
                self.checking[name] -= 1
                self.moves += 1
            for name in self.checking:
                self.savings[(name + 1) % ACCOUNTS] += 1
                self.moves += 1
            self.transfers += 1

    def deposit(self, amount: int) -> None:
        """Pay in `amount`."""
        with self.lock:
            self.paid_in += amount
            self.checking[amount % ACCOUNTS] += amount

    def state(self) -> State:
        """Everything, as numbers."""
        return {
            "checking": sum(self.checking.values()),
            "savings": sum(self.savings.values()),
            "paid_in": self.paid_in,
            "moves": self.moves,
            "transfers": self.transfers,
        }

    def is_consistent(self) -> bool:
        """Whether all of it agrees."""
        now = self.state()
        whole = now["checking"] + now["savings"] == ACCOUNTS * STARTING + now["paid_in"]
        return whole and now["moves"] == 2 * ACCOUNTS * now["transfers"]


class Desk:
    """A queue of questions to one thread, and lists of those asked and answered.

    Neither waits between the queue and the list: each question was answered, or is in the queue.
    """

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.answered: list[int] = []
        self._questions: queue.Queue[tuple[int, queue.SimpleQueue[int]]] = queue.Queue(maxsize=2)
        threading.Thread(target=self._answer, name="desk", daemon=True).start()

    def ask(self, number: int) -> int:
        """Return the square of `number`."""
        reply: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._questions.put((number, reply), timeout=WAIT)
        self.asked.append(number)
        return reply.get(timeout=WAIT)

    def state(self) -> State:
        """How many were asked, how many were answered, and how many are in the queue."""
        return {
            "asked": len(self.asked),
            "answered": len(self.answered),
            "waiting": self._questions.qsize(),
        }

    def is_consistent(self) -> bool:
        """Whether no question was lost, or is in the hands of somebody who stands still."""
        now = self.state()
        return now["asked"] == now["answered"] + now["waiting"]

    def _answer(self) -> None:
        while True:
            number, reply = self._questions.get()
            self.answered.append(number)
            reply.put(number * number)
            self._questions.task_done()


class Vault:
    """Two halves that agree while nobody has the lock: who changes them waits in the middle."""

    def __init__(self) -> None:
        self.left = self.right = 0
        self.lock = threading.Lock()

    def move(self) -> None:
        """Change both."""
        with self.lock:
            self.left += 1
            time.sleep(0.002)
            self.right += 1

    def state(self) -> State:
        """Both halves."""
        return {"left": self.left, "right": self.right}


class Application:
    """What a server calls for each request. Each answer says to which request it belongs."""

    def __init__(self) -> None:
        self.bank = Bank()
        self.desk = Desk()
        self.vault = Vault()
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.called = threading.Event()
        self._pool = ThreadPoolExecutor(3, "application")
        self._routes: dict[str, Callable[[int, bytes], object]] = {
            "/transfer": lambda number, body: self.bank.transfer(),
            "/sleep": lambda number, body: time.sleep(number % 20 / 1000),
            "/vault": lambda number, body: self.vault.move(),
            "/desk": lambda number, body: self.desk.ask(number),
            "/pool": lambda number, body: self._pool.submit(self._work, number).result(WAIT),
            "/deposit": lambda number, body: self.bank.deposit(len(body)),
            "/large": lambda number, body: None,
        }

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.begun.append(path)
        self.called.set()
        try:
            number = int(parse_qs(environ["QUERY_STRING"])["number"][0])
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            result = self._routes[path](number, body)
            digest = hashlib.sha256(body).hexdigest()
            answer = {"path": path, "number": number, "result": result, "digest": digest}
            return _respond(start_response, answer, LARGE if path == "/large" else b"")
        finally:
            self.ended.append(path)

    @property
    def in_flight(self) -> int:
        """How many requests have begun and not ended. Right while all threads stand still."""
        return len(self.begun) - len(self.ended)

    def state(self) -> State:
        """Everything that moves, as numbers."""
        requests = {"begun": len(self.begun), "ended": len(self.ended)}
        return requests | self.bank.state() | self.desk.state() | self.vault.state()

    def _work(self, number: int) -> int:
        """What a thread of the pool does."""
        self.bank.transfer()
        time.sleep(number % 3 / 1000)
        return self.desk.ask(number)


def _respond(start_response: StartResponse, answer: dict[str, object], rest: bytes) -> list[bytes]:
    """The answer in a line, and then the rest."""
    line = json.dumps(answer).encode() + b"\n"
    length = str(len(line) + len(rest))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", length)])
    return [line, rest]
