"""`Thread`: the standard one, enrolled from its first line of application code to its last.

A thread is enrolled by itself, in what it finds as its `run`: `run_inside` puts a function in
the place of that method, which the new thread takes away again as it begins. So it makes no
difference whether a subclass overrides `run()` or `__init__()`, and `start()` returns although the
new thread may have to wait for a thaw: by then the standard library has taken note of its start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from freezethreads._default import default_freezer
from freezethreads._freezer import Freezer, check_freezer
from freezethreads._ground.arguments import check_group
from freezethreads._refrigerator.membership import Registration
from freezethreads._refrigerator.waits import Plain, Waiting, plumbing
from freezethreads.sync._own_world import wait_unless_for_ever

plumbing.add(__file__)


class Thread(threading.Thread):
    """`threading.Thread`, enrolled with a freezer while it runs, and with a freezable `join()`.

    During a freeze of its group, a thread that was started waits for the thaw before its first line
    of application code; `start()` returns all the same. It is enrolled under the name that it has
    when it begins, and unregistered when `run()` has returned or raised. A `run()` that is called
    directly, without `start()`, enrols nobody.
    """

    _enrolment: tuple[Freezer | None, str] = (None, "")  # for a subclass that skips our __init__

    def __init__(
        self,
        group: str | None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
        freezer: Freezer | None = None,
        **more: Any,
    ) -> None:
        """As the standard thread's, whose other arguments on this interpreter are passed on.

        `group` is the group that it is enrolled in, a dotted name (None: the group ""). `freezer`
        is whom it is enrolled with (None: the default freezer). Raises TypeError or ValueError if
        one of them is nothing of the kind.
        """
        if callable(group):
            raise TypeError(f"group must be a dotted name, not {group!r}; write target=...")
        enrolment = (check_freezer(freezer), "" if group is None else check_group(group))
        super().__init__(None, target, name, args, kwargs, daemon=daemon, **more)
        self._enrolment = enrolment

    def start(self) -> None:
        """Start the thread. The caller is not frozen in here, whatever locks it may hold.

        Raises RuntimeError if it was started before.
        """
        expect(*self._enrolment)
        with run_inside(self, lambda: enrol(*self._enrolment)):
            super().start()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end, for at most `timeout` seconds (None: for ever).

        The caller counts as stopped meanwhile, for each freezer with which it is enrolled. Raises
        RuntimeError if the thread is the calling one, or was not started; and `FreezeError` for a
        wait that would never end, since the thread stands in a world of the caller's own.
        """
        with Waiting("Thread.join", fork_safe=True):
            if timeout is None and join_unless_for_ever(self, super().join):
                return
            super().join(timeout)


def join_unless_for_ever(thread: threading.Thread, join: Callable[[float], object]) -> bool:
    """Whether the thread has ended before the calling one has to wait. `join` is what waits.

    Raises `FreezeError` if it stands in a world of the calling thread's own.
    """

    def wait(seconds: float) -> bool:
        join(seconds)
        return not thread.is_alive()

    return wait_unless_for_ever(lambda: (thread,), wait, "its end")


@contextmanager
def run_inside(
    thread: threading.Thread, enter: Callable[[], AbstractContextManager[object]]
) -> Iterator[None]:
    """Around the standard `start()` of `thread`: its `run()` will be called `with enter()`, by it.

    The starter's waits are plain ones meanwhile: pools start threads with their locks held. If the
    start fails, nothing was changed. May be nested: the last one is entered first.
    """
    restore = enter_before_run(thread, enter)
    try:
        with Plain():
            yield
    except Exception:  # not KeyboardInterrupt, which may come when the thread has been started
        restore()
        raise


def enter_before_run(
    thread: threading.Thread, enter: Callable[[], AbstractContextManager[object]]
) -> Callable[[], None]:
    """Have the next `run()` of `thread` be called `with enter()`. Returns what takes that back.

    By its starter, or by the thread itself before it comes to that.
    """
    own = vars(thread)
    run, replaced = thread.run, own.get("run")

    def restore() -> None:
        if replaced is None:
            own.pop("run", None)
        else:
            own["run"] = replaced

    def run_it_inside() -> None:
        restore()
        with enter():
            run()

    own["run"] = run_it_inside
    return restore


def expect(freezer: Freezer | None, group: str) -> None:
    """A thread starts that will enrol itself so: a freeze that comes before that is no mistake."""
    (freezer or default_freezer)._registry.note_group(group)


def enrol(freezer: Freezer | None, group: str) -> Registration:
    """Register the calling thread, with the default freezer if `freezer` is None."""
    return (freezer or default_freezer).register(group=group)
