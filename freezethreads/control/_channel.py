"""One end of a connection: messages in and out, each within a length and a time.

Its socket is the class in C, whose waits are nobody's to replace: `freezethreads.install()` changes
the methods of the class in Python that is derived from it.
"""

from __future__ import annotations

import _socket
import errno
import os
from _socket import AF_UNIX, SHUT_RDWR, SOCK_STREAM
from _socket import socket as Socket
from pathlib import Path
from typing import Final

from freezethreads._ground.deadline import Deadline
from freezethreads.control._protocol import Message, ProtocolError, decode

__all__ = ["LONGEST_WAIT", "Channel", "Socket", "answers"]

_CHUNK = 64 * 1024
# A program may have SIGPIPE end it, as those that write to `head` do; a client that goes must not.
_NO_SIGNAL: Final[int] = getattr(_socket, "MSG_NOSIGNAL", 0)
LONGEST_WAIT: Final = 1e6
"""Seconds that a socket can wait at once, and somewhat less."""


class Channel:
    """A connected socket. By one thread at a time, but for `end`, `forget` and `close`."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self._buffer = bytearray()

    def receive(self, longest: int, idle: float, seconds: float) -> Message | None:
        """Return the next message, or None if there is none and the other end has closed.

        It may have `longest` bytes. Raises TimeoutError if it has not begun within `idle` seconds,
        or is not complete `seconds` after that; `ProtocolError`; OSError.
        """
        if not self._buffer and not self._fill(Deadline(idle)):
            return None
        deadline = Deadline(seconds)
        looked = 0
        while (end := self._buffer.find(b"\n", looked)) < 0 and len(self._buffer) <= longest:
            looked = len(self._buffer)
            if not self._fill(deadline):
                raise ProtocolError("the line ended in its middle")
        if not 0 <= end <= longest:
            raise ProtocolError(f"a line of more than {longest} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return decode(line)

    def _fill(self, deadline: Deadline) -> bool:
        """Take what has come, and wait for it. Returns False if the other end has closed."""
        if deadline.passed():
            raise TimeoutError(errno.ETIMEDOUT, "nothing came in time")
        # 0 would mean not to wait at all, and a month is more than a socket can.
        self.socket.settimeout(min(deadline.remaining() or 1e-6, LONGEST_WAIT))
        data = self.socket.recv(_CHUNK)
        self._buffer += data
        return bool(data)

    def send(self, line: bytes, seconds: float) -> None:
        """Send an encoded message. Raises TimeoutError if it is not taken in time; OSError."""
        self.socket.settimeout(seconds)
        self.socket.sendall(line, _NO_SIGNAL)

    def is_closed(self) -> bool:
        """Whether the other end has closed its side, or talks on and on. Does not wait.

        What it has said before is kept, and is no reason to take it for alive.
        """
        try:
            self.socket.settimeout(0)
            while len(self._buffer) <= _CHUNK:
                if not (data := self.socket.recv(_CHUNK)):
                    return True
                self._buffer += data
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True

    def end(self) -> None:
        """End the connection, for both ends, and wake who waits in it. From any thread."""
        try:
            self.socket.shutdown(SHUT_RDWR)
        except OSError:
            pass  # it has ended

    def forget(self) -> None:
        """Close it in this process alone: a fork has the same one."""
        self.socket.close()

    def close(self) -> None:
        """End the connection, and close it here. From any thread."""
        self.end()
        self.forget()


def answers(path: Path) -> bool:
    """Whether somebody listens there: if not, a killed process has left its socket behind."""
    probe = Socket(AF_UNIX, SOCK_STREAM)
    try:
        probe.settimeout(1.0)
        probe.connect(os.fspath(path))
        return True
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    except OSError:
        return True  # it exists, and is busy
    finally:
        probe.close()
