"""The end of the interpreter: it comes in time, whoever stands frozen, and says what it let go."""

from __future__ import annotations

import re
import textwrap

import pytest

from helpers import run_python

PRELUDE = """
import logging, os, sys, threading
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
import freezethreads as ft

ended = threading.Event()
kept = []

def work():
    with ft.register():
        up.set()
        while not ended.wait(0.001):
            ft.safepoint()

def start(target, daemon):
    thread = threading.Thread(target=target, daemon=daemon, name=target.__name__)
    thread.start()
    return thread

def start_work(daemon):
    global up
    up = threading.Event()
    worker = start(work, daemon)
    assert up.wait(10)
    return worker

def control(how):
    kept.append(how(reason="audit", timeout=10))
    standing.set()

standing = threading.Event()
"""

BOUND = 10.0  # seconds that any of these programs may take; they need a fraction of one


def run(code: str, check: bool = True) -> tuple[str, int]:
    """Run a program; return what it printed, and its exit status."""
    result = run_python(PRELUDE + textwrap.dedent(code), timeout=BOUND, check=check)
    if check:
        assert result.stderr == ""
    return result.stdout, result.returncode


def warned(output: str) -> list[tuple[str, str]]:
    """The warnings of thaws: kind of freeze and the thread that had it. All must say why."""
    found = re.findall(r"^WARNING <(\w+) by (\S+) for 'audit'> was thawed.*: (.*)$", output, re.M)
    assert len(found) == output.count("WARNING")
    assert all(why == "the main thread has ended" for _, _, why in found)
    return [(kind, holder) for kind, holder, _ in found]


END_WORK = "threading.Thread(target=lambda: (threading.main_thread().join(), ended.set())).start()"


@pytest.mark.parametrize("daemon", [True, False], ids=["daemon", "non-daemon"])
@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_main_thread_ends_with_others_frozen(kind: str, daemon: bool) -> None:
    output, _ = run(f"""
        start_work({daemon})
        {END_WORK}
        control(ft.{kind})
    """)
    assert warned(output) == [(kind, "MainThread")]


@pytest.mark.parametrize("daemon", [True, False], ids=["daemon", "non-daemon"])
@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_a_daemon_thread_has_others_frozen(kind: str, daemon: bool) -> None:
    output, _ = run(f"""
        def controller():
            control(ft.{kind})
            threading.Event().wait()
        start_work({daemon})
        {END_WORK}
        start(controller, True)
        assert standing.wait(10)
    """)
    assert warned(output) == [(kind, "controller")]


@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_a_thread_that_lives_on_thaws_by_itself(kind: str) -> None:
    output, _ = run(f"""
        def controller():
            control(ft.{kind})
            threading.main_thread().join()
            states = [info.state.name for info in kept[0].threads]
            print(states)
            ended.set()
            kept.pop().thaw()
        start_work(False)
        start(controller, False)
        assert standing.wait(10)
    """)
    assert output == "['FROZEN']\n"


@pytest.mark.parametrize("registered", ["", "with ft.register(group='controller'):"])
@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_a_daemon_that_is_about_to_stop_others_says_nothing(kind: str, registered: str) -> None:
    """It is woken as the main thread has ended, and waits for the end of the process, while a
    thread that lives on freezes, which it does not keep from that."""
    output, _ = run(f"""
        from freezethreads._controller import settling
        waits, over = settling.wait_for_the_end, threading.Event()
        def wait_for_the_end():
            over.set()
            waits()
        settling.wait_for_the_end = wait_for_the_end
        threading.excepthook = lambda report: (print(report.exc_value), over.set())
        def never_stop():
            with ft.register():
                up.set()
                threading.main_thread().join()
                ended.wait(10)
        def controller():
            {registered or "if True:"}
                ft.{kind}(reason="audit", timeout=None)
        def live_on():
            threading.main_thread().join()
            while not asked.done:
                pass
            asked.bell.ring()
            print(over.wait(5))
            ended.set()
            with ft.freeze({"group='controller', " if registered else ""}timeout=5) as world:
                print([info.state.name for info in world.threads if info.name == "controller"])
        up = threading.Event()
        start(never_stop, False)
        up.wait(10)
        start(live_on, False)
        controlling = start(controller, True)
        while not ((freezes := list(ft.default_freezer._registry.active)) and freezes[0].awaited):
            pass
        (asked,) = freezes
    """)
    assert warned(output) == [(kind, "controller")]
    assert [line for line in output.splitlines() if "WARNING" not in line] == [
        "True",
        "['FROZEN']" if registered else "[]",
    ]


def test_a_hold_whose_thread_has_ended_is_thawed() -> None:
    output, _ = run(f"""
        start_work(False)
        {END_WORK}
        def controller():
            control(ft.hold)
        start(controller, False).join()
    """)
    assert warned(output) == [("hold", "controller")]


def test_a_controller_that_is_frozen_itself_cannot_thaw() -> None:
    """Two holders that hold each other, neither of them a daemon."""
    output, _ = run("""
        def one():
            with ft.register(group="one"):
                control(lambda **how: ft.hold(group="two", **how))
                up.wait(10)
                while not ended.is_set():
                    ft.safepoint()
                kept[0].thaw()
        def two():
            with ft.register(group="two"):
                up.set()
                while not ended.wait(0.001):
                    ft.safepoint()
        up = threading.Event()
        start(two, False)
        up.wait(10)
        start(one, False)
        standing.wait(10)
        control(lambda **how: ft.hold(group="one", **how))
        threading.Thread(target=lambda: (threading.main_thread().join(), ended.set())).start()
    """)
    assert sorted(re.findall(r"WARNING <hold of group '(\w+)' by", output)) == ["one", "two"]


@pytest.mark.parametrize("end", ["sys.exit(3)", "raise ValueError('no')"])
def test_main_thread_ends_by_an_exception(end: str) -> None:
    output, status = run(
        f"""
        start_work(False)
        {END_WORK}
        control(ft.freeze)
        {end}
        """,
        check=False,
    )
    assert status == (3 if "exit" in end else 1)
    assert warned(output) == [("freeze", "MainThread")]


@pytest.mark.parametrize("end", ["sys.exit(3)", "raise ValueError('no')"])
def test_an_exception_that_leaves_the_with_block_thaws_as_ever(end: str) -> None:
    output, status = run(
        f"""
        start_work(False)
        {END_WORK}
        with ft.freeze():
            {end}
        """,
        check=False,
    )
    assert status == (3 if "exit" in end else 1)
    assert output == ""


def test_os_exit() -> None:
    output, status = run(
        """
        start_work(False)
        control(ft.freeze)
        os._exit(4)
        """,
        check=False,
    )
    assert (output, status) == ("", 4)


def test_workers_go_on_freezing_when_the_main_thread_has_ended() -> None:
    output, _ = run("""
        def controller():
            threading.main_thread().join()
            for _ in range(20):
                with ft.freeze(timeout=10) as world:
                    assert [info.state.name for info in world.threads] == ["FROZEN"]
            with ft.hold(timeout=10):
                pass
            ended.set()
            print("done")
        start_work(False)
        start(controller, False)
    """)
    assert output == "done\n"


def test_a_main_thread_that_ended_is_no_straggler() -> None:
    """Its locals outlive it, so nothing but the freezer's own hook can tell that it has ended."""
    output, _ = run("""
        def controller():
            threading.main_thread().join()
            with ft.freeze(timeout=None) as world:
                print(len(world.threads))
        ft.register("main")
        start(controller, False)
    """)
    assert output == "0\n"


def test_todos_of_a_main_thread_that_ended_fail() -> None:
    output, _ = run("""
        def asker():
            try:
                future.result(10)
            except ft.ThreadExited:
                print("exited")
        ft.register("main")
        future = ft.todo(threading.main_thread(), int)
        start(asker, False)
    """)
    assert output == "exited\n"


def test_threads_of_an_executor_are_let_go_before_they_are_joined() -> None:
    """The executor's own hook at exit, which joins, runs after the freezer's."""
    output, _ = run("""
        from concurrent.futures import ThreadPoolExecutor
        freed, up = threading.Event(), threading.Event()
        class Free(logging.Handler):
            def emit(self, record):
                freed.set()
        logging.getLogger("freezethreads").addHandler(Free())
        threading.Thread(target=lambda: (freed.wait(10), ended.set())).start()
        pool = ThreadPoolExecutor(1)
        pool.submit(work)
        assert up.wait(10)
        control(ft.hold)
    """)
    assert warned(output) == [("hold", "MainThread")]


def test_a_freeze_that_still_waits_is_given_up_if_its_thread_is_a_daemon() -> None:
    output, _ = run(f"""
        asked = threading.Event()
        def straggler():
            with ft.register(waker=asked.set):
                up.set()
                ended.wait(10)
        def controller():
            ft.freeze(reason="audit", timeout=None)
        up = threading.Event()
        start(straggler, False)
        up.wait(10)
        start_work(False)
        start(controller, True)
        assert asked.wait(10)
        {END_WORK}
    """)
    assert warned(output) == [("freeze", "controller")]


def test_every_freezer_is_looked_after() -> None:
    output, _ = run(f"""
        start_work(False)
        {END_WORK}
        others = [ft.Freezer(str(number)) for number in range(3)]
        for freezer in [ft.default_freezer, *others]:
            control(freezer.freeze)
    """)
    assert warned(output) == [("freeze", "MainThread")] * 4


def test_a_child_of_a_fork_inside_a_world_ends_like_any_program() -> None:
    output, _ = run("""
        start_work(True)
        with ft.freeze():
            pid = os.fork()
        if pid == 0:
            start_work(False)
            threading.Thread(target=lambda: (threading.main_thread().join(), ended.set())).start()
            control(ft.hold)
        else:
            assert os.waitpid(pid, 0)[1] == 0
    """)
    assert warned(output) == [("hold", "MainThread")]
