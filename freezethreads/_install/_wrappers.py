"""What is put in the place of the standard library's waits: how each kind of it is made."""

from __future__ import annotations

import errno
import logging
import os
import socket
from _socket import socket as _Socket
from select import POLLIN, poll
from struct import Struct
from typing import Any, Final

from freezethreads._ground.original import monotonic
from freezethreads._install._patches import Function, Switch
from freezethreads._refrigerator.waits import Plain, Waiting, plumbing, stop_if_asked, waits_count
from freezethreads._registry.record import logger
from freezethreads._registry.registry import armed

plumbing.add(__file__)

_LONGEST = 2**31 - 1  # milliseconds that a poll can last
_PEEKED: Final = {socket.AF_INET, socket.AF_INET6, socket.AF_UNIX}  # not all know MSG_PEEK
_AT_ONCE: Final = socket.MSG_DONTWAIT
_recv: Final = _Socket.recv  # which nobody replaces
_send: Final = _Socket.send
_write: Final = os.write
_readv: Final = os.readv
_get_blocking: Final = os.get_blocking
_option: Final = _Socket.getsockopt
_TIMEOUT: Final = Struct("ll")  # of SO_RCVTIMEO
_descriptor_of: Final = _Socket.fileno
_family_of: Final = vars(_Socket)["family"].__get__
_type_of: Final = vars(_Socket)["type"].__get__  # without making an enum's member of it


class Wait:
    """One call that waits and takes nothing shared: it counts as stopped.

    `fork_safe` says that it holds no lock of a C library meanwhile.
    """

    def __init__(self, *, fork_safe: bool = True) -> None:
        self._fork_safe = fork_safe

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        fork_safe = self._fork_safe

        def wait(*args: Any, **kwargs: Any) -> Any:
            if not switch.on:
                return original(*args, **kwargs)
            with Waiting(label, fork_safe=fork_safe):
                return original(*args, **kwargs)

        return wait


class SocketWait(Wait):
    """The same for a method of sockets, unless the socket is one that never waits."""

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        wait = super().__call__(original, switch, label)

        def wait_if_blocking(self: Any, *args: Any, **kwargs: Any) -> Any:
            return (original if self.gettimeout() == 0 else wait)(self, *args, **kwargs)

        return wait_if_blocking


class Look(Wait):
    """A call that waits unless its time-out, the argument at that position, says that it must not.

    Then it is only a safepoint if somebody is asked for anything.
    """

    def __init__(self, position: int) -> None:
        super().__init__()
        self._position = position

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        wait = super().__call__(original, switch, label)
        position = self._position

        def look_or_wait(*args: Any, **kwargs: Any) -> Any:
            if not armed.registries:
                timeout: Any = args[position] if len(args) > position else kwargs.get("timeout")
                if type(timeout) in (int, float) and timeout <= 0:
                    return original(*args, **kwargs)
            return wait(*args, **kwargs)

        return look_or_wait


class Receive(SocketWait):
    """A call that takes something from a socket: what comes during a freeze is left there.

    So the thread waits until there is something, and takes it when it runs again. If another one
    was quicker it waits again. That is so for the usual call, where there is a form of it that does
    not wait: with the further arguments `at_once`, or as `read` of the descriptor, which does not
    wait where the socket has a time-out. (For streams. Elsewhere it leaves what is empty.) Any
    other call waits by itself. The usual one has one argument of one of `kinds` that is not empty,
    or none if there are no kinds. (One with flags may not wait, or not for this; one that asks for
    nothing does not wait.)

    It does not try first whether there is something: that would be quicker where there is, but each
    call of the system gives the GIL away, and eight threads that echo a byte then take twice as
    long. To look at a byte and leave it is half a poll, and ends when the socket's time-outs do.
    But of those who look at the same datagrams the system wakes only one, which might stand. So
    there it is a poll, which wakes all.
    """

    def __init__(
        self, *kinds: type, at_once: tuple[int, ...] = (), read: Function | None = None
    ) -> None:
        super().__init__()
        self._kinds = kinds
        self._at_once = at_once
        self._read = read

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        receive = super().__call__(original, switch, label)
        is_usual, at_once, read = self._is_usual, self._at_once, self._read

        def wait_and_receive(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not switch.on or not waits_count():
                return original(self, *args, **kwargs)
            if kwargs or not is_usual(*args) or (timeout := self.gettimeout()) == 0:
                return receive(self, *args, **kwargs)
            can_take = at_once if timeout is None else read and _is_impatient_stream(self)
            can_look = can_take and _is_stream(self) and _family_of(self) in _PEEKED
            end = None if timeout is None else monotonic() + timeout
            while True:
                with Waiting(label, fork_safe=True):
                    if can_look:
                        _recv(self, 1, socket.MSG_PEEK)
                    elif timeout is None:
                        _wait_as_long_as_the_system(self)
                    else:
                        wait_readable(_descriptor_of(self), timeout)
                if not can_take:
                    return receive(self, *args)
                try:
                    if read is not None and timeout is not None:
                        return read(_descriptor_of(self), *args)
                    return original(self, *args, *at_once)
                except BlockingIOError:
                    if end is not None:  # it waits with the rest of its time
                        can_look, timeout = False, max(end - monotonic(), 0)

        return wait_and_receive

    def _is_usual(self, *args: Any) -> bool:
        if len(args) != 1:
            return not args and not self._kinds
        wanted = args[0]
        if type(wanted) not in self._kinds:
            return False
        if type(wanted) is int:
            return wanted > 0
        with memoryview(wanted) as view:
            return view.nbytes > 0 and view.c_contiguous and not view.readonly


def read_into(descriptor: int, buffer: Any) -> int:
    """`os.read` into a buffer."""
    return _readv(descriptor, (buffer,))


class Send(SocketWait):
    """A call that sends bytes. What there is room for is sent at once, unless somebody is asked to
    stop; only for the rest it waits.

    It returns how many bytes were sent if it `counts` them.
    """

    def __init__(self, *, counts: bool) -> None:
        super().__init__()
        self._counts = counts

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        wait_and_send = super().__call__(original, switch, label)
        counts = self._counts

        def send(self: Any, *args: Any, **kwargs: Any) -> Any:
            if armed.registries or not switch.on or kwargs or not _is_bytes(*args):
                return wait_and_send(self, *args, **kwargs)
            (data,) = args
            timeout = self.gettimeout()
            try:
                if timeout is None:
                    sent = _send(self, data, _AT_ONCE)
                elif timeout and _is_impatient_stream(self):
                    sent = _write(_descriptor_of(self), data)
                else:
                    return wait_and_send(self, data)
            except BlockingIOError:
                return wait_and_send(self, data)
            if sent < len(data) and not (counts and timeout):
                with memoryview(data) as whole, whole[sent:] as rest:
                    try:
                        sent += wait_and_send(self, rest) or 0
                    except OSError:
                        if not counts:
                            raise  # else the next call will say so
            return sent if counts else None

        return send


def _is_bytes(*args: Any) -> bool:
    """Whether it is one argument that nobody can change between the two parts."""
    return len(args) == 1 and type(args[0]) is bytes


def _is_stream(sock: Any) -> bool:
    return _type_of(sock) == socket.SOCK_STREAM  # type: ignore[no-any-return]


def _is_impatient_stream(sock: Any) -> bool:
    """Whether it is a stream, and its descriptor does not wait.

    It does although the socket has a time-out, if that was shared, and who has the other one has
    none: by `dup()`, or with another process.
    """
    return _is_stream(sock) and not _get_blocking(_descriptor_of(sock))


def _wait_as_long_as_the_system(sock: Any) -> None:
    """Wait until it is readable, or the time-out has passed that the system knows of, if any."""
    seconds, microseconds = _TIMEOUT.unpack(
        _option(sock, socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT.size)
    )
    try:
        wait_readable(_descriptor_of(sock), (seconds + microseconds / 1e6) or None)
    except TimeoutError:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None


def wait_readable(descriptor: int, timeout: float | None) -> None:
    """Wait until it is readable; raise TimeoutError after so many seconds (None: never)."""
    if descriptor < 0:
        return  # closed, as the call that follows will say
    waiting = poll()
    waiting.register(descriptor, POLLIN)
    milliseconds = None if timeout is None else min(timeout * 1000, _LONGEST)
    if not waiting.poll(milliseconds) and milliseconds != _LONGEST:
        raise TimeoutError("timed out")


class ReplaceBy:
    """A function of `freezethreads.sync` instead of the original."""

    def __init__(self, replacement: Function) -> None:
        self._replacement = replacement

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        replacement = self._replacement

        def replaced(*args: Any, **kwargs: Any) -> Any:
            return (replacement if switch.on else original)(*args, **kwargs)

        return replaced


def stop_first(original: Function, switch: Switch, label: str) -> Function:
    """A safepoint before a call that waits by itself, if it has to wait at all."""

    def stop_and_call(*args: Any, **kwargs: Any) -> Any:
        if armed.registries and switch.on:
            stop_if_asked(label)
        return original(*args, **kwargs)

    return stop_and_call


def stop_before_record(original: Function, switch: Switch, label: str) -> Function:
    """`Logger.handle`: a safepoint before each record, while the thread has no lock of `logging`.

    Everybody who logs needs those. The records of this library stop nobody: they tell of freezes.
    Nor do those of the standard library: a pool's worker logs why it fails before it says so to
    those who wait for it.
    """

    def stop_and_handle(self: logging.Logger, *args: Any, **kwargs: Any) -> Any:
        if (
            armed.registries
            and switch.on
            and not _is_plumbing(self.name)
            and not _has_lock_of_logging()
        ):
            stop_if_asked(label)
        return original(self, *args, **kwargs)

    return stop_and_handle


_LIBRARY: Final = ("asyncio", "concurrent.futures", "http.cookiejar", "multiprocessing")


def _is_plumbing(name: str) -> bool:
    return name.partition(".")[0] == logger.name or name in _LIBRARY


def _has_lock_of_logging() -> bool:
    """Whether the calling thread is inside a handler, perhaps beneath a signal handler."""
    handlers = [reference() for reference in list(logging._handlerList)]  # type: ignore[attr-defined]
    locks = [logging._lock, *(handler and handler.lock for handler in handlers)]  # type: ignore[attr-defined]
    return any([lock._is_owned() for lock in locks if hasattr(lock, "_is_owned")])


def wait_plainly(original: Function, switch: Switch, label: str) -> Function:
    """A call that makes short waits while it holds what everybody needs: nobody stops in there."""

    def call_plainly(*args: Any, **kwargs: Any) -> Any:
        if not switch.on:
            return original(*args, **kwargs)
        with Plain():
            return original(*args, **kwargs)

    return call_plainly


def shut_down_plainly(original: Function, switch: Switch, label: str) -> Function:
    """A pool's `shutdown()`: the same, and then the wait for its workers, which is freezable."""
    ask = wait_plainly(original, switch, label)

    def shut_down(self: Any, wait: bool = True, **kwargs: Any) -> None:
        ask(self, False, **kwargs)
        if wait:
            original(self)

    return shut_down
