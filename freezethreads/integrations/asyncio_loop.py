"""asyncio: a loop's thread stops between two callbacks, and a coroutine freezes other threads.

::

    async def main():
        with asyncio_loop.enrol():                  # others can stop this loop now
            async with asyncio_loop.freeze():       # other threads stand, this loop goes on
                take_a_snapshot()
            await asyncio.to_thread(freezethreads.run_frozen, take_a_snapshot)  # it stands as well

What is promised:

* A freeze by another thread stops an enrolled loop between two callbacks, whether it is idle or
  busy. Each task then stands where it awaits, and none goes on before the thaw.
* ``async with freeze()`` waits without blocking its loop. As by `Freezer.freeze`, the calling
  thread is left out, which here is the loop's: **all other registered threads of the group stand,
  and the other tasks of the same loop go on.** If these are to stand too, freeze from another
  thread, as in the last line above; or await nothing inside the block.
* From the moment when the others are asked to stop until the block is left, the loop's thread is
  not stopped itself. Whoever wants to stop it waits, and todos for it wait.
* Cancelling the task at any await, an exception, a time-out, and closing the loop let everybody go
  at once. (Without a GIL, the loop's thread has to run a little for what another one has closed.)
  A loop that is stopped inside the block, and neither closed nor run again, is a controller that
  hangs; a lease helps. So cancel tasks before you leave a loop for good, as `asyncio.run` does.

What is assumed of asyncio, and documented: `call_soon_threadsafe` may be called from any thread and
in signal handlers, and raises RuntimeError if the loop is closed; ``loop.close()`` clears its
queues.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, NoReturn

from freezethreads import (
    FreezeError,
    Freezer,
    Registration,
    ThreadPoolExecutor,
    World,
    default_freezer,
)
from freezethreads._controller.nowait import FreezeRequest, asked_at, tell_of_unasked
from freezethreads._ground.deadline import check_seconds
from freezethreads._ground.original import get_ident
from freezethreads._ground.unique import Given

if TYPE_CHECKING:
    from freezethreads._registry.places import Place

__all__ = ["Enrolment", "enrol", "freeze"]

_NEVER = 1e9  # seconds
_LATE = 0.001  # seconds; a loop may be as early as its clock's resolution allows


def enrol(freezer: Freezer | None = None, *, group: str = "", name: str | None = None) -> Enrolment:
    """Enrol the running loop's thread, and the threads of the loop's default executor.

    From a coroutine or callback of the loop. `freezer` None is the default freezer; `group` is a
    dotted name; `name` is for people (None: the thread's). From now on `asyncio.to_thread` and
    ``loop.run_in_executor(None, ...)`` use a `freezethreads.ThreadPoolExecutor` of that group.
    A default executor that the loop had before goes on with what it has, and is not stopped.

    If the group is frozen, this returns after the thaw. The result is a context manager that undoes
    all of it. Raises RuntimeError if no loop runs here, `AlreadyRegistered` if the thread is
    enrolled (then its loop needs no more than a waker or freezable waits), TypeError or ValueError;
    nothing was changed then.
    """
    loop = asyncio.get_running_loop()
    return Enrolment(default_freezer if freezer is None else freezer, loop, group, name)


class Enrolment(Given):
    """A loop whose thread can be frozen, until `close()`. Got from `enrol`; a context manager.

    Closing the loop closes this. A loop that was merely stopped leaves its thread enrolled like any
    other: what runs there between two runs of the loop needs safepoints of its own.
    """

    _IS = "the enrolment of one thread of this process"
    _WRITE = "with asyncio_loop.enrol():"

    def __init__(
        self, freezer: Freezer, loop: asyncio.AbstractEventLoop, group: str, name: str | None
    ) -> None:
        self._freezer = freezer
        self._loop = loop
        self._ident = get_ident()
        self._context = contextvars.copy_context()
        self._pool = ThreadPoolExecutor(thread_name_prefix="asyncio", freezer=freezer, group=group)
        # asyncio has no public name for it. A loop without this one gets a fresh pool at the end.
        self._former = getattr(loop, "_default_executor", None)
        self._open = False
        self._forget = _at_close(loop, self._loop_closed)
        try:
            self.registration: Registration = freezer.register(name, group=group, waker=self._wake)
            self._open = True
            loop.set_default_executor(self._pool)
        except BaseException:
            self._forget()  # which closes what was begun
            raise

    def __repr__(self) -> str:
        return f"<Enrolment of {self._loop!r}, {'open' if self._open else 'closed'}>"

    def __enter__(self) -> Enrolment:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Unregister the thread and give the loop its former default executor back. Repeatable.

        By the loop's thread; the loop need not run. What has been given to the executor is still
        done. Raises `FreezeError` in another thread, and nothing was changed then.
        """
        if not self._open:
            return
        self.registration.__exit__(None, None, None)
        self._open = False
        self._forget()
        if getattr(self._loop, "_default_executor", self._pool) is self._pool:
            self._loop.set_default_executor(
                self._former or concurrent.futures.ThreadPoolExecutor(thread_name_prefix="asyncio")
            )
        self._pool.shutdown(wait=False)

    def _wake(self) -> None:
        """Have the loop look whether it is to stop. From the asker's thread."""
        tell_loop(self._loop, self._stand, self._context)

    def _stand(self) -> None:
        """Between two callbacks: stop if asked to, and make the thread's todos.

        Inside a block of one of its tasks the loop does neither. It is woken again when that ends.
        """
        if self._open and not self.registration._record.commands:
            self._freezer.safepoint("between two callbacks")

    def _loop_closed(self) -> None:
        if get_ident() == self._ident:
            self.close()
        elif self._open:  # in another thread: this one is not stopped any more by what cannot be
            self._open = False
            self._freezer._registry.unregister(self.registration._record)


def freeze(
    freezer: Freezer | None = None,
    *,
    timeout: float | None = 20.0,
    reason: str = "",
    group: str | Sequence[str] = "",
    lease: float | None = None,
    settled: str | Iterable[str] = (),
    hooks: bool = True,
) -> AbstractAsyncContextManager[World, None]:
    """Stop all registered threads of `group` but the loop's own: ``async with freeze() as world:``.

    From a coroutine, which waits; other tasks of its loop go on, also inside the block. The loop
    may be enrolled or not. Arguments, results and errors are those of `Freezer.freeze`, raised when
    the block is entered, but for `where`: threads are stopped at safepoints and in freezable waits
    alone. Hooks are called in the loop's thread, where nothing else goes on meanwhile. `freezer`
    None is the default freezer. Tasks take turns with each other and with other controllers. Inside
    its own block, also in a task that was made there, this returns at once.

    Inside the block, await nothing that a frozen thread is to do: the default executor of an
    enrolled loop stands too, and with it `asyncio.to_thread` and look-ups of host names.

    The block ends in `LeaseExpired` if the lease ran out. Raises `FreezeError` if the loop is
    closed, or is not running when its turn comes or all stand, or if its thread is in a blocking
    region. `Freezer.freeze()`, which blocks the loop, is refused while this waits, and inside the
    block any task that calls it shares the world.
    """
    if not (freezer is None or isinstance(freezer, Freezer)):
        raise TypeError(
            "freezer must be a freezethreads.Freezer, or None for the default one, "
            f"not {freezer!r}; write freeze(group={freezer!r})"
        )
    what = {"reason": reason, "group": group, "lease": lease, "settled": settled, "hooks": hooks}
    place = asked_at(sys._getframe(1))
    return _Block(default_freezer if freezer is None else freezer, timeout, what, place)


class _Block(AbstractAsyncContextManager[World, None]):
    """One ``async with freeze():`` of a task. It can be entered once."""

    def __init__(
        self, freezer: Freezer, timeout: float | None, what: dict[str, Any], place: Place
    ) -> None:
        self._made_at: Place | None = place  # until it is entered
        self._place = place
        self._freezer = freezer
        self._timeout = timeout
        self._what = what
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = False
        self._request: FreezeRequest | None = None
        self._world: World | None = None
        self._forget: Callable[[], object] = int  # so far there is nothing

    if not TYPE_CHECKING:  # for a type checker there is nothing to enter so

        def __enter__(self) -> NoReturn:
            self._made_at = None
            raise TypeError(
                "write `async with asyncio_loop.freeze()`; where there is no coroutine, it is "
                "`with freezethreads.freeze()`"
            )

        __await__ = __enter__

        def __exit__(self, *_: object) -> None:
            """Never called: nobody enters it so."""

    def __del__(self) -> None:
        made_at: Place | None = getattr(self, "_made_at", None)  # it may have been cut short
        if made_at is not None:
            tell_of_unasked(self._freezer, made_at)

    async def __aenter__(self) -> World:
        self._made_at = None
        if self._loop is not None:
            raise FreezeError("this block was entered before: call freeze() again for another one")
        self._loop = asyncio.get_running_loop()
        check_seconds("timeout", self._timeout)
        try:
            if any(block.is_around(self) for block in _blocks.get()):
                # Nobody is waited for: it is this thread's world, or its lease has run out by now.
                self._world = self._freezer.freeze(timeout=0, **self._what)
                self._forget = _at_close(self._loop, self.close)
            else:
                self._world = await self._freeze(self._loop)
            self._open = True
            _blocks.set((*_blocks.get(), self))
            return self._world
        except BaseException as error:
            self.close()
            if isinstance(error, FreezeError):
                self._freezer._complete(error)
            raise

    async def __aexit__(self, kind: type[BaseException] | None, *more: object) -> None:
        assert self._world is not None
        try:
            self._world.__exit__(kind, *more)
        finally:
            self.close()
            # A coroutine that was dropped is closed in any context, where others' blocks are open.
            if self in (blocks := _blocks.get()):
                _blocks.set(tuple(block for block in blocks if block is not self))

    def is_around(self, inner: _Block) -> bool:
        """Whether this one's world is that of `inner` as well, which is entered inside."""
        return self._open and self._freezer is inner._freezer and self._loop is inner._loop

    def close(self) -> None:
        """Let everybody go. From any thread; may be repeated."""
        self._open = False
        if self._request is not None:
            self._request.close()
        elif self._world is not None:
            self._world.thaw()
        self._forget()

    async def _freeze(self, loop: asyncio.AbstractEventLoop) -> World:
        """Ask, and wait until all stand."""

        def notify() -> None:
            tell_loop(loop, news.set)
            if not loop.is_running() and self._world is None:  # in this order: it may be late
                request.thaw_abandoned("its loop does not run")

        news = asyncio.Event()
        request = FreezeRequest(
            self._freezer, notify, timeout=self._timeout, place=self._place, **self._what
        )
        self._forget = _at_close(loop, self.close)
        self._request = request
        while (world := request.poll()) is None:
            seconds = request.seconds
            timer = None if seconds is None else loop.call_later(seconds + _LATE, news.set)
            try:
                await news.wait()
                news.clear()
            finally:
                if timer is not None:
                    timer.cancel()
        return world


_blocks: contextvars.ContextVar[tuple[_Block, ...]] = contextvars.ContextVar("blocks", default=())


def tell_loop(
    loop: asyncio.AbstractEventLoop,
    callback: Callable[[], object],
    context: contextvars.Context | None = None,
) -> None:
    """Have a loop call it between two callbacks, unless it is closed. From any thread."""
    try:
        loop.call_soon_threadsafe(callback, context=context)
    except RecursionError:
        raise
    except RuntimeError:
        pass  # it is closed


def _at_close(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> Callable[[], None]:
    """Have `call` called when the loop is closed, or what this returns is called before.

    A timer in the loop's queue, which is cleared then, holds the only reference to an object that
    makes the call as it dies.
    """
    timer = weakref.ref(loop.call_later(_NEVER, _Lifeline(call)))

    def forget() -> None:
        found = timer()
        if found is not None:
            found.cancel()

    return forget


class _Lifeline:
    """Makes a call when nobody refers to it any more."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call

    def __call__(self) -> None:
        """What a timer in a loop needs; it is never due."""

    def __del__(self) -> None:
        self._call()
