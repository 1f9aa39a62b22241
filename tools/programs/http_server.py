"""http.server with a thread for each request, under load."""

from __future__ import annotations

import http.server
import threading
import urllib.request

REQUESTS, CLIENTS = 30, 3
answers: list[bytes] = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
port = server.server_port
serving = threading.Thread(target=server.serve_forever)
serving.start()


def ask(client: int) -> None:
    for number in range(REQUESTS):
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/{client}/{number}", timeout=60
        ) as answer:
            answers.append(answer.read())


clients = [threading.Thread(target=ask, args=(client,)) for client in range(CLIENTS)]
for thread in clients:
    thread.start()
for thread in clients:
    thread.join()
server.shutdown()
serving.join()
server.server_close()
print("answers", len(answers), "different", len(set(answers)))
