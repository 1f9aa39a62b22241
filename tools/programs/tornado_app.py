# /// script
# dependencies = ["tornado"]
# ///
"""Tornado: its server and its pool, in a thread."""

from __future__ import annotations

import asyncio
import threading

import tornado.httpserver
import tornado.ioloop
import tornado.netutil
import tornado.web
from _web import ask_all

(listener,) = tornado.netutil.bind_sockets(0, "127.0.0.1")
port = listener.getsockname()[1]
over = asyncio.Event()
loops: list[tornado.ioloop.IOLoop] = []


class Handler(tornado.web.RequestHandler):
    async def get(self) -> None:
        path = self.request.path
        self.write(await tornado.ioloop.IOLoop.current().run_in_executor(None, path.upper))


async def run() -> None:
    loops.append(tornado.ioloop.IOLoop.current())
    server = tornado.httpserver.HTTPServer(tornado.web.Application([("/.*", Handler)]))
    server.add_sockets([listener])
    await over.wait()
    server.stop()
    await server.close_all_connections()


serving = threading.Thread(target=lambda: asyncio.run(run()))
serving.start()

answers = ask_all(port)
loops[0].add_callback(over.set)
serving.join()
print(answers)
