"""`ThreadPoolExecutor` at the end of the interpreter, and in the children of a fork."""

from __future__ import annotations

import textwrap

import pytest

from fork_helpers import forked
from freezethreads import Freezer, State
from freezethreads._pool import ThreadPoolExecutor
from helpers import WAIT, run_python
from thread_helpers import members, running

BOUND = 10.0  # seconds that any of these programs may take; they need a fraction of one

PRELUDE = """
import logging, os, sys, threading, time
logging.basicConfig(stream=sys.stdout, format="%(message)s")
import freezethreads
from freezethreads._pool import ThreadPoolExecutor

def warm_up(pool):
    pool.submit(int).result()
    return pool
"""


def run(code: str) -> list[str]:
    """Run a program, which must end well and in time; return the lines that it printed."""
    result = run_python(PRELUDE + textwrap.dedent(code), timeout=BOUND)
    assert result.stderr == ""
    return result.stdout.splitlines()


# The end of the interpreter.


def test_the_interpreter_ends_with_idle_workers() -> None:
    assert run("pool = warm_up(ThreadPoolExecutor(1)); print('end')") == ["end"]


def without_the_warning(lines: list[str]) -> list[str]:
    """The lines but the one that tells of the thaw, which is logged when all have been let go."""
    (warning,) = (line for line in lines if line.endswith("the main thread has ended"))
    return [line for line in lines if line != warning]


@pytest.mark.parametrize("how", ["freeze", "hold"])
def test_the_interpreter_ends_with_frozen_workers(how: str) -> None:
    """Nobody is left to thaw them. What was submitted is still done, as in the standard pool."""
    output = run(f"""
        pool = warm_up(ThreadPoolExecutor(1))
        kept = freezethreads.{how}(reason="audit")
        for number in range(3):
            pool.submit(os.write, 1, b"%d\\n" % number)  # in one piece, beside the warning
        print(freezethreads.threads()[0].state.name, flush=True)
    """)
    assert output[0] == "FROZEN"
    assert without_the_warning(output[1:]) == ["0", "1", "2"]


def test_the_interpreter_ends_with_a_worker_that_waits_to_begin() -> None:
    output = run("""
        kept = freezethreads.hold(reason="audit")
        print("end", flush=True)
        ThreadPoolExecutor(1).submit(os.write, 1, b"done\\n")  # in one piece, beside the warning
    """)
    assert output[0] == "end"
    assert without_the_warning(output[1:]) == ["done"]


def test_the_interpreter_waits_for_a_controller_that_lives() -> None:
    """A worker of one pool has frozen the other's, and thaws when that has been told to end."""
    output = run("""
        def control():
            with freezethreads.freeze(group="frozen"):
                standing.set()
                while frozen._work_queue.qsize() < 2:  # the item, and the request to end
                    time.sleep(0.001)
                print("thaw")

        standing = threading.Event()
        frozen = warm_up(ThreadPoolExecutor(1, group="frozen"))
        ThreadPoolExecutor(1, group="controllers").submit(control)
        assert standing.wait(10)
        frozen.submit(print, "done")
        print("end")
    """)
    assert output == ["end", "thaw", "done"]


def test_a_submission_at_the_end_of_the_interpreter_is_refused() -> None:
    output = run("""
        import atexit
        pool = warm_up(ThreadPoolExecutor(1))

        @atexit.register
        def submit():
            try:
                pool.submit(int)
            except RuntimeError as error:
                print(error)
    """)
    assert output == ["cannot schedule new futures after shutdown"]


# Fork.


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_child_can_have_a_pool_and_ends(busy: bool) -> None:
    """It ends as any program does, which makes it end the pools that it has inherited."""
    output = run(f"""
        pool = warm_up(ThreadPoolExecutor(1, "inherited"))
        begun, over = threading.Event(), freezethreads.sync.Event()

        def work():
            begun.set()
            over.wait()

        if {busy}:
            pool.submit(work)
            assert begun.wait(10)
            pool.submit(print, "queued")
        with freezethreads.freeze():
            child = os.fork()
        if not child:
            print([info.name for info in freezethreads.threads()])
            with ThreadPoolExecutor(1, "own") as own:
                print(own.submit(lambda: freezethreads.threads()[0].name).result(10))
            print("child ends", flush=True)
        else:
            status = os.waitpid(child, 0)[1]
            print("status", status)
            over.set()
    """)
    assert output == ["[]", "own_0", "child ends", "status 0", *(["queued"] if busy else [])]


def test_a_worker_forks(freezer: Freezer) -> None:
    """In the child it is the only thread, enrolled and running."""

    def check() -> None:
        assert members(freezer) == {"forking_0": "io"}
        assert freezer.threads()[0].state is State.RUNNING
        with freezer.freeze() as world:
            assert world.threads == ()
        with ThreadPoolExecutor(1, "own", freezer=freezer) as own:
            assert own.submit(int, "7").result(WAIT) == 7

    with (
        running(freezer),
        ThreadPoolExecutor(1, "forking", freezer=freezer, group="io") as pool,
    ):
        pool.submit(forked, lambda fork: fork(), check).result(3 * WAIT)


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("pools")
