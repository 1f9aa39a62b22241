"""An exception at every bytecode of a controller: nobody is left frozen, nothing stays armed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from injected_program import Program, check_after
from injection import Boom, injections, watching


@pytest.fixture
def program() -> Iterator[Program]:
    program = Program()
    yield program
    program.end()


def freeze(program: Program) -> None:
    with program.freezer.freeze(reason="test"):
        pass


def freeze_in_exit_stack(program: Program) -> None:
    with ExitStack() as stack:
        stack.enter_context(program.freezer.freeze())


def freeze_with_lease(program: Program) -> None:
    with program.freezer.freeze(lease=60):
        pass


def freeze_twice(program: Program) -> None:
    with program.freezer.freeze(), program.freezer.freeze(group="in"):
        pass


def freeze_in_order(program: Program) -> None:
    with program.freezer.freeze(group=["in", ""]):
        pass


def freeze_as_registered(program: Program) -> None:
    with program.freezer.register(), program.freezer.freeze():
        pass


def run_frozen(program: Program) -> None:
    program.freezer.run_frozen(program.freezer.threads)


def hold(program: Program) -> None:
    with program.freezer.hold(group=["in", ""]):
        pass


def hold_oneself(program: Program) -> None:
    with program.freezer.register(group="in"), program.freezer.hold():
        pass


def ask(program: Program) -> None:
    program.freezer.todo_all(int)


SCENARIOS: list[Callable[[Program], None]] = [
    freeze,
    freeze_with_lease,
    freeze_twice,
    freeze_in_order,
    freeze_as_registered,
    run_frozen,
    hold,
    hold_oneself,
    ask,
]


# Python reports an exception in `__del__`, and goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_an_exception_anywhere_leaves_nobody_frozen(
    program: Program, scenario: Callable[[Program], None]
) -> None:
    hits = 0
    with watching(scenario):
        for injection in injections():
            try:
                with injection:
                    scenario(program)
            except Boom as boom:
                # Here, since what the traceback refers to is still alive.
                check_after(program, boom)
            else:
                program.check()
                assert injection.hit is None, f"lost: an exception at {injection.hit}"
            hits += injection.hit is not None
    assert hits > 100
