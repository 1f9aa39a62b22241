"""The fixture `freezer`.

It is in a module of its own since it can be had under another name, where `freezer` is something
else already; in a ``conftest.py``::

    from freezethreads.testing.pytest_fixtures import freezer as thread_freezer
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from freezethreads import Freezer, FreezeTimeout
from freezethreads._controller.standing import (
    Abandoned,
    remedy_for,
    standing,
    stops_nobody,
    thaw_abandoned,
)
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import enumerate_threads, get_ident, sleep
from freezethreads.testing._background import END, REASON
from freezethreads.testing._places import is_innermost, place_of
from freezethreads.testing.pytest_plugin import A_LOT, CHECK, TIMEOUT

if TYPE_CHECKING:
    from freezethreads._registry.requests import Freeze

__all__ = ["freezer"]


@pytest.fixture
def freezer(request: pytest.FixtureRequest, freezethreads_freezer: Freezer) -> Iterator[Freezer]:
    """The freezer of the program under test; at the test's end all its threads have to stop.

    That is tried when the test is over, before other fixtures end; who does not stop in time (the
    option `freezethreads_timeout`, in seconds) is an error of the test. So is a world or a hold
    that is left standing by the test, or later by another fixture; it is thawed. The fixture
    `freezethreads_freezer` says which freezer it is.
    """
    a_lot = request.config.stash.get(A_LOT, None)
    if a_lot is not None:
        a_lot.add(freezethreads_freezer)
    timeout, root = request.config.stash[TIMEOUT], request.config.rootpath
    check = Check(freezethreads_freezer, timeout, root)
    request.node.stash[CHECK] = check
    with check.abandoned:
        yield freezethreads_freezer
        del request.node.stash[CHECK]  # which lives as long as the run
        check.finish()


class Check:
    """What is to hold at the end of one test, whose thread makes all calls."""

    def __init__(self, freezer: Freezer, timeout: float, root: Path) -> None:
        self.abandoned = Abandoned()
        self._freezer = freezer
        self._timeout = timeout
        self._root = root
        self._stopped = False
        self._before_setup = standing(freezer)
        self._threads = {thread.ident or 0 for thread in enumerate_threads()}
        self._before_call: tuple[Freeze, ...] | None = None

    def begin(self) -> None:
        """The test begins, in the worlds of its fixtures."""
        self._before_call = standing(self._freezer)

    def end(self) -> None:
        """It is over: thaw what it left, and stop all threads. Fails it if there is a reason.

        In a world of a fixture the threads are stopped when that is over.
        """
        complaints = [] if self._before_call is None else self._tidy_up(self._before_call)
        if not any(freeze.asked.ident == get_ident() for freeze in self._since(self._before_setup)):
            complaints += self._stop_all()
        _fail(complaints)

    def finish(self) -> None:
        """The fixtures that came after this one are over too: thaw what they left."""
        complaints = self._tidy_up(self._before_setup)
        if not self._stopped:
            complaints += self._stop_all()
        _fail(complaints)

    def _stop_all(self) -> list[str]:
        self._stopped = True
        if why := stops_nobody(self._freezer, self._threads):
            message = f"the fixture `freezer` has stopped nobody: {why}"
            warnings.warn(pytest.PytestWarning(message), stacklevel=1)
        try:
            with self._freezer.freeze(timeout=self._timeout, reason=END, hooks=False):
                return []
        except FreezeTimeout as error:
            return [str(error), *self._explain(error)]

    def _explain(self, error: FreezeTimeout) -> Iterator[str]:
        """How each thread came there, if the error does not tell it."""
        for each in error.stragglers:
            if not is_innermost(each, self._root):
                yield f"  {each.name} got there from {place_of(each, self._root)}"
        if error.stragglers:
            yield "  If a thread was to be gone by now: end it, and join() it, in the test."

    def _tidy_up(self, before: tuple[Freeze, ...]) -> list[str]:
        left = self._left(before)
        for freeze in left:
            why = f"the test is over{remedy_for(self._freezer, freeze)}"
            thaw_abandoned(self._freezer, freeze, why)
        messages, self.abandoned.messages = self.abandoned.messages, []
        return [f"left behind: {message}" for message in messages]

    def _left(self, before: tuple[Freeze, ...]) -> list[Freeze]:
        """What nobody will thaw. A living thread is given the time to thaw its own."""
        deadline = Deadline(self._timeout)
        since = self._since(before)
        while any(map(_is_anothers, since)) and not deadline.passed():
            sleep(0.01)
        return [freeze for freeze in since if not freeze.done]

    def _since(self, before: tuple[Freeze, ...]) -> list[Freeze]:
        """What stands now, and did not before."""
        now = standing(self._freezer)
        return [each for each in now if each not in before and each.asked.reason != REASON]


def _is_anothers(freeze: Freeze) -> bool:
    return not freeze.done and freeze.asked.ident != get_ident() and freeze.asked.thread.is_alive()


def _fail(complaints: list[str]) -> None:
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)
