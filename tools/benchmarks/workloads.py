"""Whole programs that know nothing of freezethreads, for `programs` to time.

``python tools/benchmarks/workloads.py`` reads lines of a name and a number from its input: it has
that program do so many operations, and prints the seconds that it took.
"""

from __future__ import annotations

import http.client
import http.server
import io
import logging
import queue
import selectors
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

# Without a certificate: anybody may listen in, which is nobody.
_CIPHERS = "AECDH-AES256-SHA:@SECLEVEL=0"


def _run(*calls: Callable[[], object]) -> None:
    """Each in a thread of its own, until all are through."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _times(count: int, call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            call()

    return run


def queue_of_eight(count: int) -> None:
    """Four threads put, and four get."""
    items: queue.Queue[int] = queue.Queue(100)
    each = count // 4
    _run(*4 * [_times(each, lambda: items.put(1))], *4 * [_times(each, items.get)])


def simple_queue(count: int) -> None:
    """Two threads put, and two get."""
    items: queue.SimpleQueue[int] = queue.SimpleQueue()
    each = count // 2
    _run(*2 * [_times(each, lambda: items.put(1))], *2 * [_times(each, items.get)])


def _with(lock: Any) -> Callable[[], None]:
    def step() -> None:
        with lock:
            pass

    return step


def lock_loop(count: int) -> None:
    """Four threads acquire one lock."""
    _run(*4 * [_times(count // 4, _with(threading.Lock()))])


def rlock_loop(count: int) -> None:
    """The same with an RLock."""
    _run(*4 * [_times(count // 4, _with(threading.RLock()))])


def event_ping_pong(count: int) -> None:
    """Two threads set each other's event."""
    ping, pong = threading.Event(), threading.Event()

    def player(own: threading.Event, other: threading.Event) -> Callable[[], None]:
        def step() -> None:
            own.wait()
            own.clear()
            other.set()

        return step

    ping.set()
    _run(_times(count // 2, player(ping, pong)), _times(count // 2, player(pong, ping)))


def condition(count: int) -> None:
    """Two threads take turns."""
    changed, turn = threading.Condition(), [0]

    def player(number: int) -> Callable[[], None]:
        def step() -> None:
            with changed:
                changed.wait_for(lambda: turn[0] == number)
                turn[0] = 1 - number
                changed.notify()

        return step

    _run(*[_times(count // 2, player(number)) for number in (0, 1)])


def pool(count: int) -> None:
    """Tasks that do nothing, and their results."""
    with ThreadPoolExecutor(4) as executor:
        for future in [executor.submit(int) for _ in range(count)]:
            future.result()


@contextmanager
def _socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def _echo(connection: socket.socket) -> Callable[[], None]:
    return lambda: connection.sendall(connection.recv(1))


def _ask(connection: socket.socket) -> Callable[[], None]:
    def step() -> None:
        connection.sendall(b".")
        connection.recv(1)

    return step


def sockets(count: int) -> None:
    """Four threads echo what four others send, a byte at a time."""
    with ExitStack() as stack:
        pairs = [stack.enter_context(_socket_pair()) for _ in range(4)]
        each = count // 4
        calls = [(_times(each, _ask(one)), _times(each, _echo(other))) for one, other in pairs]
        _run(*[call for pair in calls for call in pair])


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # The head and the body in one piece: else each answer waits for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        pass


def http_server(count: int) -> None:
    """`http.server` with a thread for each of four clients, who keep their connections."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()

        def client() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
            for _ in range(count // 4):
                connection.request("GET", "/")
                connection.getresponse().read()
            connection.close()

        _run(*4 * [client])
        server.shutdown()
        serving.join()


def logs(count: int) -> None:
    """Six threads log to one stream."""
    logger = logging.Logger("workload")
    logger.addHandler(logging.StreamHandler(io.StringIO()))
    _run(*6 * [_times(count // 6, lambda: logger.info("%s is %d", "it", 1))])


def select_loop(count: int) -> None:
    """A loop over selectors echoes what two threads send."""
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        pairs = [stack.enter_context(_socket_pair()) for _ in range(2)]
        for _, other in pairs:
            selector.register(other, selectors.EVENT_READ)

        def serve() -> None:
            for _ in range(count // 2 * 2):
                if not left:
                    left.extend(key.fileobj for key, _ in selector.select())
                connection: Any = left.pop()
                connection.sendall(connection.recv(1))

        left: list[Any] = []
        _run(serve, *[_times(count // 2, _ask(one)) for one, _ in pairs])


def tls(count: int) -> None:
    """One thread echoes what another sends, with TLS."""
    contexts = [ssl.SSLContext(each) for each in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)]
    for context in contexts:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
    serving, asking = contexts
    asking.check_hostname = False
    asking.verify_mode = ssl.CERT_NONE
    with _socket_pair() as (one, other):

        def serve() -> None:
            with serving.wrap_socket(other, server_side=True) as connection:
                _times(count, _echo(connection))()

        def ask() -> None:
            with asking.wrap_socket(one) as connection:
                _times(count, _ask(connection))()

        _run(serve, ask)


def pipes(count: int) -> None:
    """Two threads, each with a child that sends back every line."""

    def talk() -> None:
        command = [
            sys.executable,
            "-S",
            "-c",
            "for line in open(0): print(line, end='', flush=True)",
        ]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            for _ in range(count // 2):
                child.stdin.write(b"a line\n")
                child.stdout.readline()
            child.stdin.close()

    _run(talk, talk)


WORKLOADS: dict[str, tuple[Callable[[int], None], int]] = {
    "queue, 4 and 4 threads": (queue_of_eight, 40_000),
    "SimpleQueue, 2 and 2 threads": (simple_queue, 800_000),
    "lock loop, 4 threads": (lock_loop, 500_000),
    "RLock loop, 4 threads": (rlock_loop, 500_000),
    "Event ping-pong": (event_ping_pong, 20_000),
    "Condition, 2 threads": (condition, 20_000),
    "pool of tiny tasks": (pool, 10_000),
    "socket echo, 8 threads": (sockets, 20_000),
    "http.server, 4 clients": (http_server, 1_000),
    "logging, 6 threads": (logs, 12_000),
    "selectors, 2 clients": (select_loop, 20_000),
    "TLS echo": (tls, 8_000),
    "pipes of 2 children": (pipes, 8_000),
}
"""Each program, and how many operations take it a fifth of a second or so."""


def main(arguments: Sequence[str]) -> int:
    """Do what the lines of the input say, until it ends."""
    assert not arguments
    for line in sys.stdin:
        name, _, count = line.strip().rpartition(" ")
        workload, _ = WORKLOADS[name]
        began = time.perf_counter()
        workload(int(count))
        print(time.perf_counter() - began, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
