"""Forks under a guard: each in a world of its own, in which no lock is held that can be seen."""

from __future__ import annotations

import os
import pickle
import pty
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import freezethreads
from fork_helpers import check_alone, check_works, forked, had_by_another, looping
from freezethreads import ForkGuard, ForkUnsafe, Freezer, FreezeTimeout, sync
from freezethreads._install import _forks
from helpers import WAIT, start, wait_for, wait_until

HAS_ENGINE = sys.version_info >= (3, 12)
needs_engine = pytest.mark.skipif(not HAS_ENGINE, reason="needs sys.monitoring")
SOON = 0.3
"""Seconds after which a fork is refused whose lock nobody releases."""


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


@contextmanager
def held(lock: Any, freezer: Freezer | None = None, name: str = "holder") -> Iterator[None]:
    """A thread waits with the lock in its hands, and counts as stopped if there is a freezer."""
    has_it, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            has_it.set()
            enough.wait(3 * WAIT)

    def hold_in_region() -> None:
        assert freezer is not None
        with freezer.register(name), lock, freezer.blocking("with a lock"):
            has_it.set()
            enough.wait(3 * WAIT)

    holder = start(hold if freezer is None else hold_in_region, name=name)
    wait_for(has_it)
    try:
        yield
    finally:
        enough.set()
        holder.finish()


def end_of(pid: int) -> int:
    """The exit status of a child."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fork_and_exit(status: Callable[[], int] = lambda: 0) -> int:
    """Fork a child that ends with this status, and return that."""
    pid = os.fork()
    if pid == 0:
        os._exit(status())
    return end_of(pid)


def works_with_lock(freezer: Freezer, lock: Any, wanted: threading.Event) -> None:
    """Lives inside the lock, and passes safepoints with it and without."""
    with freezer.register("worker"):
        while not wanted.is_set():
            with lock:
                freezer.safepoint("with the lock")
                time.sleep(0.001)
            freezer.safepoint("without")


@pytest.mark.parametrize("where", ["unlocked", "safepoint"])
@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock, sync.Lock, sync.RLock])
def test_no_lock_is_held_in_the_child(freezer: Freezer, where: Any, kind: Any) -> None:
    lock, over = kind(), threading.Event()
    worker = start(works_with_lock, freezer, lock, over)
    with freezer.guard_forks(where=where, timeout=WAIT) as guard:
        for _ in range(10):
            assert fork_and_exit(lambda: not lock.acquire(timeout=0)) == 0
        assert guard.forks == 10
        assert guard.refused == 0
    over.set()
    worker.finish()


def test_a_lock_that_stays_held_refuses_the_fork(freezer: Freezer) -> None:
    before = os.getpid()
    with held(threading.Lock(), freezer), freezer.guard_forks(timeout=SOON) as guard:
        with pytest.raises(ForkUnsafe, match="holder") as caught:
            os.fork()
        assert guard.refused == 1
        assert guard.last is None
    assert os.getpid() == before
    assert "a section of lock, at " in str(caught.value)
    assert f"{os.path.basename(__file__)}:" in str(caught.value)
    assert isinstance(caught.value, freezethreads.FreezeError)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    check_works(freezer, registered=False)


@pytest.mark.parametrize("kind", [sync.Lock, sync.RLock])
def test_a_lock_of_sync_is_seen_without_a_with_block(freezer: Freezer, kind: Any) -> None:
    has_it, enough = threading.Event(), threading.Event()
    lock = kind()

    def acquire() -> None:
        lock.acquire()

    def hold() -> None:
        with freezer.register("holder"):
            acquire()
            has_it.set()
            with freezer.blocking():
                enough.wait(WAIT)
            lock.release()

    with freezer.guard_forks(timeout=SOON):
        holder = start(hold)
        wait_for(has_it)
        with pytest.raises(ForkUnsafe, match=r"acquired at .*in .*acquire") as caught:
            os.fork()
        assert len(caught.value.held) == 1
        enough.set()
        holder.finish()
        assert fork_and_exit() == 0


def test_the_error_pickles_with_what_it_knows(freezer: Freezer) -> None:
    with (
        held(sync.Lock(), freezer),
        freezer.guard_forks(timeout=SOON),
        pytest.raises(ForkUnsafe) as caught,
    ):
        os.fork()
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.held == caught.value.held
    assert len(again.stragglers) == len(caught.value.stragglers)
    assert again.held or again.stragglers


@pytest.mark.parametrize("on_failure", ["warn", "log"])
def test_forks_all_the_same(
    freezer: Freezer, on_failure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        held(threading.Lock(), freezer),
        freezer.guard_forks(timeout=SOON, on_failure=on_failure) as guard,
    ):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            assert fork_and_exit() == 0
        assert (guard.forks, guard.refused) == (0, 1)
    kinds = [warning.category for warning in seen]
    assert kinds.count(RuntimeWarning) == (on_failure == "warn")
    assert DeprecationWarning in kinds or not HAS_ENGINE
    (record,) = [r for r in caplog.records if "forking all the same" in r.message]
    assert "holder" in record.message
    files = [warning.filename for warning in seen if warning.category is RuntimeWarning]
    assert files in ([], [__file__])


def test_a_warning_that_is_an_error_forks_nothing(freezer: Freezer) -> None:
    with (
        held(threading.Lock(), freezer),
        freezer.guard_forks(timeout=SOON, on_failure="warn"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(RuntimeWarning):
            os.fork()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_the_deprecation_warning_is_kept_away_under_the_guard_alone(freezer: Freezer) -> None:
    with looping(freezer, "loop"):
        for guarded in (False, True, False):
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                if guarded:
                    with freezer.guard_forks(timeout=WAIT):
                        fork_and_exit()
                else:
                    fork_and_exit()
            assert bool(seen) is (HAS_ENGINE and not guarded)


def test_an_unsafe_fork_in_a_world_is_warned_of(freezer: Freezer) -> None:
    """The world alone would keep the warning away: but here somebody has looked."""
    with (
        held(threading.Lock(), freezer),
        freezer.guard_forks(timeout=SOON, on_failure="log"),
        freezer.freeze(timeout=WAIT),
        warnings.catch_warnings(record=True) as seen,
    ):
        warnings.simplefilter("always")
        fork_and_exit()
    assert bool(seen) is HAS_ENGINE


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "unregistered"])
def test_the_child_has_a_working_freezer_and_the_guard(freezer: Freezer, registered: bool) -> None:
    def check() -> None:
        check_alone(freezer, registered)
        assert (guard.forks, guard.last) == (0, None)
        assert fork_and_exit() == 0
        assert guard.forks == 1

    registration = freezer.register("forker") if registered else None
    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT) as guard:
        forked(lambda fork: fork(), check)
        assert guard.forks == 1
    check_works(freezer, registered)
    if registration is not None:
        freezer.unregister()


def read_to_end(descriptor: int) -> bytes:
    """What comes from a terminal until nobody has it open any more."""
    said = b""
    try:
        while chunk := os.read(descriptor, 4096):
            said += chunk
    except OSError:  # as Linux says that it ends
        pass
    os.close(descriptor)
    return said


def test_forkpty_and_pty_fork(freezer: Freezer) -> None:
    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT) as guard:
        for fork in (os.forkpty, pty.fork):
            pid, descriptor = fork()
            if pid == 0:
                os._exit(0)
            said = read_to_end(descriptor)
            assert (end_of(pid), said) == (0, b"")
        assert guard.forks == 2
        assert guard.last is not None
        assert guard.last.pid == pid


def test_what_was_copied_from_os_is_guarded_and_put_back(freezer: Freezer) -> None:
    module: Any = types.ModuleType("copied_from_os")
    sys.modules[module.__name__] = module
    original = os.fork
    module.make_child = original
    try:
        with freezer.guard_forks(timeout=WAIT) as guard:
            copied_now = os.fork
            assert module.make_child is copied_now is not original
            pid = module.make_child()
            if pid == 0:
                os._exit(0)
            assert end_of(pid) == 0
            assert guard.forks == 1
        assert module.make_child is os.fork is original
        assert sys.modules["posix"].fork is original
    finally:
        del sys.modules[module.__name__]
    pid = copied_now()  # which only passes the call on from then on
    if pid == 0:
        os._exit(0)
    assert end_of(pid) == 0
    assert guard.forks == 1


def test_what_somebody_else_has_put_in_its_place_is_left(
    freezer: Freezer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs: Callable[[], int] = lambda: 0  # noqa: E731
    monkeypatch.setattr(os, "fork", os.fork)
    with freezer.guard_forks():
        os.fork = theirs
    assert os.fork is theirs
    assert "os.fork was replaced by somebody else" in caplog.text


# Where the fork is made.


@needs_engine
@pytest.mark.parametrize("where", ["safepoint", "unlocked", "anywhere"])
def test_in_a_world_of_its_own(freezer: Freezer, where: Any) -> None:
    lock, over = threading.Lock(), threading.Event()

    def live() -> None:  # is stopped by "anywhere" with the lock, perhaps, and is no member
        while not over.is_set():
            with lock:
                time.sleep(0.0005)
            time.sleep(0.0005)

    other = start(live)
    with looping(freezer, "loop"), freezer.guard_forks(timeout=SOON):
        for _ in range(5):
            with freezer.freeze(timeout=WAIT, where=where) as world:
                if world.locks:
                    with pytest.raises(ForkUnsafe):
                        os.fork()
                else:
                    assert fork_and_exit(lambda: not lock.acquire(timeout=0)) == 0
    over.set()
    other.finish()


def test_in_a_world_in_which_one_stands_with_a_lock(freezer: Freezer) -> None:
    lock = threading.Lock()
    with (
        held(lock, freezer),
        freezer.guard_forks(timeout=SOON),
        freezer.freeze(timeout=WAIT),
        pytest.raises(ForkUnsafe, match="holder"),
    ):
        os.fork()


def test_in_a_world_of_a_group_others_stop_too(freezer: Freezer) -> None:
    """On 3.11 nobody can stop them besides, so there it is refused."""
    with (
        looping(freezer, "loop"),
        freezer.guard_forks(timeout=WAIT),
        freezer.freeze(timeout=WAIT, group="nobody"),
    ):
        if HAS_ENGINE:
            assert fork_and_exit() == 0
        else:
            with pytest.raises(ForkUnsafe, match="does not cover"):
                os.fork()


def test_in_a_todo(freezer: Freezer) -> None:
    with looping(freezer, "loop") as worker, freezer.guard_forks(timeout=WAIT) as guard:
        assert freezer.todo(worker, fork_and_exit).result(WAIT) == 0
        assert guard.forks == 1


@pytest.mark.parametrize("where", ["safepoint", "unlocked"] if HAS_ENGINE else ["safepoint"])
def test_in_a_call_of_somebody_elses_world(freezer: Freezer, where: Any) -> None:
    with looping(freezer, "caller") as worker, freezer.guard_forks(timeout=WAIT) as guard:
        with freezer.freeze(timeout=WAIT, where=where) as world:
            assert world.call(worker, fork_and_exit) == 0
            assert guard.forks == 1
        assert fork_and_exit() == 0


def test_in_a_call_for_a_world_whose_thread_has_a_lock(freezer: Freezer) -> None:
    lock = threading.Lock()
    with looping(freezer, "caller") as worker, freezer.guard_forks(timeout=SOON):
        with (
            freezer.freeze(timeout=WAIT) as world,
            lock,
            pytest.raises(ForkUnsafe, match="MainThread"),
        ):
            world.call(worker, os.fork)
        assert fork_and_exit() == 0


@needs_engine
def test_in_a_call_for_a_world_of_another_freezer(freezer: Freezer) -> None:
    other = Freezer("other")
    with (
        looping(other, "caller") as worker,
        freezer.guard_forks(timeout=WAIT),
        other.freeze(timeout=WAIT) as world,
    ):
        assert world.call(worker, fork_and_exit) == 0


def in_handler(call: Callable[[], object]) -> list[object]:
    """What `call` returned, or raised, in a signal handler of this thread."""
    results: list[object] = []

    def handle(*_: object) -> None:
        try:
            results.append(call())
        except ForkUnsafe as error:
            results.append(error)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        signal.raise_signal(signal.SIGUSR1)
        wait_until(lambda: bool(results))
    finally:
        signal.signal(signal.SIGUSR1, before)
    return results


@pytest.mark.parametrize("inside", ["nothing", "blocking", "no_freeze"])
def test_in_a_signal_handler(freezer: Freezer, inside: str) -> None:
    regions: dict[str, Any] = {"nothing": freezer.register, "blocking": freezer.blocking}
    with (
        looping(freezer, "loop"),
        freezer.guard_forks(timeout=WAIT),
        regions.get(inside, freezer.no_freeze)(),
    ):
        assert in_handler(fork_and_exit) == [0]


def test_in_a_signal_handler_that_has_interrupted_a_freeze(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for its own thread."""
    results: list[object] = []
    stop = freezer._controller._stop

    def interrupted(*args: Any) -> None:
        results.extend(in_handler(fork_and_exit))
        stop(*args)

    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT):
        with monkeypatch.context() as patch:
            patch.setattr(freezer._controller, "_stop", interrupted)
            with freezer.freeze(timeout=WAIT):
                pass
        (error,) = results
        assert isinstance(error, ForkUnsafe)
        assert "is under way in this very thread" in str(error)
        assert fork_and_exit() == 0


def acquire_and_release(lock: Any) -> None:
    """Wait for a lock, and have it for a moment."""
    assert lock.acquire(timeout=WAIT)
    lock.release()


def test_with_a_lock_of_its_own(freezer: Freezer) -> None:
    """The child owns it, too, and can release it."""
    lock = threading.Lock()

    def release() -> int:
        lock.release()
        return not lock.acquire(timeout=0)

    waits = start(acquire_and_release, lock)
    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT), lock:
        assert fork_and_exit(release) == 0
    waits.finish()


@needs_engine
def test_with_a_lock_for_which_one_waits_who_holds_another(freezer: Freezer) -> None:
    """That one cannot go on before the fork, and the child would find the other lock held."""
    mine, theirs = threading.Lock(), threading.Lock()

    def wait() -> None:
        with theirs, mine:
            pass

    with freezer.guard_forks(timeout=SOON):
        with mine:
            waits = start(wait, name="waits")
            wait_until(theirs.locked)
            with pytest.raises(ForkUnsafe, match=r"waits .*a section of theirs"):
                os.fork()
        waits.finish()


def test_two_at_once(freezer: Freezer) -> None:
    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT) as guard:
        forkers = [start(lambda: [fork_and_exit() for _ in range(5)]) for _ in range(3)]
        assert [forker.finish(3 * WAIT) for forker in forkers] == [[0] * 5] * 3
        assert guard.forks == 15


def test_of_an_interpreter_that_has_no_other_thread(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is stopped: not even at the interpreter's end, when nobody could be."""
    monkeypatch.setattr(_forks, "_others", lambda idents: [])
    with freezer.guard_forks() as guard:
        assert fork_and_exit() == 0
        assert guard.forks == 1
    assert freezer.statistics().freezes == 0


def test_while_a_group_is_held(freezer: Freezer) -> None:
    with (
        looping(freezer, "loop"),
        had_by_another(lambda: freezer.hold(timeout=WAIT)),
        freezer.guard_forks(timeout=WAIT),
    ):
        assert fork_and_exit() == 0


def test_while_one_is_held_with_a_lock(freezer: Freezer) -> None:
    """Nobody can wait for the hold's end, so the fork is refused when its own time is over."""
    with (
        held(threading.Lock(), freezer),
        had_by_another(lambda: freezer.hold(timeout=WAIT)),
        freezer.guard_forks(timeout=SOON),
        pytest.raises(ForkUnsafe),
    ):
        os.fork()


def test_while_another_thread_has_a_world(freezer: Freezer) -> None:
    with (
        had_by_another(lambda: freezer.freeze(timeout=WAIT)),
        freezer.guard_forks(timeout=SOON),
        pytest.raises(ForkUnsafe) as caught,
    ):
        os.fork()
    assert isinstance(caught.value.__cause__, FreezeTimeout)


def test_who_is_in_a_section_may_wait_for_who_has_stopped(freezer: Freezer) -> None:
    """As the manager of a process pool does: it joins a thread with a lock in its hands."""
    lock, over, has_it = threading.Lock(), threading.Event(), threading.Event()

    def end_soon() -> None:
        with freezer.register():
            while not over.is_set():
                freezer.safepoint()
            time.sleep(0.1)

    def join() -> None:
        with freezer.register("joins"), lock, freezer.blocking():
            has_it.set()
            worker.join(WAIT)

    worker = start(end_soon)
    joining = start(join)
    wait_for(has_it)
    with freezer.guard_forks(timeout=WAIT) as guard:
        over.set()
        assert fork_and_exit(lambda: not lock.acquire(timeout=0)) == 0
        assert guard.last is not None
    joining.finish()
    worker.finish()


# Which guard.


def test_the_newest_of_one_freezer_decides(freezer: Freezer) -> None:
    with held(threading.Lock(), freezer), freezer.guard_forks(timeout=SOON) as outer:
        with (
            freezer.guard_forks(timeout=SOON, on_failure="log") as inner,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", DeprecationWarning)
            assert fork_and_exit() == 0
        assert (outer.refused, inner.refused) == (0, 1)
        with pytest.raises(ForkUnsafe):
            os.fork()
    assert (outer.refused, inner.refused) == (1, 1)


def test_a_fork_has_to_satisfy_each_freezer(freezer: Freezer) -> None:
    other = Freezer("other")
    with looping(freezer, "loop"), looping(other, "loop too"):
        with freezer.guard_forks(timeout=WAIT) as one, other.guard_forks(timeout=WAIT) as two:
            assert fork_and_exit() == 0
            assert one.forks == two.forks == 1
        assert freezer.statistics().freezes == other.statistics().freezes == 1
        with (
            held(threading.Lock(), other),
            freezer.guard_forks(timeout=SOON, where="safepoint") as one,
            other.guard_forks(timeout=SOON, where="safepoint"),
            pytest.raises(ForkUnsafe),
        ):
            os.fork()
    assert one.forks == 0


def test_guards_may_end_in_any_order(freezer: Freezer) -> None:
    original = os.fork
    first, second = freezer.guard_forks(timeout=WAIT), freezer.guard_forks(timeout=WAIT)
    first.__enter__()
    second.__enter__()
    first.__exit__()
    assert fork_and_exit() == 0
    assert (first.forks, second.forks) == (0, 1)
    second.__exit__()
    second.__exit__()
    assert os.fork is original


def test_a_guard_is_entered_once(freezer: Freezer) -> None:
    with freezer.guard_forks() as guard:
        with pytest.raises(freezethreads.FreezeError, match="entered already"):
            guard.__enter__()
        assert "not in force" not in repr(guard)
        assert is_guarded()
    assert "not in force" in repr(guard)
    assert not is_guarded()


def is_guarded() -> bool:
    """Whether `os.fork` is another one. (Each copy that a module has is another one as well.)"""
    return not isinstance(os.fork, types.BuiltinFunctionType)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"where": "anywhere"}, ValueError),
        ({"where": "nowhere"}, ValueError),
        ({"where": 1}, TypeError),
        ({"timeout": -1}, ValueError),
        ({"timeout": "1"}, TypeError),
        ({"on_failure": "ignore"}, ValueError),
        ({"on_failure": None}, TypeError),
    ],
)
def test_wrong_arguments(freezer: Freezer, arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        freezer.guard_forks(**arguments)


def test_one_that_is_not_entered_does_nothing(freezer: Freezer) -> None:
    guard = freezer.guard_forks()
    assert isinstance(guard, ForkGuard)
    assert not is_guarded()
    assert guard.where == ("unlocked" if HAS_ENGINE else "safepoint")


# What it says.


@needs_engine
def test_who_was_in_a_call_of_c_is_named(freezer: Freezer) -> None:
    over = threading.Event()
    waits = start(over.wait, WAIT, name="waits in C")
    with freezer.guard_forks(timeout=WAIT) as guard:
        assert fork_and_exit() == 0
    over.set()
    waits.finish()
    assert guard.last is not None
    (said,) = [line for line in guard.last.in_calls if line.startswith("waits in C: ")]
    assert "call" in said
    assert guard.last.unseen == ()
    assert guard.last.waited > 0
    assert guard.last.paused > 0


def test_who_went_on_is_named(freezer: Freezer) -> None:
    over = threading.Event()
    waits = start(over.wait, WAIT, name="goes on")
    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT, where="safepoint") as guard:
        assert fork_and_exit() == 0
    over.set()
    waits.finish()
    assert guard.last is not None
    assert guard.last.unseen == ("goes on",)


def test_a_recursive_lock_of_multiprocessing_is_given_back_by_the_child(freezer: Freezer) -> None:
    """1. A thread has acquired it, and counts so in this process; 2. the child is forked, with the
    count of a thread that is not there; 3. the thread releases it; 4. the child acquires it, and
    releases it: it has to be free then, for this process as well."""
    import multiprocessing

    lock = multiprocessing.get_context("fork").RLock()
    has_it, enough = threading.Event(), threading.Event()

    def acquire() -> None:
        lock.acquire()  # here and not in a section: as one that was got while its thread stood

    def hold() -> None:
        acquire()
        has_it.set()
        enough.wait(WAIT)
        lock.release()

    holder = start(hold)
    wait_for(has_it)
    with freezer.guard_forks(timeout=WAIT):
        pid = os.fork()
    if pid == 0:
        lock.acquire()
        lock.release()
        os._exit(0)
    enough.set()
    holder.finish()
    assert end_of(pid) == 0
    assert lock.acquire(timeout=WAIT)
    lock.release()


def test_an_interrupt_after_the_fork_tells_of_the_child(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = _forks._let_go
    hits = iter([KeyboardInterrupt])

    def interrupted(stops: Any) -> None:
        for error in hits:
            raise error
        let_go(stops)

    parent = os.getpid()
    with (
        looping(freezer, "loop"),
        freezer.guard_forks(timeout=WAIT),
        monkeypatch.context() as patch,
    ):
        patch.setattr(_forks, "_let_go", interrupted)
        try:
            os.fork()
        except KeyboardInterrupt as error:
            if os.getpid() != parent:
                os._exit(0)
            (note,) = error.__notes__
        else:
            pytest.fail("nothing was raised")
    pid = int("".join(filter(str.isdigit, note)))
    assert end_of(pid) == 0
    check_works(freezer, registered=False)


@needs_engine
def test_an_exception_anywhere_leaves_nobody_frozen(freezer: Freezer) -> None:
    """At each line of the fork, in turn."""
    parent = os.getpid()
    file = _forks.__file__

    def interrupt_at(number: int) -> bool:
        """Whether there was a line of that number."""
        seen = iter(range(number))

        def trace(frame: Any, event: str, _: object) -> Any:
            if frame.f_code.co_filename != file:
                return None
            if event == "line" and next(seen, None) is None:
                sys.settrace(None)
                raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            pid = os.fork()
        except KeyboardInterrupt as error:
            sys.settrace(None)
            if os.getpid() != parent:
                os._exit(0)
            for note in getattr(error, "__notes__", ()):
                os.waitpid(int("".join(filter(str.isdigit, note))), 0)
            return True
        sys.settrace(None)
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return False

    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT):
        number = 0
        while interrupt_at(number):
            assert not freezer.armed
            number += 1
        assert number > 30
        check_works(freezer, registered=False)
