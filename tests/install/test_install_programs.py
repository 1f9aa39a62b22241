"""A whole program that has never heard of freezing, frozen again and again while it works."""

from __future__ import annotations

import time

import pytest

import freezethreads
from freezethreads import Freezer, State
from helpers import WAIT, run_python
from unmodified import Program


def test_a_program_is_frozen_a_hundred_times_while_it_works() -> None:
    """Nothing fails, nothing moves while it is frozen, what it has agrees, and it all goes on."""
    freezer = Freezer("under test")
    with freezethreads.install(freezer):
        program = Program()
        program.start()
        stood = 0
        try:
            for _ in range(100):
                with freezer.freeze(timeout=WAIT) as world:
                    assert {info.state for info in world.threads} == {State.FROZEN}
                    stood += len(world.threads)
                    before = dict(program.counts)
                    assert program.problems() == []
                    time.sleep(0.0005)
                    assert program.counts == before
                time.sleep(0.001)
        finally:
            program.finish()
        assert freezer.threads() == ()
    assert stood > 100 * 13
    assert not [name for name, count in program.counts.items() if count < 5]


ENDS = {"": (0, ""), "sys.exit(3)": (3, ""), "1 / 0": (1, "ZeroDivisionError: division by zero")}


@pytest.mark.parametrize("end", ENDS)
def test_daemons_in_every_wait_at_the_end_of_the_interpreter(end: str) -> None:
    code = f"""
import sys, threading, warnings
warnings.simplefilter("ignore", ResourceWarning)
sys.path.insert(0, "tests/support")
from contextlib import ExitStack
import freezethreads
installation = freezethreads.install()
installation.enrol()
from install_waits import WAITS, is_waiting, record_of, until
from install_waits_io import IO_WAITS
stack = ExitStack()
calls = [make(stack).call for make in (*WAITS.values(), *IO_WAITS.values())]
threads = [threading.Thread(target=call, daemon=True) for call in calls]
for thread in threads:
    thread.start()
with freezethreads.freeze(timeout=10) as world:
    print(len(world.threads) > 30)
sys.stdout.flush()
{end}
"""
    result = run_python(code, check=False)
    status, error = ENDS[end]
    assert (result.returncode, result.stdout) == (status, "True\n")
    assert result.stderr.rpartition("Traceback")[0] == "", "there is more than one error"
    assert result.stderr.endswith(error and error + "\n"), result.stderr
