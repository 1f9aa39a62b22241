"""gunicorn's settings. Each of its processes, which it forks, has a controller of its own."""

from __future__ import annotations

from typing import Any

from servers_start import THREADS, announce, prepare

bind = "127.0.0.1:0"
worker_class = "gthread"
threads = THREADS
control_socket_disable = True  # it would be a file in the user's own folders


def when_ready(arbiter: Any) -> None:
    """In the process that forks the others."""
    announce(arbiter.LISTENERS[0].sock.getsockname()[1])


def post_fork(arbiter: Any, worker: Any) -> None:
    """In each that was forked, before it imports the application."""
    prepare()


def post_worker_init(worker: Any) -> None:
    """In each that was forked, when it has."""
    from servers_controller import Controller

    Controller(worker.wsgi).start()
