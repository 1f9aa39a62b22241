# /// script
# dependencies = ["flask"]
# ///
"""Flask, behind the server of werkzeug."""

from __future__ import annotations

import logging

import flask
import werkzeug.serving
from _web import ask_all, serving

app = flask.Flask(__name__)
logging.getLogger("werkzeug").setLevel(logging.ERROR)


@app.get("/<int:client>/<int:number>")
def product(client: int, number: int) -> dict[str, int]:
    return {"client": client, "number": number}


server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
with serving(server):
    answers = ask_all(server.server_port)
print(answers)
