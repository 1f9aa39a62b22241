"""pyzmq: sockets, polls and proxies wait in C. A message that comes during a freeze stays there."""

from __future__ import annotations

import sys
from typing import Any, Final

from freezethreads._install._patches import Function, Row, Switch
from freezethreads._install._wrappers import Wait
from freezethreads._refrigerator.waits import Waiting, waits_count

_DO_NOT_WAIT: Final = 1  # zmq.NOBLOCK, the flag of the C library
_POLLIN: Final = 1


class _Flagged(Wait):
    """A call whose argument at that position are flags, unless these say that it must not wait."""

    def __init__(self, position: int) -> None:
        super().__init__(fork_safe=False)
        self._position = position

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        wait, position = super().__call__(original, switch, label), self._position

        def wait_unless_told(*args: Any, **kwargs: Any) -> Any:
            flags = args[position] if len(args) > position else kwargs.get("flags", 0)
            return (original if flags & _DO_NOT_WAIT else wait)(*args, **kwargs)

        return wait_unless_told


class _Receive(_Flagged):
    """`Socket.recv`: wait until there is a message, and take it when the thread runs again."""

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        receive = super().__call__(original, switch, label)
        fork_safe, poll = self._fork_safe, sys.modules["zmq.backend"].zmq_poll

        def wait_and_receive(self: Any, flags: int = 0, *args: Any, **kwargs: Any) -> Any:
            if flags & _DO_NOT_WAIT or not switch.on or not waits_count():
                return original(self, flags, *args, **kwargs)
            with Waiting(label, fork_safe=fork_safe):
                is_there = poll([(self, _POLLIN)], self.rcvtimeo)
            # Nobody else takes it, since a socket is for one thread at a time.
            flags |= 0 if is_there else _DO_NOT_WAIT
            return receive(self, flags, *args, **kwargs)

        return wait_and_receive


TABLE: Final = (
    Row("zmq.sugar.socket", "Socket", "recv", _Receive(1)),
    Row("zmq.sugar.socket", "Socket", "send", _Flagged(2)),
    Row("zmq.sugar.poll", "", "zmq_poll", Wait(fork_safe=False)),
    Row("zmq", "", "zmq_poll", Wait(fork_safe=False)),
    Row("zmq", "", "proxy", Wait(fork_safe=False)),
    Row("zmq", "", "proxy_steerable", Wait(fork_safe=False)),
)
