"""Promise 5: a todo runs exactly once, in its target's context, in order; and `world.call`."""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import CancelledError

import pytest

from freezethreads import FreezeError, Freezer, NotRegistered, ThreadBlocked, ThreadExited
from freezethreads._refrigerator import refrigerator
from freezethreads._registry.todos import Todo
from freezing import Pause, actor, after, looping, puppet, puppets, rig_todo
from helpers import WAIT, start, wait_for

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="nobody's")


def test_each_runs_once_in_its_thread() -> None:
    freezer = Freezer()
    with looping(freezer, 3):
        futures = [freezer.todo_all(threading.get_ident) for _ in range(50)]
        idents = {info.ident for info in freezer.threads()}
        for asked in futures:
            assert {future.result(WAIT) for future in asked} == idents
    assert freezer.statistics().todos_run == 150
    assert not freezer.armed


def test_it_runs_in_the_context_of_its_target() -> None:
    freezer = Freezer()
    local = threading.local()
    with puppet(freezer) as thread:
        thread.do(setattr, local, "value", "the puppet's")
        thread.do(VARIABLE.set, "the puppet's")
        local.value = "mine"
        seen = freezer.todo(thread.worker, lambda: (local.value, VARIABLE.get()))
        thread.do(freezer.safepoint)
        assert seen.result(0) == ("the puppet's", "the puppet's")


def test_priority_and_then_arrival() -> None:
    freezer = Freezer()
    order: list[str] = []
    with puppet(freezer) as thread:
        for name, priority in (("a", 0), ("b", 1.5), ("c", 0), ("d", -1), ("e", 1.5)):
            freezer.todo(thread.worker, order.append, name, priority=priority)
        thread.do(freezer.safepoint)
    assert "".join(order) == "beacd"


def test_what_a_todo_adds_waits_for_the_next_visit() -> None:
    freezer = Freezer()
    runs: list[int] = []

    def again() -> None:
        runs.append(1)
        freezer.safepoint()
        freezer.todo(threading.get_ident(), again)

    with puppet(freezer) as thread:
        freezer.todo(thread.worker, again)
        for count in range(1, 4):
            thread.do(freezer.safepoint)
            assert len(runs) == count


def test_an_exception_goes_to_the_future() -> None:
    freezer = Freezer()
    with puppet(freezer) as thread:
        futures = [freezer.todo(thread.worker, divmod, 1, 0) for _ in range(2)]
        interrupted = freezer.todo(thread.worker, interrupt)
        thread.do(freezer.safepoint)
        assert all(isinstance(future.exception(0), ZeroDivisionError) for future in futures)
        assert isinstance(interrupted.exception(0), KeyboardInterrupt)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_cancelled_one_does_not_run() -> None:
    freezer = Freezer()
    runs: list[int] = []
    with puppet(freezer) as thread:
        future = freezer.todo(thread.worker, runs.append, 1)
        assert future.cancel()
        thread.do(freezer.safepoint)
    with pytest.raises(CancelledError):
        future.result(0)
    assert not runs
    assert not freezer.armed


def test_the_end_of_a_region_makes_them_too() -> None:
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer) as thread:
        region = thread.block(over)
        future = freezer.todo(thread.worker, int)
        assert not future.done()
        over.set()
        region.result(WAIT)
        assert future.result(0) == 0


def test_to_oneself() -> None:
    freezer = Freezer()
    with freezer.register():
        future = freezer.todo(threading.current_thread(), int)
        freezer.safepoint()
        assert future.result(0) == 0


def test_nobody_who_exits_keeps_a_todo() -> None:
    freezer = Freezer()
    with puppet(freezer):
        info = freezer.threads()[0]
        future = freezer.todo(info, int)
    assert isinstance(future.exception(WAIT), ThreadExited)
    assert not freezer.armed
    with pytest.raises(ThreadExited):
        freezer.todo(info, int)
    with pytest.raises(NotRegistered):
        freezer.todo(threading.main_thread(), int)


def test_who_is_not_registered_has_not_exited() -> None:
    freezer, another = Freezer(), Freezer()
    with puppet(another):
        (info,) = another.threads()
        with pytest.raises(NotRegistered, match="is not registered with this freezer"):
            freezer.todo(info, int)
    with pytest.raises(ThreadExited):
        freezer.todo(info, int)


def test_posted_after_the_target_has_looked_for_the_last_time() -> None:
    """
    1. the thread exits: it says so, and has copied its list
    2. a todo is put on the list; who asks sees that the thread exited, and takes it off
    3. the thread empties the list that it copied
    """
    freezer = Freezer()
    with puppet(freezer) as thread:
        record, pause = thread.record, Pause(thread.worker)
        rig_todo(thread, after_list=lambda: pause() if record.exited else None)
        leave = thread.tell(freezer.unregister)
        pause.wait()
        with pytest.raises(ThreadExited):
            freezer._registry.post(record, Todo(int, (), 0))
        pause.go()
        leave.result(WAIT)
        assert not record.todo
        assert not freezer.armed
        thread.do(freezer.register)


def test_posted_just_before_the_target_exits() -> None:
    """
    1. a todo is put on the list of a thread
    2. the thread exits: it refuses what is on its list
    3. who asks sees that the thread exited, and finds nothing to take off
    """
    freezer = Freezer()
    with puppet(freezer) as thread:
        rig_todo(thread, after_set=lambda _: thread.do(freezer.unregister))
        future = freezer.todo(thread.worker, int)
        assert isinstance(future.exception(0), ThreadExited)
        assert not freezer.armed
        thread.do(freezer.register)


def test_refused_while_it_is_about_to_run_says_why() -> None:
    """
    1. a todo is refused: the refusal has the claim, and has not told the future
    2. its thread comes to it, and finds it claimed
    """
    todo = Todo(int, (), 0)
    todo.refuse(FreezeError("thawed"))
    todo.run()
    assert str(todo.future.exception(0)) == "thawed"


def test_a_waker_is_called_for_each_request_and_may_raise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    freezer = Freezer()
    calls: list[threading.Thread] = []

    def waker() -> None:
        calls.append(threading.current_thread())
        raise LookupError

    with puppet(freezer, "", waker) as thread:
        future = freezer.todo(thread.worker, int)
        assert calls == [threading.main_thread()]
        thread.do(freezer.safepoint)
        assert future.result(0) == 0
        with pytest.raises(FreezeError):
            freezer.freeze(timeout=0)
        assert len(calls) == 2
    assert "the waker of thread" in caplog.text


def test_todo_all_asks_a_group() -> None:
    freezer = Freezer()
    with puppets(freezer, "io", "io.disk", "iota") as threads:
        futures = freezer.todo_all(threading.get_ident, group="io")
        for thread in threads:
            thread.do(freezer.safepoint)
        assert [f.result(0) for f in futures] == [t.worker.ident for t in threads[:2]]


def test_call_runs_in_a_parked_thread_and_returns_or_raises() -> None:
    freezer = Freezer()
    with looping(freezer, 2) as loops, freezer.freeze(timeout=WAIT) as world:
        for thread in loops.threads:
            assert world.call(thread, threading.get_ident) == thread.ident
            assert world.call(thread, freezer.safepoint) is None
            with pytest.raises(ZeroDivisionError):
                world.call(thread, divmod, 1, 0)
        with pytest.raises(TypeError):
            world.call(loops.threads[0], None)  # type: ignore[arg-type]


def test_call_right_after_the_freeze_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    1. the last thread has said that it stopped, and has not begun to wait
    2. the controller calls it: it is no thread in a blocking call
    """
    freezer = Freezer()
    stop = threading.Event()
    with puppet(freezer) as thread:
        pause = Pause(thread.worker)
        after(monkeypatch, refrigerator, "tell", pause)
        passing = thread.pass_safepoints(stop)
        with freezer.freeze(timeout=WAIT) as world:
            pause.wait()
            calling = start(world.call, thread.worker, threading.get_ident)
            calling.join(0.1)
            pause.go()
            assert calling.finish() == thread.worker.ident
        stop.set()
        passing.result(WAIT)


def test_call_in_a_thread_that_waits_to_register() -> None:
    freezer = Freezer()
    with actor() as late, freezer.freeze(timeout=WAIT, lease=WAIT / 2) as world:
        registered = late.tell(freezer.register)
        while not world.threads:
            pass

        def visit() -> int:
            freezer.safepoint()
            with freezer.blocking():
                return 7

        while True:
            try:
                assert world.call(late.worker, visit) == 7
                break
            except ThreadBlocked:
                pass  # not there yet
        world.thaw()
        registered.result(WAIT)


def test_call_cannot_reach_a_blocked_thread_or_a_free_one() -> None:
    freezer = Freezer()
    over = threading.Event()
    with puppets(freezer, "a", "b") as (blocked, free):
        region = blocked.block(over)
        with freezer.freeze(timeout=WAIT, group="a") as world:
            with pytest.raises(ThreadBlocked):
                world.call(blocked.worker, int)
            with pytest.raises(FreezeError):
                world.call(free.worker, int)
        with pytest.raises(FreezeError):
            world.call(blocked.worker, int)
        over.set()
        region.result(WAIT)
        wait_for(over)
