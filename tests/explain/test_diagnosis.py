"""The diagnosis in the same process: whose line it names, and what no seeded program shows."""

from __future__ import annotations

import ast
import asyncio
import linecache
import threading
from concurrent.futures import _base as futures
from contextlib import suppress
from functools import partial
from pathlib import Path
from traceback import FrameSummary
from typing import NoReturn

import pytest

import freezethreads
from freezethreads import Freezer, FreezeTimeout, default_freezer
from freezethreads._explain import diagnose, render_diagnosis
from freezethreads._explain._causes import common, of_the_program, takes_something, waits_in
from freezethreads._explain._diagnosis import _loop_in
from freezethreads._explain._source import (
    call_of,
    has_safepoint_around,
    loop_around,
)
from freezethreads._ground.files import PACKAGE, remoteness
from freezethreads._machine.deadlocks import find_deadlocks
from freezethreads._report.stacks import nearest
from freezethreads.integrations import asyncio_loop
from freezing import actor, looping
from helpers import HAS_GIL, WAIT, start, wait_for, wait_until
from machine import needs_monitoring

SOURCE = """\
def outer():
    while True:
        def inner():
            step()
        for item in items:
            step(
                item,
            )
        else:
            last()
        freezer.safepoint()


class Work:
    def run(self):
        for one in ones:
            for two in twos:
                safepoint()
            step(one)
        with lock:
            socket.poll().recv(10)
        return [step(x) for x in xs]
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "source.py"
    path.write_text(SOURCE)
    linecache.checkcache(str(path))
    return str(path)


def line(text: str) -> int:
    """The first line with this in it."""
    return next(n for n, each in enumerate(SOURCE.splitlines(), 1) if text in each)


@pytest.mark.parametrize(
    ("inside", "loop"),
    [
        ("            step()", None),  # in a function of its own, which no loop is in
        ("for item in items", "for item in items"),
        ("                item,", "for item in items"),
        ("last()", None),  # the loop is over; the one around it has a safepoint
        ("def outer", None),
        ("            step(one)", "for one in ones"),  # the inner one's safepoint is no help
        ("safepoint()", None),
        ("                safepoint()", None),
        ("with lock", None),
    ],
)
def test_the_loop_that_lacks_a_safepoint(source: str, inside: str, loop: str | None) -> None:
    assert loop_around(source, line(inside)) == (None if loop is None else line(loop))


def test_a_loop_that_has_a_safepoint_is_told(source: str) -> None:
    assert has_safepoint_around(source, line("last()"))
    assert not has_safepoint_around(source, line("with lock"))


@pytest.mark.parametrize("text", ["while True", "if x:\n", "\0"])
def test_what_is_no_python_has_no_loops(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    assert loop_around(str(path), 1) is None
    assert loop_around("<string>", 1) is None


@pytest.mark.parametrize("failures", [1, 1000])
def test_a_parser_that_others_have_disturbed_is_tried_again(
    failures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As two threads that parse at once disturb each other's on CPython 3.11."""
    path = tmp_path / "disturbed.py"
    path.write_text(f"while True:\n    pass  # {failures}\n")
    left = iter(range(failures))

    def parse(text: str) -> ast.AST:
        if next(left, None) is not None:
            raise SystemError("AST constructor recursion depth mismatch")
        return compile(text, "", "exec", ast.PyCF_ONLY_AST)

    monkeypatch.setattr(ast, "parse", parse)
    assert loop_around(str(path), 2) == (1 if failures == 1 else None)


def entry(filename: str, lineno: int = 1, name: str = "f", end: int | None = None) -> FrameSummary:
    """A frame; what it calls ends at a column of its line."""
    return FrameSummary(
        filename, lineno, name, lookup_line=False, end_lineno=lineno, colno=0, end_colno=end
    )


def test_what_is_called(source: str) -> None:
    text = "            socket.poll().recv(10)"
    assert call_of(entry(source, line("recv"), end=len(text))) == "socket.poll().recv"
    assert call_of(entry(source, line("with lock"))) == "with lock:"
    assert call_of(entry(source, line("step("))) == "step"
    assert call_of(entry("<a text>")) == ""
    assert call_of(entry(source, line("recv"))) == "socket.poll().recv"
    assert call_of(entry(source, line("recv")), "poll") == "socket.poll"
    assert call_of(entry(source, line("for one in ones"))) == "for one in ones:"


def test_whose_code_it_is() -> None:
    own = f"{PACKAGE}/_freezer.py"
    third, mine = "/opt/lib/site-packages/x.py", "/home/me/x.py"
    files = [mine, third, threading.__file__, own]
    assert [remoteness(file) for file in files] == [0, 1, 2, 3]
    assert remoteness(f"{PACKAGE}/demo/_work.py") == 0
    assert remoteness("<frozen runpy>") == 2
    assert remoteness("<string>") == 0
    stack = [entry(mine, 1), entry(mine, 2), entry(third), entry(threading.__file__), entry(own)]
    assert nearest(stack) is stack[1]
    assert nearest(stack[2:]) is stack[2]
    assert nearest([]) is None
    assert of_the_program(stack) == [stack[1], stack[0]]


def test_what_was_under_way_at_both_looks() -> None:
    first = [entry("a", 1, "run"), entry("a", 2, "work"), entry("b", 3, "one")]
    later = [entry("a", 1, "run"), entry("a", 5, "work"), entry("b", 7, "two")]
    assert [each.lineno for each in common(first, later)] == [1, 5]


def test_a_wait_in_a_queue_takes_something(source: str) -> None:
    user = entry(source, line("step("))
    assert takes_something([user, entry(threading.__file__)])
    assert takes_something([entry(source, line("with lock"))])
    assert not takes_something([user])
    assert not takes_something([])
    assert waits_in([]) == "a call"


def test_whether_what_is_waited_for_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "waits.py"
    lines = ["with lock:", "with urlopen(page) as answer:", "requests.get(page)", "jobs.get()"]
    path.write_text("\n".join(lines))
    lock, page, get, jobs = (entry(str(path), n, end=len(text)) for n, text in enumerate(lines, 1))
    standard = Path(threading.__file__).parent
    ssl, future = entry(f"{standard}/ssl.py", 9999), entry(futures.__file__)
    inside = entry(f"{standard}/multiprocessing/queues.py")
    assert waits_in([lock]) == "lock.acquire, at the beginning of `with lock:`"
    assert waits_in([page, ssl]) == f"`{lines[1]}` (in `` at ssl.py:9999)"
    assert waits_in([page]) == f"`{lines[1]}`"
    assert takes_something([lock])
    assert takes_something([jobs])
    assert takes_something([jobs, inside])
    assert not takes_something([page, ssl])
    assert not takes_something([get, ssl])
    assert not takes_something([get, future, entry(threading.__file__)])


def test_an_event_loop_is_not_to_be_put_into_a_blocking_region() -> None:
    def run() -> None:
        with freezer.register():
            asyncio.run(nap())

    async def nap() -> None:
        woken = asyncio.Event()
        naps.append((asyncio.get_running_loop(), woken))
        asleep.set()
        await woken.wait()

    freezer = Freezer()
    naps: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    asleep = threading.Event()
    thread = start(run)
    wait_for(asleep)
    (finding,) = diagnose(freezer, 0.05).findings
    loop, woken = naps[0]
    loop.call_soon_threadsafe(woken.set)
    thread.finish()
    assert (finding.cause, finding.line) == ("waiting", "asyncio.run(nap())")
    assert "blocking()" not in finding.advice
    assert "asyncio_loop.enrol()" in finding.advice


@pytest.mark.parametrize("enrolled", [True, False])
def test_a_coroutine_that_blocks_its_loop_is_to_await(enrolled: bool) -> None:
    """Neither its loop's waker nor a blocking region could help."""

    def run() -> None:
        if enrolled:
            asyncio.run(main())
        else:
            with freezer.register():
                asyncio.run(block())

    async def main() -> None:
        with asyncio_loop.enrol(freezer):
            await block()

    async def block() -> None:
        blocked.set()
        over.wait(WAIT)

    freezer = Freezer()
    blocked, over = threading.Event(), threading.Event()
    thread = start(run)
    wait_for(blocked)
    (finding,) = diagnose(freezer, 0.05).findings
    over.set()
    thread.finish()
    assert finding.line == "over.wait(WAIT)"
    assert "in a callback of its event loop" in finding.why
    assert "`await asyncio.to_thread(...)`" in finding.advice
    assert "waker" not in finding.why + finding.advice
    assert "`with " not in finding.advice


@pytest.mark.parametrize(
    ("freezer", "called"), [(default_freezer, "freezethreads"), (Freezer("x"), "freezer")]
)
def test_advice_says_what_the_program_can_write(freezer: Freezer, called: str) -> None:
    """There is a `freezer` only where the program has made one."""
    begun, over = threading.Event(), threading.Event()

    def compute() -> None:
        with freezer.register("computing"):
            begun.set()  # it stops in register() no more
            while not over.is_set():
                pass

    thread = start(compute)
    wait_for(begun)
    (finding,) = diagnose(freezer, 0.05).findings
    over.set()
    thread.finish()
    assert finding.advice.startswith(f"Put {called}.safepoint() into the loop at ")


def test_what_is_made_in_a_loop_is_not_in_it(source: str) -> None:
    """A lambda's line, or a generator's, tells where it was written, and not who runs it."""
    lineno = line("            step(one)")
    found = _loop_in([entry(source, lineno, "run")])
    assert found is not None
    assert (found.lineno, found.is_loop) == (line("for one in ones"), True)
    assert _loop_in([entry(source, lineno, "<lambda>")]) is None
    assert _loop_in([entry(source, lineno, "<genexpr>")]) is None
    assert _loop_in([entry(source, lineno, "<module>")]) == found._replace(function="<module>")


def test_another_controller_who_has_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise FreezeTimeout("the time ran out while <hold by other> had the freezer")

    monkeypatch.setattr(Freezer, "hold", fail)
    diagnosis = diagnose(Freezer(), 0.05)
    (finding,) = diagnosis.findings
    assert (finding.cause, finding.thread) == ("controller", None)
    text = render_diagnosis(diagnosis)
    assert "nobody could be stopped" in text
    assert "  the time ran out while <hold by other> had the freezer.\n" in text


def test_an_unregistered_controller_is_no_stranger() -> None:
    freezer = Freezer()
    over = threading.Event()
    stands = threading.Event()

    def compute_in_a_world() -> None:
        with freezer.freeze(timeout=WAIT):
            stands.set()
            while not over.is_set():
                pass

    with looping(freezer, 1):
        thread = start(compute_in_a_world, name="computing")
        wait_for(stands)
        diagnosis = diagnose(freezer, WAIT)
        over.set()
        thread.finish()
    assert diagnosis.healthy
    assert "computing" not in [warning.thread for warning in diagnosis.warnings]


def test_one_that_computes_without_a_world_is() -> None:
    freezer = Freezer()
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            pass

    with actor() as thread:
        computing = thread.tell(compute)
        diagnosis = diagnose(freezer, WAIT)
        over.set()
        computing.result(WAIT)
    (warning,) = (one for one in diagnosis.warnings if one.thread == "actor")
    text = render_diagnosis(diagnosis)
    assert f"warning: actor: unregistered at {__file__}:{warning.lineno}" in text
    assert "actor is not registered with freezer 'freezer', and went on" in text
    assert "`with freezer.register():`" in text
    assert "    while not over.is_set():\n" in text


@needs_monitoring
def test_a_mark_of_nothing_is_a_warning() -> None:
    freezethreads.atomic("nowhere:move")
    diagnosis = diagnose(Freezer(), WAIT)
    assert diagnosis.healthy
    text = render_diagnosis(diagnosis)
    assert "\nwarning: mark\n  'nowhere:move' is marked as atomic, but there is no module" in text


@needs_monitoring
@pytest.mark.skipif(not HAS_GIL, reason="nobody may read the frames of a thread that runs")
def test_that_those_in_it_are_in_a_section_is_told() -> None:
    """They are waited for, and do not stop. Nobody else did not."""
    freezer, barrier, locks = Freezer(), threading.Barrier(3), (threading.Lock(), threading.Lock())

    def embrace(first: threading.Lock, second: threading.Lock) -> None:
        with suppress(RuntimeError), first:  # which the test has released
            barrier.wait(WAIT)
            second.acquire()
            second.release()

    threads = [start(embrace, *order) for order in (locks, locks[::-1])]
    barrier.wait(WAIT)
    wait_until(lambda: len(find_deadlocks(reach=True)) == 1)
    diagnosis = diagnose(freezer, 0.3, partial(freezer.hold, where="unlocked"))
    for lock in locks:
        lock.release()
    for thread in threads:
        thread.finish()
    assert diagnosis.late == 2
    text = render_diagnosis(diagnosis)
    assert ": 2 threads caught in a deadlock. 2 of 2 threads did not stop. All were let go" in text
