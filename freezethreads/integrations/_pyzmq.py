"""pyzmq: sockets, polls and proxies wait in C. A message that comes during a freeze stays there."""

from __future__ import annotations

import sys
from math import ceil
from typing import Any, Final

from freezethreads._ground.original import monotonic
from freezethreads._install._patches import Function, Row, Switch
from freezethreads._install._wrappers import Wait
from freezethreads._refrigerator.waits import Waiting, stop_if_asked, waits_count
from freezethreads._registry.registry import armed

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


class _Receive(Wait):
    """A call that receives: take a message if there is one, else wait until there is, and take it
    when the thread runs again.

    What cannot receive, or not now, refuses the first try: no message would end the wait for one.
    The flags are its first argument if they come `first`, or else given by keyword alone.
    """

    def __init__(self, *, first: bool) -> None:
        super().__init__(fork_safe=False)
        self._first = first

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        fork_safe, first = self._fork_safe, self._first
        poll, again = sys.modules["zmq.backend"].zmq_poll, sys.modules["zmq"].Again

        def wait_and_receive(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not switch.on or not waits_count():
                return original(self, *args, **kwargs)
            flags, *others = args if first and args else (kwargs.pop("flags", 0), *args)

            def receive(flags: int) -> Any:
                if first:
                    return original(self, flags, *others, **kwargs)
                return original(self, *others, flags=flags, **kwargs)

            if flags & _DO_NOT_WAIT:
                return receive(flags)
            if armed.registries:
                stop_if_asked(label)
            timeout, end = None, 0.0
            while True:
                try:
                    return receive(flags | _DO_NOT_WAIT)
                except again:
                    if timeout is None:
                        timeout = self.rcvtimeo
                        end = monotonic() + timeout / 1000
                    left = timeout if timeout < 0 else ceil(max(end - monotonic(), 0) * 1000)
                    if not left:
                        raise
                with Waiting(label, fork_safe=fork_safe):
                    poll([(self, _POLLIN)], left)

        return wait_and_receive


TABLE: Final = (
    Row("zmq.sugar.socket", "Socket", "recv", _Receive(first=True)),
    Row("zmq.sugar.socket", "Socket", "recv_into", _Receive(first=False)),
    Row("zmq.sugar.socket", "Socket", "send", _Flagged(2)),
    Row("zmq.sugar.poll", "", "zmq_poll", Wait(fork_safe=False)),
    Row("zmq", "", "zmq_poll", Wait(fork_safe=False)),
    Row("zmq", "", "proxy", Wait(fork_safe=False)),
    Row("zmq.sugar", "", "proxy", Wait(fork_safe=False)),  # which `zmq.device` calls
    Row("zmq", "", "proxy_steerable", Wait(fork_safe=False)),
)
