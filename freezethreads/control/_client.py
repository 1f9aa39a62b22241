"""The other side: a connection to a process that serves, for the command line and for tools."""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_STREAM
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from freezethreads._ground.deadline import check_seconds
from freezethreads._ground.living import Living
from freezethreads._ground.original import TIMEOUT_MAX, RLock, getpid
from freezethreads._ground.unique import Given
from freezethreads.control._channel import LONGEST_WAIT, Channel, Socket, answers
from freezethreads.control._errors import (
    ControlError,
    FreezeFailed,
    NoAnswer,
    NotPermitted,
    ProcessEnded,
    RequestRefused,
)
from freezethreads.control._paths import find_sockets, sockets_of
from freezethreads.control._peer import peer_of
from freezethreads.control._processes import ends, exists, explain, is_suspended, owner_of
from freezethreads.control._protocol import LONGEST_ANSWER, ProtocolError, encode
from freezethreads.control._spoken import answer_of

__all__ = ["Client", "connect", "find_processes"]

_PATIENCE: Final = 10.0  # seconds until an answer has to come, on top of what was asked for
_FAILED: Final = ("timeout", "freeze")  # kinds of errors


# A fork waits while a socket is opened, so that the child knows of it, and does not keep it: the
# server would wait for that one's end as well. Acquired again by a signal handler that forks.
_lock = RLock()
_channels: Living[Channel] = Living()


class Client(Given):
    """A connection to one process. By one thread at a time; a context manager, which closes it.

    What it has frozen without ``keep=True`` is thawed when it is closed, or its process ends. In a
    child that its process forks it is of no use, and keeps nothing frozen. (One that is forked by
    C, of which Python does not know, has the connection as well: what is frozen is thawed when both
    have ended, or by the end of the lease.)
    ``hello`` is what the process said of itself at first.
    """

    _IS = "one end of a connection"
    _WRITE = "with freezethreads.control.connect(pid) as client:"

    def __init__(self, pid: int, channel: Channel, patience: float) -> None:
        self.pid = pid
        self._channel = channel
        self._patience = patience
        self._owner = getpid()
        self._closed = False
        self.hello: dict[str, Any] = self.request("hello")

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<Client of process {self.pid}, {state}>"

    def request(self, name: str, **arguments: object) -> dict[str, Any]:
        """Ask for something, and return the result. The requests are in the reference.

        An argument of None is left out. Waits for the answer for the client's patience, in seconds,
        and as much longer as an argument ``timeout`` says. Raises `FreezeFailed`; `RequestRefused`;
        `ProcessEnded`; `NoAnswer`, or `ControlError` for an answer that is none to this request,
        and the connection is of no use any more then; `ControlError` in the child of a fork, or
        after `close()`; TypeError for a `name` that is no string, and TypeError or ValueError for
        what is not JSON: then nothing was sent.
        """
        if not isinstance(name, str):
            raise TypeError(f"name must be that of a request, such as 'threads', not {name!r}")
        if self._closed:
            raise ControlError(
                f"this connection to process {self.pid} is closed: connect() again, and ask inside "
                "of its `with` block"
            )
        if getpid() != self._owner:
            raise ControlError(
                f"this connection is that of process {self._owner}, which has forked this one: "
                "connect() again here"
            )
        given = {key: value for key, value in arguments.items() if value is not None}
        line = encode({"request": name, "arguments": given})
        patience = self._patience
        if isinstance(timeout := given.get("timeout"), (int, float)):
            patience += min(max(timeout, 0), TIMEOUT_MAX)
        try:
            self._send(line)
            message = self._channel.receive(LONGEST_ANSWER, patience, patience)
            if message is None:
                raise self._ended()
            result, error = answer_of(name, message)
        except TimeoutError:
            raise NoAnswer(
                f"process {self.pid} did not answer within {patience:g} s: {self._why_silent()}"
            ) from None
        except ProtocolError as error_of_theirs:
            if ends(self.pid):
                raise self._ended() from None
            raise ControlError(
                f"process {self.pid} said what cannot be understood: {error_of_theirs}"
            ) from error_of_theirs
        except OSError:
            raise self._ended() from None
        if result is None:
            raise self._refused(error)
        return result

    def _send(self, line: bytes) -> None:
        try:
            self._channel.send(line, self._patience)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has closed, and may have said why

    def _why_silent(self) -> str:
        if is_suspended(self.pid):
            return f"a signal or a debugger has stopped it, and `kill -CONT {self.pid}` may help"
        return "it was stopped, or is in a call that keeps all its threads from running"

    def _ended(self) -> ProcessEnded:
        how = "ended" if ends(self.pid) else "ceased to serve"
        return ProcessEnded(f"process {self.pid} {how} in the middle of this")

    def _refused(self, error: dict[str, Any]) -> RequestRefused:
        kind = error.pop("kind")
        message = f"process {self.pid}: {error.pop('message')}"
        made = FreezeFailed if kind in _FAILED else RequestRefused
        return made(message, kind, error)

    def close(self) -> None:
        """End the connection, unless it is the parent's of a fork. May be repeated."""
        self._closed = True
        if getpid() != self._owner:
            self._channel.forget()
        else:
            self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def connect(pid: int, *, patience: float | None = _PATIENCE) -> Client:
    """Connect to a process of this user (root: of any user) that serves. From any thread.

    `patience` is how many seconds each answer may take (None: as many as it takes). Raises
    `NoSuchProcess`, `ProcessKilled`, `NotPermitted`, `NotPython`, `NotServing`, `NoAnswer`,
    `ProcessEnded`, `RequestRefused`; TypeError or ValueError for a wrong argument, before anybody
    was asked.
    """
    if isinstance(pid, bool) or not isinstance(pid, int):
        raise TypeError(f"pid must be the number of a process, not {pid!r}")
    wanted = check_seconds("patience", patience, positive=True)
    patience = LONGEST_WAIT if wanted is None else min(wanted, LONGEST_WAIT)
    owner = owner_of(pid)
    # In its own user's directory, or in this one's: it was root's when it began to serve.
    uids = dict.fromkeys((owner, os.geteuid()))
    paths = {path: uid for uid in uids for path in sockets_of(pid, uid)}
    for path, uid in paths.items():
        channel = _open(pid, path, uid, patience)
        if channel is not None:
            try:
                return Client(pid, channel, patience)
            except BaseException:
                channel.close()
                raise
    raise explain(pid, left_a_socket=bool(paths))


def _open(pid: int, path: Path, owner: int, patience: float) -> Channel | None:
    """Connect to a socket in the directory of that user; None if nobody listens there any more.

    Who answers has to be that user: what is in the directory may lead to anybody's socket, root's
    as well, and nothing is said to those.
    """
    channel = _make_channel()
    socket = channel.socket
    try:
        socket.settimeout(patience)
        socket.connect(os.fspath(path))
        server = peer_of(socket)
        if server is not None and server.uid != owner:
            raise NotPermitted(
                f"{path} is in a directory of user {owner}, and is answered by user {server.uid}: "
                f"nothing was said to that one, who need not be process {pid}"
            )
        return channel
    except (ConnectionRefusedError, FileNotFoundError):
        pass
    except (TimeoutError, BlockingIOError):  # the latter at once, if too many wait already
        raise NoAnswer(f"process {pid} takes no more clients now") from None
    except BaseException:
        socket.close()
        raise
    socket.close()
    return None


def _make_channel() -> Channel:
    """One that is not connected yet, and that a child of a fork does not keep."""
    with _lock:
        channel = Channel(Socket(AF_UNIX, SOCK_STREAM))
        _channels.add(channel)
    return channel


def _after_fork_in_child() -> None:
    for channel in _channels:
        channel.forget()
    _channels.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_after_fork_in_child
    )


def find_processes() -> list[int]:
    """The processes of this user that have a socket, in order. What killed ones left is removed.

    From any thread.
    """
    found = []
    for pid, path in find_sockets(os.geteuid()):
        if exists(pid) or answers(path):
            found.append(pid)
        else:
            with suppress(OSError):  # it has gone meanwhile, or stays, and is found stale again
                path.unlink()
    return sorted(set(found))
