"""Mode "fork": the child takes and saves what it has copied, and the world does not wait for it."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from checkpoints import Counters, last_of
from freezethreads import Freezer, LeaseExpired
from freezethreads.checkpoint import Checkpointer, FileStore, SQLiteStore, _modes
from freezethreads.checkpoint._child import Child, start_child
from helpers import WAIT, run_python, start


@pytest.fixture
def counters() -> Iterator[Counters]:
    made = Counters(2)
    yield made
    made.finish()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    with closing(FileStore(tmp_path / "state")) as made:
        yield made


def told_by_child(store: FileStore, take: Callable[[], Any]) -> Any:
    """What `take` returns in a child; it comes back through the store."""
    Checkpointer(Freezer(), store, take, mode="fork").checkpoint()
    return store.load()


@pytest.mark.parametrize("kind", [FileStore, SQLiteStore])
def test_what_is_saved_is_of_one_moment(
    counters: Counters, tmp_path: Path, kind: type[FileStore | SQLiteStore]
) -> None:
    with closing(kind(tmp_path / "s")) as store:
        checkpointer = Checkpointer(counters.freezer, store, lambda: counters.pairs, mode="fork")
        for sequence in range(1, 6):
            least = [pair[0] for pair in counters.pairs]
            made = checkpointer.checkpoint()
            assert made.sequence == sequence
            assert made.size is not None
            found = store.load()
            assert found is not None
            assert all(first == second for first, second in found)
            assert all(first >= old for (first, _), old in zip(found, least, strict=True))


def test_it_takes_and_saves_in_a_child(store: FileStore) -> None:
    taken: list[int] = []

    def take() -> tuple[int, int]:
        taken.append(1)
        return os.getpid(), threading.active_count()

    pid, threads = told_by_child(store, take)
    assert pid != os.getpid()
    assert threads == 1
    assert not taken


def test_the_world_goes_on_while_the_child_takes_and_saves(
    counters: Counters, tmp_path: Path
) -> None:
    """However long that takes: the child waits for a word that comes after all have gone on."""
    heard, say = os.pipe()

    class Slow(FileStore):
        def save(self, payload: Any) -> int:
            assert os.read(heard, 1) == b"s"
            return super().save(payload)

    with closing(Slow(tmp_path / "s")) as store:
        checkpointer = Checkpointer(
            counters.freezer, store, lambda: os.read(heard, 1), mode="fork", save_timeout=WAIT
        )
        worker = start(checkpointer.checkpoint)
        try:
            for word in (b"t", b"s"):
                counters.assert_running()
                counters.freezer.freeze(timeout=WAIT).thaw()  # nor has it kept the freezer
                assert last_of(checkpointer) is None
                os.write(say, word)
        finally:
            os.close(say)
            made = worker.finish()
            os.close(heard)
        assert store.load() == b"t"
        assert last_of(checkpointer) is made


def test_registered_threads_may_make_checkpoints(counters: Counters, store: FileStore) -> None:
    checkpointer = Checkpointer(counters.freezer, store, lambda: counters.pairs, mode="fork")

    def work() -> list[int]:
        with counters.freezer.register():
            return [checkpointer.checkpoint().sequence for _ in range(4)]

    workers = [start(work) for _ in range(3)]
    made = [sequence for worker in workers for sequence in worker.finish()]
    assert sorted(made) == list(range(1, 13))


def test_a_child_forked_under_a_lease_that_ran_out_is_ended(
    counters: Counters, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. All stand, and the child is forked. 2. The lease runs out: they go on. 3. The thaw."""
    children: list[Child] = []

    def start_slowly(work: Callable[[], int | None], at_end: ExitStack) -> Child:
        children.append(start_child(work, at_end))
        counters.assert_running()
        return children[0]

    monkeypatch.setattr(_modes, "start_child", start_slowly)
    checkpointer = Checkpointer(
        counters.freezer, store, threading.Event().wait, mode="fork", lease=0.05
    )
    with pytest.raises(LeaseExpired):
        checkpointer.checkpoint()
    with pytest.raises(ProcessLookupError):
        os.kill(children[0].pid, 0)
    assert store.load() is None


def test_the_child_has_left_the_parent_s_signal_handlers(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look() -> tuple[Any, ...]:
        numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGPIPE)
        return (*map(signal.getsignal, numbers), signal.pthread_sigmask(signal.SIG_BLOCK, []))

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    handled = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in handled}
    try:
        for number in before:
            signal.signal(number, lambda *_: None)
        found = told_by_child(store, look)
        assert signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        assert len(signal.pthread_sigmask(signal.SIG_BLOCK, [])) == len(mask | {signal.SIGUSR2})
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
    default, ignored = signal.SIG_DFL, signal.SIG_IGN
    assert found == (default, default, ignored, ignored, {*mask, signal.SIGUSR2})


def test_the_child_collects_none_of_the_parent_s_garbage(store: FileStore) -> None:
    class Connected:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            finalised.append(os.getpid())

    finalised: list[int] = []
    gc.disable()
    try:
        Connected()
        assert told_by_child(store, lambda: gc.collect() * 0 or finalised) == []
    finally:
        gc.enable()
    gc.collect()
    assert finalised == [os.getpid()]


QUIET = """
import atexit, sys, threading
from freezethreads import Freezer
from freezethreads.checkpoint import Checkpointer, FileStore

freezer = Freezer()
registered, done = threading.Event(), threading.Event()

def work():
    with freezer.register():
        registered.set()
        while not done.is_set():
            freezer.safepoint()

def take():
    print("in the child")
    sys.stdout.flush()
    return 1

sys.stdout.write("written once, and not flushed;")
atexit.register(print, "at exit;", end="")
thread = threading.Thread(target=work)
thread.start()
registered.wait()
store = FileStore(sys.argv[1])
for _ in range(3):
    with freezer.blocking("main", fork_safe=True):
        Checkpointer(freezer, store, take, mode="fork").checkpoint()
done.set()
thread.join()
store.close()
"""


def test_it_says_nothing_of_its_own_and_repeats_nothing(tmp_path: Path) -> None:
    """Nor does Python warn of the fork, from 3.12 on, which is an error in this run."""
    result = run_python(QUIET, str(tmp_path / "state"))
    assert result.stdout == "written once, and not flushed;at exit;"
    assert result.stderr == ""
