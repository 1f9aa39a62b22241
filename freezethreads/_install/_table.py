"""The table: every name of the standard library that `install()` replaces, and by what.

A method that is replaced in its class is replaced for everybody. A name that is replaced in its
module is not for who has copied it before: `from time import sleep`. That is why there are as few
of the second kind as possible; a class in C cannot be changed.
"""

from __future__ import annotations

import os
from socket import MSG_DONTWAIT
from typing import Final

from freezethreads import sync
from freezethreads._install._descriptors import Epoll, Poll, Read, find_connection, find_pipe
from freezethreads._install._members import start_enrolled
from freezethreads._install._patches import Row
from freezethreads._install._pipes import open_freezable
from freezethreads._install._raw import start_raw
from freezethreads._install._stand_ins import Around, StandIn
from freezethreads._install._wrappers import (
    Look,
    Receive,
    ReplaceBy,
    Send,
    SocketWait,
    Wait,
    read_into,
    shut_down_plainly,
    stop_before_record,
    stop_first,
    wait_plainly,
)

_BUFFERS: Final = (bytearray, memoryview)
_POOL: Final = ("concurrent.futures.thread", "ThreadPoolExecutor")

# What is added to a call that receives, so that it does not wait: the flags, or a size of what else
# is wanted (0: nothing, or all that there is room for) and the flags.
_FLAGS: Final = (MSG_DONTWAIT,)
_SIZE_AND_FLAGS: Final = (0, MSG_DONTWAIT)
_RECEIVE_INTO: Final = Receive(*_BUFFERS, at_once=_SIZE_AND_FLAGS, read=read_into)

# A name may be looked up by the C library, which takes locks for that, and so does OpenSSL.
_WITH_LOCKS: Final = {"fork_safe": False}

TABLE: Final = (
    Row("threading", "Condition", "wait", ReplaceBy(sync.Condition.wait)),
    Row("threading", "Condition", "notify", ReplaceBy(sync.Condition.notify)),
    Row("threading", "Event", "wait", stop_first),
    Row("threading", "Thread", "start", start_enrolled),
    Row("threading", "Thread", "join", Look(1)),
    Row("queue", "Queue", "get", stop_first),
    Row("queue", "Queue", "put", stop_first),
    Row("logging", "Logger", "handle", stop_before_record),
    Row(*_POOL, "submit", wait_plainly),
    Row(*_POOL, "shutdown", shut_down_plainly),
    Row(*_POOL, "_initializer_failed", wait_plainly),
    Row("selectors", "SelectSelector", "select", Look(1)),
    Row("selectors", "_PollLikeSelector", "select", Look(1)),
    Row("selectors", "EpollSelector", "select", Look(1)),
    Row("selectors", "KqueueSelector", "select", Look(1)),
    Row("socket", "socket", "recv", Receive(int, at_once=_FLAGS, read=os.read)),
    Row("socket", "socket", "recv_into", _RECEIVE_INTO),
    Row("socket", "socket", "recvfrom", Receive(int, at_once=_FLAGS)),
    Row("socket", "socket", "recvfrom_into", Receive(*_BUFFERS, at_once=_SIZE_AND_FLAGS)),
    Row("socket", "socket", "recvmsg", Receive(int, at_once=_SIZE_AND_FLAGS)),
    Row("socket", "socket", "recvmsg_into", SocketWait()),
    Row("socket", "socket", "_accept", Receive()),
    Row("socket", "socket", "send", Send(counts=True)),
    Row("socket", "socket", "sendall", Send(counts=False)),
    Row("socket", "socket", "sendmsg", SocketWait()),
    Row("socket", "socket", "sendto", SocketWait(**_WITH_LOCKS)),
    Row("socket", "socket", "connect", SocketWait(**_WITH_LOCKS)),
    Row("socket", "socket", "connect_ex", SocketWait(**_WITH_LOCKS)),
    Row("ssl", "SSLSocket", "read", SocketWait(**_WITH_LOCKS)),
    Row("ssl", "SSLSocket", "write", SocketWait(**_WITH_LOCKS)),
    Row("ssl", "SSLSocket", "send", SocketWait(**_WITH_LOCKS)),
    Row("ssl", "SSLSocket", "do_handshake", SocketWait(**_WITH_LOCKS)),
    Row("ssl", "SSLSocket", "unwrap", SocketWait(**_WITH_LOCKS)),
    Row("subprocess", "Popen", "wait", Wait()),
    Row("subprocess", "Popen", "communicate", Wait()),
    Row("multiprocessing.connection", "Connection", "_recv_bytes", Read(find_connection)),
    Row("multiprocessing.connection", "Connection", "_send_bytes", Wait()),
    # The second kind.
    Row("threading", "", "Lock", StandIn(sync.Lock)),
    Row("threading", "", "RLock", StandIn(sync.RLock)),
    Row("queue", "", "SimpleQueue", StandIn(sync.SimpleQueue)),
    Row("time", "", "sleep", ReplaceBy(sync.sleep)),
    Row("select", "", "select", Look(3)),
    Row("select", "", "poll", Around(Poll)),
    Row("select", "", "epoll", Around(Epoll)),
    Row("os", "", "read", Read(find_pipe)),
    Row("os", "", "wait", Wait()),
    Row("os", "", "wait3", Wait()),
    Row("os", "", "wait4", Wait()),
    Row("os", "", "waitid", Wait()),
    Row("os", "", "waitpid", Wait()),
    Row("subprocess", "", "io", open_freezable),
    Row("signal", "", "pause", Wait()),
    Row("signal", "", "sigwait", Wait()),
    Row("signal", "", "sigwaitinfo", Wait()),
    Row("signal", "", "sigtimedwait", Wait()),
    Row("_thread", "", "start_new_thread", start_raw),
    Row("_thread", "", "start_new", start_raw),
    Row("_thread", "", "start_joinable_thread", start_raw),
)

# In which of their files a thread waits says nothing: its place is the line that has called them.
PLUMBING: Final = (
    "logging",
    "multiprocessing.connection",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
)
