"""One server a process, for all freezers that are served.

One lock orders beginning and ending: a fork waits for it, so that no child finds half a server. It
can be acquired again by its owner, for a signal handler that forks.
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from freezethreads import FreezeError, Freezer
from freezethreads._ground.original import RLock
from freezethreads._ground.unique import Given
from freezethreads._report.ended import forget_ended, note_ended
from freezethreads.control._client import find_processes
from freezethreads.control._paths import make_directory
from freezethreads.control._server import Server

__all__ = ["Serving", "clients", "is_serving", "serve"]

_lock = RLock()
_server: Server | None = None  # guarded by the lock, as what follows
_servings: dict[Serving, None] = {}


class Serving(Given):
    """That a freezer is served: got from `Freezer.serve`. A context manager, which closes it."""

    _IS = "the hold on one server of this process"
    _WRITE = "with freezethreads.serve():"

    def __init__(self, freezer: Freezer, path: Path) -> None:
        self.freezer = freezer
        self.path = path
        """The control socket, which is there until the last of a process's servings is closed."""

    def __repr__(self) -> str:
        state = "open" if self in _servings else "closed"
        return f"<Serving of {self.freezer!r} on {self.path}, {state}>"

    def close(self) -> None:
        """Serve this freezer no more, unless `serve()` was called for it once more than this.

        What was frozen from outside is thawed with the last serving of the process. From any
        thread; may be repeated. A serving that is not closed ends with the process.
        """
        with _lock:
            _servings.pop(self, None)
            forget_ended(self)
            if not _servings:
                _stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def serve(freezer: Freezer) -> Serving:
    """What `Freezer.serve` does, and says. Raises TypeError if `freezer` is none."""
    global _server
    if not isinstance(freezer, Freezer):
        raise TypeError(f"freezer must be a freezethreads.Freezer, not {freezer!r}")
    with _lock:
        other = _freezers().get(freezer.name, freezer)
        if other is not freezer:
            raise FreezeError(
                f"another freezer of the name {freezer.name!r} is served by this process: who "
                "talks to one names it, so give them names of their own"
            )
        if _server is None:
            _server = _start()
        serving = Serving(freezer, _server.path)
        _servings[serving] = None
        note_ended(serving)
        return serving


def is_serving() -> bool:
    """Whether this process serves any freezer. From any thread."""
    return bool(_servings)


def clients() -> int:
    """How many clients are connected to this process. From any thread."""
    with _lock:
        return 0 if _server is None else len(_server._clients)


def _freezers() -> dict[str, Freezer]:
    """The freezers that are served, by name. From any thread."""
    return {serving.freezer.name: serving.freezer for serving in list(_servings)}


def _start() -> Server:
    """Called with the lock held."""
    path = make_directory() / f"{os.getpid()}.sock"
    try:
        find_processes()  # which removes the sockets of the dead: they would become ever more
        try:
            server = Server(path, _freezers)
        except FileNotFoundError:  # somebody who was attached to has removed it, since it was empty
            server = Server(make_directory() / path.name, _freezers)
    except OSError as error:
        raise FreezeError(f"no control socket: {path}: {error.strerror or error}") from error
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


@atexit.register
def _stop() -> None:
    global _server
    with _lock:
        server, _server = _server, None
        _forget()
    if server is not None:
        server.close()


def _forget() -> None:
    """No freezer is served any more. Called with the lock held."""
    for serving in [*_servings]:
        forget_ended(serving)
    _servings.clear()


def _after_fork_in_child() -> None:
    global _server
    server, _server = _server, None
    _forget()
    _lock.release()
    if server is not None:
        server.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_after_fork_in_child
    )
