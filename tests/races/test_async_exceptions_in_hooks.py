"""An exception at every bytecode of hooks: each `after` is called once if its `before` returned.

At those of the modules that call them: into the others `test_async_exceptions` injects.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from freezethreads import HookFailed, LeaseExpired, State
from injected_program import Program, check_after
from injection import Boom, injections, watching

CALLERS = ("hooks", "controller", "world", "_freezer")


class Calls:
    """What was called, by functions of C: no exception arrives in them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.made: list[str] = []
        for name in "ab":
            program.freezer.hook(*[partial(self.made.append, f"{sign}{name}") for sign in "+-"])
        # Between the last of them and the first one to run again.
        program.freezer.hook(None, self.look, phase=-1)
        self.states: list[State] = []

    def look(self) -> None:
        """Note how all stand."""
        self.states += [info.state for info in self.program.freezer.threads()]

    def check(self) -> None:
        """Each that was called was undone, in reverse, while all stood."""
        if self.program.freezer._registry.active:
            gc.collect()  # a world that nobody refers to
        began = [name[1:] for name in self.made if name[0] == "+"]
        assert began == list("ab")[: len(began)]
        assert self.made == [f"+{n}" for n in began] + [f"-{n}" for n in reversed(began)]
        self.made.clear()
        assert set(self.states) <= {State.FROZEN}
        self.states.clear()


def freeze(program: Program) -> None:
    with program.freezer.freeze(timeout=None):
        pass


def freeze_with_lease(program: Program) -> None:
    with program.freezer.freeze(lease=60):
        pass


def hold(program: Program) -> None:
    with program.freezer.hold(hooks=True):
        pass


def expire(program: Program) -> None:
    """As a watchdog does."""
    try:
        with program.freezer.freeze() as world:
            program.freezer._controller.expire(world._freeze)
    except LeaseExpired:
        pass


def fail(program: Program) -> None:
    with program.freezer.hook(partial(int, "x")):
        try:
            program.freezer.freeze()
        except HookFailed:
            pass


@contextmanager
def hooked() -> Iterator[tuple[Program, Calls]]:
    program = Program()
    calls = Calls(program)
    try:
        yield program, calls
    finally:
        program.end()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "scenario", [freeze, freeze_with_lease, hold, expire, fail], ids=lambda each: each.__name__
)
def test_an_exception_anywhere(scenario: Callable[[Program], None]) -> None:
    hits = 0
    with hooked() as (program, calls), watching(scenario, only=CALLERS):
        for injection in injections():
            try:
                with injection:
                    scenario(program)
            except Boom as boom:
                settle(program)
                for hook in list(program.freezer._registry.hooks)[3:]:
                    hook.remove()  # the exception came before the block of `with` began
                try:
                    calls.check()
                except AssertionError as error:
                    error.add_note(f"after an exception {boom}")
                    raise
                check_after(program, boom)
            else:
                settle(program)
                calls.check()
                program.check()
            calls.made.clear()  # of the check's own freeze
            calls.states.clear()
            hits += injection.hit is not None
    assert hits > 300


def settle(program: Program) -> None:
    """Until each watchdog has seen that nobody needs it."""
    for lease in [t for t in threading.enumerate() if t.name == "freezethreads-lease"]:
        if not program.freezer._registry.active:
            lease.join(10)
