"""An exception at every bytecode of a freeze whose time runs out: nothing stays armed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from freezethreads import Freezer, FreezeTimeout, Straggler
from freezethreads._controller import controller
from freezing import puppet
from injection import Boom, injections, watching


def freeze(freezer: Freezer) -> None:
    with freezer.freeze(timeout=0):
        pass


def hold(freezer: Freezer) -> None:
    with freezer.hold(timeout=0):
        pass


def late(*_: object) -> FreezeTimeout:
    """What says so, without a look at anybody: that takes 10 ms, and is not what this is about."""
    somebody: Straggler = object.__new__(Straggler)
    return FreezeTimeout("late", (somebody,))


def check(freezer: Freezer, when: str) -> None:
    assert not freezer._registry.active, when
    assert not freezer.armed, when


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", [freeze, hold], ids=lambda each: each.__name__)
def test_an_exception_anywhere(
    scenario: Callable[[Freezer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "timeout_of", late)
    monkeypatch.setattr(Freezer, "_complete", lambda *_: None)  # when everybody was let go
    freezer = Freezer()
    hits = 0
    with puppet(freezer) as thread, watching(scenario):
        for injection in injections():
            try:
                with injection:
                    scenario(freezer)
            except (Boom, FreezeTimeout) as error:
                # Here, since what the traceback refers to is still alive.
                check(freezer, f"after {error}, at {injection.hit}")
            hits += injection.hit is not None
        done = freezer.todo(thread.worker, int)
        thread.do(freezer.safepoint)
        assert done.result(0) == 0
    assert hits > 100
