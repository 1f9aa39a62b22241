# /// script
# dependencies = ["uvicorn"]
# ///
"""uvicorn on the event loop of asyncio, in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
import urllib.request
from typing import Any

import uvicorn

REQUESTS, CLIENTS = 25, 3
answers: list[bytes] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    body = await asyncio.to_thread(scope["path"].encode)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
config = uvicorn.Config(app, loop="asyncio", lifespan="off", log_level="error")
server = uvicorn.Server(config)
serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
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
server.should_exit = True
serving.join()
print("answers", len(answers), "different", len(set(answers)))
