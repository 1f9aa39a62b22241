"""A process that serves the application: `servers_main.py SERVER`. It prints its port."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

from servers_start import THREADS, announce, prepare

if TYPE_CHECKING:
    from servers_app import Application

SILENCE = 60
"""Seconds that a client may be silent, which one of ours is as long as the load lasts."""


class Handler(BaseHTTPRequestHandler):
    """Has the application answer."""

    application: ClassVar[Application]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        environ = {
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": self.headers.get("Content-Length"),
            "wsgi.input": self.rfile,
        }
        for chunk in self.application(environ, self._start_response):
            self.wfile.write(chunk)

    do_POST = do_GET

    def _start_response(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()


def serve_with_http_server(application: Application) -> None:
    """A thread for each connection."""
    Handler.application = application
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        announce(server.server_port)
        server.serve_forever()


def serve_with_waitress(application: Application, **options: bool) -> None:
    """A thread for all the sockets, and others that take a request each."""
    from waitress import create_server  # type: ignore[import-untyped]

    server = create_server(application, host="127.0.0.1", port=0, threads=THREADS, **options)
    announce(server.effective_port)
    server.run()


def serve_with_waitress_by_poll(application: Application) -> None:
    """The same, whose thread for the sockets waits in an object that `select.poll()` made."""
    serve_with_waitress(application, asyncore_use_poll=True)


def serve_with_cheroot(application: Application) -> None:
    """A thread that waits for all who are silent, and others that take a connection each."""
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", 0), application, numthreads=THREADS, timeout=SILENCE)
    server.prepare()
    announce(server.bind_addr[1])
    try:
        server.serve()
    finally:
        server.stop()


SERVERS: dict[str, Callable[[Application], None]] = {
    "http.server": serve_with_http_server,
    "waitress": serve_with_waitress,
    "waitress by poll": serve_with_waitress_by_poll,
    "cheroot": serve_with_cheroot,
}


def end(*_: object) -> None:
    """What a signal to end does."""
    raise SystemExit


def main(name: str) -> None:
    """Serve until told to end."""
    signal.signal(signal.SIGTERM, end)
    prepare()
    from servers_app import Application
    from servers_controller import Controller

    application = Application()
    Controller(application).start()
    SERVERS[name](application)


if __name__ == "__main__":
    main(sys.argv[1])
