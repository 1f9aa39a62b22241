"""What the programs with uvicorn share."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any, Literal

import uvicorn
from _web import ask_all


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers each request with its path, with which a thread has to do."""
    body = await asyncio.to_thread(scope["path"].encode)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


def run(loop: Literal["asyncio", "uvloop"]) -> None:
    """Serve on that loop, in a thread, and ask it."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, loop=loop, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    serving.start()
    answers = ask_all(listener.getsockname()[1])
    server.should_exit = True
    serving.join()
    print(answers)
