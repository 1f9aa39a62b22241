"""A program that has never heard of freezing: a pipeline, a pool, two servers, and child processes.

It can be asked for what it has done so far, which agrees whenever nobody is in the middle of it.
"""

from __future__ import annotations

import http.server
import queue
import socket
import socketserver
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Program:
    """Runs from `start()` to `finish()`, which raises what went wrong."""

    def __init__(self) -> None:
        self.inbox: queue.Queue[int] = queue.Queue(5)
        self.outbox: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.counts: dict[str, int] = {}
        self.accounts = [500, 500]
        self.errors: list[BaseException] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(3)
        self._web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self._echo = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
        self._threads: list[threading.Thread] = []
        self._servers = [
            threading.Thread(target=server.serve_forever, args=(0.01,))
            for server in (self._web, self._echo)
        ]

    def start(self) -> None:
        for step in (self._produce, self._work, self._collect, self._transfer, self._get):
            for number in range(2):
                self._threads.append(self._loop(f"{step.__name__} {number}", step))
        for step in (self._call, self._run_child, self._tick):
            self._threads.append(self._loop(f"{step.__name__} 0", step))
        for thread in (*self._servers, *self._threads):
            thread.start()

    def finish(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)
        for server in (self._web, self._echo):
            server.shutdown()
            server.server_close()
        for thread in self._servers:
            thread.join(10)
        assert not any(thread.is_alive() for thread in (*self._servers, *self._threads))
        self._pool.shutdown()
        if self.errors:
            raise self.errors[0]

    def problems(self) -> list[str]:
        """What does not agree."""
        produced, collected = self._total("_produce"), self._total("_collect")
        under_way = self.inbox.qsize() + self.outbox.qsize()
        found = []
        if produced != collected + under_way:
            found.append(
                f"{produced} were produced; {collected} arrived, {under_way} are under way"
            )
        if sum(self.accounts) != 1000:
            found.append(f"the accounts have {self.accounts}")
        return found

    def _total(self, step: str) -> int:
        return sum(n for name, n in list(self.counts.items()) if name.startswith(step))

    def _loop(self, name: str, step: Callable[[], bool]) -> threading.Thread:
        def work() -> None:
            try:
                while not self._over.is_set():
                    if step():
                        self.counts[name] += 1
            except BaseException as error:  # noqa: BLE001 - finish() raises it
                self.errors.append(error)

        self.counts[name] = 0
        return threading.Thread(target=work, name=name)

    def _produce(self) -> bool:
        try:
            self.inbox.put(1, timeout=0.1)
        except queue.Full:
            return False
        return True

    def _work(self) -> bool:
        try:
            self.outbox.put(self.inbox.get(timeout=0.1))
        except queue.Empty:
            return False
        return True

    def _collect(self) -> bool:
        try:
            self.outbox.get(timeout=0.1)
        except queue.Empty:
            return False
        return True

    def _transfer(self) -> bool:
        self._pool.submit(self._move, 1).result(10)
        return True

    def _move(self, amount: int) -> None:
        with self._lock:
            self.accounts[0] -= amount
            self.accounts[1] += amount

    def _get(self) -> bool:
        url = f"http://127.0.0.1:{self._web.server_address[1]}/"
        with urllib.request.urlopen(url, timeout=10) as response:
            assert response.read() == b"hello"
        return True

    def _call(self) -> bool:
        address = ("127.0.0.1", self._echo.server_address[1])
        with (
            socket.create_connection(address, 10) as connection,
            connection.makefile("rwb") as file,
        ):
            file.write(b"hello\n")
            file.flush()
            assert file.readline() == b"hello\n"
        return True

    def _run_child(self) -> bool:
        return subprocess.run(["true"], check=True, timeout=10).returncode == 0

    def _tick(self) -> bool:
        timer = threading.Timer(0.001, int)
        timer.start()
        timer.join()
        time.sleep(0.001)
        return True

    def _make_handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        served = self.counts
        served["served"] = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served["served"] += 1
                self.send_response(200)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"hello")

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


class Echo(socketserver.StreamRequestHandler):
    """Answers each line with itself."""

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)
