"""What the programs with a web server share: its clients, and a server that says paths back."""

from __future__ import annotations

import http.server
import socketserver
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager


def ask_all(port: int, requests: int = 25, clients: int = 3) -> str:
    """Have several threads ask the server there, each for paths of its own; return what came."""
    answers: list[bytes] = []

    def ask(client: int) -> None:
        for number in range(requests):
            url = f"http://127.0.0.1:{port}/{client}/{number}"
            with urllib.request.urlopen(url, timeout=60) as answer:
                answers.append(answer.read())

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return f"answers {len(answers)} different {len(set(answers))}"


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """In a thread of its own, until the end of the block."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers each request with its path."""

    def do_GET(self) -> None:
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
