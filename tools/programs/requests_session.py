# /// script
# dependencies = ["requests"]
# ///
"""requests: a session for each thread, with its pool of connections."""

from __future__ import annotations

import http.server
import threading

import requests
from _web import Echo, serving

REQUESTS, CLIENTS = 40, 3
answers: list[str] = []


class Handler(Echo):
    protocol_version = "HTTP/1.1"


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True


def ask(client: int) -> None:
    with requests.Session() as session:
        for number in range(REQUESTS):
            url = f"http://127.0.0.1:{server.server_port}/{client}/{number}"
            answers.append(session.get(url, timeout=60).text)


clients = [threading.Thread(target=ask, args=(client,)) for client in range(CLIENTS)]
with serving(server):
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
print("answers", len(answers), "different", len(set(answers)))
