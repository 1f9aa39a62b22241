"""However a freeze ends, its hooks are undone once, in reverse, before the first thread runs."""

from __future__ import annotations

import logging
import textwrap
import threading
from collections.abc import Callable, Iterator

import pytest

from fork_helpers import Fork, forked, in_child
from freezethreads import Freezer, HookFailed, LeaseExpired, State
from freezethreads._controller.standing import standing, thaw_abandoned
from freezing import Actor, Loops, Pause, actor, looping
from helpers import WAIT, raise_once, run_python, start, wait_until

LEASE = 0.3  # seconds: long enough for what comes before it is to run out


class Undone:
    """Three hooks, which note what is called, and whether a thread runs at that moment."""

    def __init__(self) -> None:
        self.freezer = Freezer("undone")
        self.calls: list[str] = []
        self.running: list[str] = []
        self.inside: dict[str, Callable[[], object]] = {}
        for name in "abc":
            self.freezer.hook(self._call(f"+{name}"), self._call(f"-{name}"), name=name)

    def _call(self, name: str) -> Callable[[], None]:
        def call() -> None:
            self.calls.append(name)
            for info in self.freezer.threads():
                if info.name.startswith("loop") and info.state is not State.FROZEN:
                    self.running.append(name)
            self.inside.get(name, int)()

        return call

    def until(self, calls: str) -> None:
        """Wait until all that was called is this."""
        wait_until(lambda: " ".join(self.calls) == calls)


@pytest.fixture
def undone() -> Iterator[Undone]:
    undone = Undone()
    yield undone
    assert not undone.freezer.armed


@pytest.fixture
def loops(undone: Undone) -> Iterator[Loops]:
    with looping(undone.freezer, 2) as loops:
        yield loops


ALL = "+a +b +c -c -b -a"


def check(undone: Undone, loops: Loops, calls: str = ALL) -> None:
    """That was called, while all stood, and they run now."""
    undone.until(calls)
    assert not undone.running
    loops.progress()


def hang(undone: Undone, loops: Loops) -> None:
    """Have the lease of what stands run out, in a watchdog's place, and wait until they run."""
    (freeze,) = standing(undone.freezer)
    start(undone.freezer._controller.expire, freeze)
    loops.progress()


def test_a_lease_that_runs_out_in_the_block(
    undone: Undone, loops: Loops, caplog: pytest.LogCaptureFixture
) -> None:
    undone.inside["-b"] = raise_once(ValueError)
    with (
        pytest.raises(LeaseExpired) as info,
        undone.freezer.freeze(timeout=WAIT, lease=LEASE),
    ):
        loops.progress()
    assert isinstance(info.value.__cause__, ExceptionGroup)
    check(undone, loops)
    wait_until(lambda: len(caplog.records) == 2)
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]


def test_a_lease_that_runs_out_in_a_before(undone: Undone, loops: Loops) -> None:
    """What had returned is undone by the watchdog, and the one that hangs when it returns."""
    undone.inside["+b"] = lambda: hang(undone, loops)
    with pytest.raises(LeaseExpired):
        undone.freezer.freeze(timeout=WAIT)
    assert undone.calls == ["+a", "+b", "-a", "-b"]
    assert undone.running == ["-b", "-b"]  # that one could not be waited for
    loops.progress()


def test_a_before_that_outlasts_the_lease_and_raises(undone: Undone, loops: Loops) -> None:
    def fail() -> None:
        hang(undone, loops)
        raise ValueError

    undone.inside["+b"] = fail
    with pytest.raises(HookFailed):
        undone.freezer.freeze(timeout=WAIT)
    check(undone, loops, "+a +b -a")


def test_a_lease_that_runs_out_in_an_after(undone: Undone, loops: Loops) -> None:
    """All are let go, although one hangs; the rest is called when that one goes on."""
    undone.inside["-b"] = lambda: hang(undone, loops)
    with undone.freezer.freeze(timeout=WAIT):
        assert " ".join(undone.calls) == "+a +b +c"
    assert undone.calls == ALL.split()
    assert undone.running == ["-a", "-a"]
    loops.progress()


def test_a_watchdog_that_hangs_in_an_after_has_its_time_once_more(
    undone: Undone, loops: Loops, caplog: pytest.LogCaptureFixture
) -> None:
    undone.inside["-b"] = loops.progress
    with pytest.raises(LeaseExpired), undone.freezer.freeze(timeout=WAIT, lease=LEASE):
        loops.progress()
    undone.until(ALL)
    wait_until(lambda: not any(t.name == "freezethreads-lease" for t in threading.enumerate()))
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.endswith("its lease ran out, and one of its hooks hangs")
    assert undone.freezer.statistics().lease_expiries == 1


def test_a_lease_of_an_inner_world_ends_no_unwinding(undone: Undone, loops: Loops) -> None:
    with undone.freezer.freeze(timeout=WAIT):
        with undone.freezer.freeze(lease=WAIT) as inner:
            (lease,) = inner._freeze.leases
        lease._run_out()
        assert undone.calls == ["+a", "+b", "+c"]
    check(undone, loops)


def test_who_leaves_while_the_watchdog_undoes_waits_for_it(undone: Undone, loops: Loops) -> None:
    pause = Pause()
    undone.inside["-c"] = pause
    with actor() as controller:
        world = controller.do(undone.freezer.freeze, timeout=WAIT, lease=WAIT)
        expiring = start(undone.freezer._controller.expire, world._freeze)
        pause.wait()
        leaving = controller.tell(world.__exit__)
        unwinding = world._freeze.unwinding
        assert unwinding is not None
        wait_until(lambda: bool(unwinding._bells))
        assert not leaving.done()
        pause.go()
        expiring.finish()
        assert isinstance(leaving.exception(WAIT), LeaseExpired)
    check(undone, loops)


def test_the_end_of_the_controllers_thread(undone: Undone, loops: Loops) -> None:
    kept: list[object] = []
    start(lambda: kept.append(undone.freezer.freeze(timeout=WAIT))).finish()
    check(undone, loops)


def test_a_world_that_nobody_refers_to(undone: Undone, loops: Loops) -> None:
    undone.freezer.freeze(timeout=WAIT)
    check(undone, loops)


def test_a_hold_that_nobody_refers_to(undone: Undone, loops: Loops) -> None:
    undone.freezer.hold(timeout=WAIT, hooks=True)
    check(undone, loops)


def test_given_up_by_a_tool(undone: Undone, loops: Loops) -> None:
    world = undone.freezer.freeze(timeout=WAIT)
    (freeze,) = standing(undone.freezer)
    thaw_abandoned(undone.freezer, freeze, "test")
    check(undone, loops)
    world.thaw()


def test_given_up_by_a_tool_while_somebody_undoes_it(undone: Undone, loops: Loops) -> None:
    """Who thaws is not disturbed."""
    pause = Pause()
    undone.inside["-b"] = pause
    world = undone.freezer.freeze(timeout=WAIT)
    with actor() as other:
        thawing = other.tell(world.thaw)
        pause.wait()
        (freeze,) = standing(undone.freezer)
        thaw_abandoned(undone.freezer, freeze, "test")
        assert undone.freezer.threads()[0].state is State.FROZEN
        pause.go()
        thawing.result(WAIT)
    check(undone, loops)


def test_an_exception_in_the_block(undone: Undone, loops: Loops) -> None:
    with pytest.raises(ZeroDivisionError):
        undone.freezer.run_frozen(lambda: 1 / 0)
    check(undone, loops)


# The child of a fork, in which nothing is undone.


@pytest.mark.parametrize("where", ["+b", "|", "-b"])
def test_fork(undone: Undone, where: str) -> None:
    def body(fork: Fork) -> None:
        undone.inside[where] = fork
        with undone.freezer.freeze(timeout=WAIT):
            undone.inside.get("|", int)()
        undone.inside.clear()

    def check() -> None:
        """The parent undoes it. In the child what was called before the fork stays; and its own
        freezes call them all."""
        inherited = {"+b": "+a +b", "|": "+a +b +c", "-b": "+a +b +c -c -b"}[where]
        assert " ".join(undone.calls) == inherited
        undone.calls.clear()
        undone.freezer.freeze(timeout=WAIT).thaw()
        assert undone.calls == ALL.split()

    with looping(undone.freezer, 1) as loops:
        forked(body, check)
        assert not in_child()
        undone.until(ALL)
        loops.progress()


@pytest.mark.parametrize("inside", ["+b", "-b"])
def test_fork_by_another_thread_in_the_middle(undone: Undone, inside: str) -> None:
    pause = Pause()
    undone.inside[inside] = pause
    controller = Actor()
    freezing = controller.tell(lambda: undone.freezer.freeze(timeout=WAIT).thaw())
    pause.wait()

    def check() -> None:
        undone.inside.clear()
        undone.calls.clear()
        undone.freezer.freeze(timeout=WAIT).thaw()
        assert undone.calls == ALL.split()

    forked(lambda fork: fork(), check)
    pause.go()
    freezing.result(WAIT)
    controller.finish()
    assert undone.calls == ALL.split()


# The end of the interpreter.

PRELUDE = """
import threading
import freezethreads as ft

def work():
    with ft.register():
        up.set()
        while not over.wait(0.001):
            ft.safepoint()

up, over = threading.Event(), threading.Event()
worker = threading.Thread(target=work)
worker.start()
up.wait(10)
for name in "abc":
    ft.hook(lambda n=name: print("+" + n, end=" "), lambda n=name: print("-" + n, end=" "))
"""


def run(code: str) -> str:
    return run_python(PRELUDE + textwrap.dedent(code)).stdout


def test_the_end_of_the_main_thread_undoes_what_stands() -> None:
    printed = run("""
    import threading
    world = ft.freeze()
    over.set()
    """)
    assert printed == "+a +b +c -c -b -a "


def test_the_end_does_not_wait_for_a_daemon_in_a_hook() -> None:
    printed = run("""
    def hang():
        inside.set()
        threading.Event().wait()

    inside = threading.Event()
    ft.hook(after=hang)
    threading.Thread(target=lambda: ft.freeze().thaw(), daemon=True).start()
    inside.wait(10)
    over.set()
    """)
    assert printed == "+a +b +c "
