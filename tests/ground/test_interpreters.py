"""Another interpreter of the process: it has freezers and threads of its own, and lacks something.

An isolated one, as `concurrent.interpreters` makes them, has no `faulthandler`, no daemon threads,
no signal handlers and no fork.
"""

from __future__ import annotations

import importlib
import sys
import textwrap
import threading
from typing import Any

import pytest

from freezethreads import FreezeError, Freezer, State
from freezing import looping
from helpers import ROOT, run_python

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="before, isolated interpreters had no threads"
)

# Runs what is given to it in an isolated interpreter, and shows how that went.
RUN = """
import sys
code = sys.argv[1]
try:
    import _interpreters as interpreters                    # 3.13 and newer
    made = interpreters.create("isolated")
except ImportError:
    import _xxsubinterpreters as interpreters
    made = interpreters.create(isolated=True)
failed = interpreters.run_string(made, code)
sys.exit(failed and failed.errdisplay)
"""

BEGIN = f"""
import sys, threading
sys.path.insert(0, {str(ROOT)!r})
import freezethreads
from freezethreads import Freezer, FreezeError

def refused(call, *errors):
    try:
        call()
    except errors or FreezeError as error:
        return str(error)
    raise AssertionError("not refused")
"""


# Left in the middle: 3.12.1 and 3.13.0 may crash when they end such an interpreter, without us.
END = """
import os
sys.stdout.flush()
os._exit(0)
"""


def run_isolated(code: str) -> str:
    return run_python(RUN, BEGIN + textwrap.dedent(code) + END).stdout


def test_it_freezes_its_own_threads() -> None:
    printed = run_isolated(
        """
        freezer = Freezer()
        over = []
        def work():
            with freezer.register("w"):
                while not over:
                    freezer.safepoint()
        thread = threading.Thread(target=work)
        thread.start()
        while not freezer.threads():
            pass
        with freezer.freeze(timeout=10) as world:
            print(world.threads[0].state, world.call(thread, threading.get_ident) == thread.ident)
            world.threads[0].stack()
        freezer.dump(sys.stdout, timeout=10)
        over.append(1)
        thread.join()
        """
    )
    assert printed.startswith("State.FROZEN True\n")
    assert "w (ident" in printed


def test_who_does_not_stop_is_named() -> None:
    printed = run_isolated(
        """
        freezer = Freezer()
        go = threading.Event()
        def work():
            with freezer.register("w"):
                go.wait()
        thread = threading.Thread(target=work)
        thread.start()
        while not freezer.threads():
            pass
        print(refused(lambda: freezer.freeze(timeout=0.01)))
        go.set()
        thread.join()
        """
    )
    assert "1 of 1 threads did not stop" in printed


def test_what_needs_a_daemon_thread_says_so() -> None:
    printed = run_isolated(
        """
        freezer = Freezer()
        print(refused(lambda: freezer.freeze(lease=5)))
        print(refused(lambda: freezer.hold(lease=5)))
        print(refused(freezer.serve))
        print(freezer.armed)
        """
    )
    lease, hold, serve, armed = printed.splitlines()
    assert lease == hold
    assert lease.startswith("a lease needs a daemon thread, and has none: ")
    assert serve.startswith("serve() needs a daemon thread, and has none: ")
    assert armed == "False"


def test_a_checkpoint_says_that_it_cannot_fork(tmp_path: Any) -> None:
    printed = run_isolated(
        f"""
        from freezethreads.checkpoint import Checkpointer, FileStore
        store = FileStore({str(tmp_path / "f")!r})
        print(Checkpointer(Freezer(), store, lambda: 1).checkpoint().sequence, store.load())
        print(refused(Checkpointer(Freezer(), store, lambda: 1, mode="fork").checkpoint))
        print(refused(Checkpointer(Freezer(), store, lambda: 1, every=1).start))
        """
    )
    made, fork, every = printed.splitlines()
    assert made == "1 1"
    assert fork.startswith("no child could be forked: ")
    assert every.startswith("every=seconds needs a daemon thread, and has none: ")


def test_a_signal_is_refused() -> None:
    printed = run_isolated("print(refused(freezethreads.register_signal, ValueError))")
    assert "main interpreter" in printed


@pytest.mark.parametrize(
    "name", ["sync", "checkpoint", "control", "cli", "testing", "integrations.asyncio_loop"]
)
def test_every_room_can_be_imported(name: str) -> None:
    importlib.import_module(f"freezethreads.{name}")
    run_isolated(f"import freezethreads.{name}; print('fine')")


def test_a_lease_without_a_thread_lets_all_go(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "freezethreads-lease":
            raise RuntimeError("can't start new thread")
        start(thread)

    freezer = Freezer()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with looping(freezer, 1):
        for ask in (freezer.freeze, freezer.hold):
            with pytest.raises(FreezeError, match=r"a lease needs .*: can't start new thread"):
                ask(lease=5)
            assert not freezer.armed
            assert freezer.threads()[0].state is State.RUNNING
