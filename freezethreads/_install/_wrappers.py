"""What is put in the place of the standard library's waits: how each kind of it is made."""

from __future__ import annotations

import logging
from select import POLLIN, poll
from typing import Any, Final

from freezethreads._install._patches import Function, Switch
from freezethreads._refrigerator.waits import Plain, Waiting, plumbing, stop_if_asked, waits_count
from freezethreads._registry.record import logger
from freezethreads._registry.registry import armed

plumbing.add(__file__)

_LONGEST = 2**31 - 1  # milliseconds that a poll can last


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


class Receive(SocketWait):
    """A call that takes something from a socket: what comes during a freeze is left there.

    So the thread waits until there is something, and takes it when it runs again. Only if another
    thread was quicker, or the call is not the usual one, does it wait in the call itself. The usual
    one has one argument of one of `kinds` that is not empty, or none if there are no kinds. (One
    with flags may not wait, or not for this; one that asks for nothing does not wait.)
    """

    def __init__(self, *kinds: type) -> None:
        super().__init__()
        self._kinds = kinds

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        receive = super().__call__(original, switch, label)

        def wait_and_receive(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not switch.on or not waits_count():
                return original(self, *args, **kwargs)
            if not kwargs and is_usual(*args) and (timeout := self.gettimeout()) != 0:
                with Waiting(label, fork_safe=True):
                    wait_readable(self.fileno(), timeout)
            return receive(self, *args, **kwargs)

        is_usual = self._is_usual
        return wait_and_receive

    def _is_usual(self, *args: Any) -> bool:
        if not args or len(args) > 1:
            return not args and not self._kinds
        (wanted,) = args
        if type(wanted) not in self._kinds:
            return False
        if type(wanted) is int:
            return wanted > 0
        return len(wanted) > 0 and not memoryview(wanted).readonly


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
