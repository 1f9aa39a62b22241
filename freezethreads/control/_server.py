"""The server: one thread that waits for clients, and one for each client while it is connected.

What it holds to, whatever a client does:

* Its threads are no part of the program: nobody enrols them and nothing stops them, and they wait
  in the sockets of C (see `_channel`), so an installation changes nothing for them.
* Until somebody connects, it is one thread in one `accept()`, without a time-out.
* A client costs a thread, and there are at most `MOST_CLIENTS`. It has a time for each line, and a
  longest line; whoever is slower, longer, or says what is no request is told so and dropped.
* Who is not this user or root is dropped before a byte is read.
* What a client holds ends with its connection, but for a hold that it asked to be kept.
"""

from __future__ import annotations

import os
from _socket import AF_UNIX, SHUT_RDWR, SOCK_STREAM
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from freezethreads import FreezeError, Freezer
from freezethreads._ground.errors import starting_thread
from freezethreads._ground.original import OwnThread, getpid, sleep
from freezethreads.control._channel import Channel, Socket, answers
from freezethreads.control._errors import RequestError
from freezethreads.control._holds import Holds
from freezethreads.control._log import logger
from freezethreads.control._peer import Peer, is_trusted, peer_of
from freezethreads.control._protocol import (
    LONGEST_ANSWER,
    LONGEST_REQUEST,
    MOST_VALUES,
    Message,
    ProtocolError,
    check_extent,
    encode,
    request_of,
)
from freezethreads.control._requests import call
from freezethreads.control._session import Session, SessionOver

__all__ = ["IDLE", "MOST_CLIENTS", "Server"]

MOST_CLIENTS: Final = 8
IDLE: Final = 60.0
"""Seconds that a client may say nothing."""
_BACKLOG: Final = 64  # clients that wait to be let in; more are turned away by the system
_SLOW = 5.0  # seconds that a line may take, in either direction
_PAUSE = 0.5  # seconds, when the process has no file descriptor or thread left for a client


class Server:
    """One process's control socket. It is there from the start, and answers from `start()` on.

    `freezers` tells which freezers are served now. Raises OSError, and `FreezeError` if somebody
    answers on that path.
    """

    def __init__(self, path: Path, freezers: Callable[[], Mapping[str, Freezer]]) -> None:
        self.path = path
        self._freezers = freezers
        self._holds = Holds()
        self._pid = getpid()
        self._closing = False
        self._clients: dict[Channel, None] = {}
        self._listener = Socket(AF_UNIX, SOCK_STREAM)
        try:
            self._listener.settimeout(None)  # whatever socket.setdefaulttimeout() says
            self._bind()
        except BaseException:
            self._listener.close()
            raise

    def _bind(self) -> None:
        """Take the path. A socket that is there is a killed process's, which had this number."""
        if answers(self.path):
            raise FreezeError(
                f"{self.path} is served already, by a process that has the same number as this "
                "one, perhaps in another container"
            )
        self.path.unlink(missing_ok=True)
        self._listener.bind(os.fspath(self.path))
        os.chmod(self.path, 0o600)  # nobody else could enter its directory meanwhile
        self._listener.listen(_BACKLOG)

    def start(self) -> None:
        """Begin to answer. Raises `FreezeError` if no thread can be started."""
        with starting_thread("serve()"):
            OwnThread(target=self._listen, name="freezethreads-control", daemon=True).start()

    def close(self) -> None:
        """Remove the socket, drop all clients and thaw what they hold. From any thread; does not
        wait for them. May be repeated; does nothing in the child of a fork.

        That the socket cannot be removed, by who is not its user any more, say, is logged.
        """
        if self._closing or self._pid != getpid():
            return
        self._closing = True
        try:
            self._listener.shutdown(SHUT_RDWR)
        except OSError:
            answers(self.path)  # not every system wakes by a shutdown who accepts
        problem = self._remove()
        for channel in list(self._clients):
            channel.end()
        for key in self._holds.of(None):
            self._holds.thaw(key)
        if problem is not None:  # only now: a frozen thread may have the lock of what is logged to
            logger.warning("the control socket is left behind: %s", problem)

    def _remove(self) -> OSError | None:
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            return error
        return None

    def forget(self) -> None:
        """In the child of a fork: close what is the parent's, and leave it alone."""
        self._closing = True
        self._listener.close()
        for channel in self._clients:
            channel.forget()

    def _listen(self) -> None:
        while not self._closing:
            try:
                descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]
                self._admit(Channel(Socket(fileno=descriptor)))
            except (OSError, RuntimeError, MemoryError):
                if not self._closing:  # there is no room for one more now
                    sleep(_PAUSE)
        self._listener.close()

    def _admit(self, channel: Channel) -> None:
        """Start a client's thread, if it may come in."""
        try:
            peer = peer_of(channel.socket)
            if peer is None or not is_trusted(peer):
                refuse(channel, "permission", "only the same user and root may talk to a process")
            elif len(self._clients) >= MOST_CLIENTS:
                refuse(channel, "busy", f"{MOST_CLIENTS} clients are connected already")
            else:
                self._clients[channel] = None
                name = f"freezethreads-control-for-{peer.pid or 'client'}"
                OwnThread(target=self._attend, args=(channel, peer), name=name, daemon=True).start()
                return
        except BaseException:
            self._drop(channel)
            raise
        self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        self._clients.pop(channel, None)
        channel.close()

    def _attend(self, channel: Channel, peer: Peer) -> None:
        """In a client's thread, from its first request to its last."""
        session = Session(self._freezers, self._holds, peer, channel.is_closed)
        try:
            while not self._closing:
                message = channel.receive(LONGEST_REQUEST, IDLE, _SLOW)
                if message is None:
                    break
                channel.send(answer(session, message), _SLOW)
                session.answered()
        except ProtocolError as error:
            refuse(channel, "protocol", str(error))
        except TimeoutError:
            refuse(channel, "slow", f"nothing in {IDLE:g} s, or half a line in {_SLOW:g} s")
        except (SessionOver, OSError):
            pass  # nobody is there to be told
        finally:
            session.close()
            self._drop(channel)


def answer(session: Session, message: Message) -> bytes:
    """Do what a message asks, and return the line that answers. Raises `ProtocolError`,
    `SessionOver`."""
    name, arguments = request_of(message)
    try:
        line = encode({"result": call(session, name, arguments)})
        if excess := _excess_of(line):
            return error_line("too long", f"there is too much to say in one answer: {excess}")
        return line
    except RequestError as error:
        line = error_line(error.kind, error.message, **error.details)
        return error_line(error.kind, error.message[:1000]) if _excess_of(line) else line
    except SessionOver:
        raise
    except Exception as error:  # noqa: BLE001 - it ends neither the server nor the program
        # A fault of ours, or of a request whose result is not JSON.
        logger.exception("the request %r failed", name)
        return error_line("internal", f"{type(error).__name__}: {error}")


def _excess_of(line: bytes) -> str:
    """What no client would take of an answer, or ""."""
    if len(line) > LONGEST_ANSWER:
        return f"it has {len(line)} bytes, and {LONGEST_ANSWER} are the most"
    if len(line) > MOST_VALUES:  # else there cannot be so many
        try:
            check_extent(line)
        except ProtocolError as error:
            return str(error)
    return ""


def error_line(kind: str, message: str, **details: object) -> bytes:
    """The answer that says what is wrong."""
    return encode({"error": {"kind": kind, "message": message, **details}})


def refuse(channel: Channel, kind: str, message: str) -> None:
    """Tell a client that is about to be dropped why, if it listens."""
    try:
        channel.send(error_line(kind, message), 0.1)
    except OSError:
        pass
