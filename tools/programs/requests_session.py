# /// script
# dependencies = ["requests"]
# ///
"""requests: a session for each thread, with its pool of connections."""

from __future__ import annotations

import http.server
import threading

import requests

REQUESTS, CLIENTS = 40, 3
answers: list[str] = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
serving = threading.Thread(target=server.serve_forever)
serving.start()


def ask(client: int) -> None:
    with requests.Session() as session:
        for number in range(REQUESTS):
            url = f"http://127.0.0.1:{server.server_port}/{client}/{number}"
            answers.append(session.get(url, timeout=60).text)


clients = [threading.Thread(target=ask, args=(client,)) for client in range(CLIENTS)]
for thread in clients:
    thread.start()
for thread in clients:
    thread.join()
server.shutdown()
serving.join()
server.server_close()
print("answers", len(answers), "different", len(set(answers)))
