"""Who is at the other end of a Unix socket: what the system says, not what the peer does."""

from __future__ import annotations

import os
import socket
import struct
import sys
from dataclasses import dataclass

from freezethreads.control._channel import Socket

__all__ = ["Peer", "is_trusted", "peer_of"]


@dataclass(frozen=True)
class Peer:
    """A process. ``pid`` is None where the system does not tell."""

    uid: int
    pid: int | None


def peer_of(connection: Socket) -> Peer | None:
    """Return who is connected, or None on a system that does not tell. Raises OSError."""
    if sys.platform == "linux":
        credentials = struct.Struct("3i")
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        pid, uid, _ = credentials.unpack(found)
        return Peer(uid % 2**32, pid or None)
    option = getattr(socket, "LOCAL_PEERCRED", None)
    if option is None:
        return None
    credentials = struct.Struct("2I")  # how `struct xucred` begins: its version, and the user
    found = connection.getsockopt(0, option, 256)
    version, uid = credentials.unpack_from(found)
    return Peer(uid, None) if version == 0 else None


def is_trusted(peer: Peer | None) -> bool:
    """Whether a peer may stop this process: the same user, or root."""
    return peer is not None and peer.uid in (os.geteuid(), 0)
