# /// script
# dependencies = ["flask"]
# ///
"""Flask, behind the server of werkzeug."""

from __future__ import annotations

import logging
import threading
import urllib.request

import flask
import werkzeug.serving

REQUESTS, CLIENTS = 25, 3
answers: list[bytes] = []
app = flask.Flask(__name__)
logging.getLogger("werkzeug").setLevel(logging.ERROR)


@app.get("/<int:client>/<int:number>")
def product(client: int, number: int) -> dict[str, int]:
    return {"client": client, "number": number}


server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
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
