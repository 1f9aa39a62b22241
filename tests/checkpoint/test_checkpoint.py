"""The checkpointer: what is saved is of one moment, and nobody waits for longer than needed."""

from __future__ import annotations

import dataclasses
import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest

from checkpoints import Counters, Gate, MemoryStore, last_of
from freezethreads import Freezer, FreezeTimeout, LeaseExpired, State
from freezethreads._controller.standing import standing
from freezethreads._ground.deadline import Deadline
from freezethreads.checkpoint import (
    Checkpoint,
    Checkpointer,
    CheckpointError,
    FileStore,
    ForkUnsafe,
    Store,
    StoreError,
    _checkpointer,
)
from freezethreads.checkpoint._turn import Turn
from freezing import handing_on
from helpers import WAIT, start, wait_for


@pytest.fixture
def counters() -> Iterator[Counters]:
    made = Counters(2)
    yield made
    made.finish()


def test_the_store_is_a_store() -> None:
    assert isinstance(MemoryStore(), Store)


def test_what_is_saved_is_of_one_moment(counters: Counters) -> None:
    store = MemoryStore()
    checkpointer = Checkpointer(counters.freezer, store, lambda: counters.pairs)
    assert checkpointer.load() is None
    for _ in range(20):
        checkpointer.checkpoint()
        assert all(first == second for first, second in pickle.loads(store.payload or b""))


def test_all_stand_while_it_takes_and_none_while_it_saves(counters: Counters) -> None:
    found: list[set[State]] = []

    def look() -> int:
        found.append({info.state for info in counters.freezer.threads()})
        return 1

    store = MemoryStore(on_save=counters.assert_running, on_detach=look)
    Checkpointer(counters.freezer, store, look).checkpoint()
    assert found == [{State.FROZEN}] * 2


def test_the_outcome(counters: Counters) -> None:
    checkpointer = Checkpointer(counters.freezer, MemoryStore(), lambda: b"1234")
    assert last_of(checkpointer) is None
    first, second = checkpointer.checkpoint(), checkpointer.checkpoint()
    assert last_of(checkpointer) is second
    assert (first.sequence, second.sequence) == (1, 2)
    assert second.size == len(pickle.dumps(b"1234"))
    assert min(second.waited, second.frozen, second.saving) > 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        second.size = 3  # type: ignore[misc]


def test_an_error_of_take_or_save_is_raised_and_the_last_checkpoint_stays(
    counters: Counters,
) -> None:
    store = MemoryStore()
    checkpointer = Checkpointer(counters.freezer, store, lambda: 1 / answers.pop())
    answers = [4.0, 0.0, 2.0, 0.0]
    with pytest.raises(ZeroDivisionError):
        checkpointer.checkpoint()
    assert last_of(checkpointer) is None
    kept = checkpointer.checkpoint()
    with pytest.raises(ZeroDivisionError):
        checkpointer.checkpoint()
    store.on_save = lambda: os.stat("/missing")
    with pytest.raises(FileNotFoundError, match="/missing"):
        checkpointer.checkpoint()
    assert last_of(checkpointer) is kept
    assert checkpointer.load() == 0.5
    counters.assert_running()


@pytest.mark.parametrize("mode", ["inline", "fork"])
def test_take_must_return_something(mode: Literal["inline", "fork"]) -> None:
    """None is what `load()` returns when there is nothing."""
    store = MemoryStore()
    with pytest.raises((ValueError, CheckpointError), match="the payload is None"):
        Checkpointer(Freezer(), store, lambda: None, mode=mode).checkpoint()
    assert store.payload is None


def test_a_thread_that_does_not_stop(counters: Counters) -> None:
    gate = Gate()

    def stay() -> None:
        with counters.freezer.register("stubborn"):
            gate()

    worker = start(stay)
    wait_for(gate.reached)
    store = MemoryStore()
    try:
        with pytest.raises(FreezeTimeout, match="stubborn"):
            Checkpointer(counters.freezer, store, lambda: 1, timeout=0.05).checkpoint()
    finally:
        gate.go.set()
        worker.finish()
    assert store.payload is None
    counters.assert_running()


def test_nothing_is_saved_when_the_lease_runs_out(counters: Counters) -> None:
    store = MemoryStore()

    def take() -> int:
        counters.assert_running()  # which they do as soon as it has run out
        return 1

    with pytest.raises(LeaseExpired):
        Checkpointer(counters.freezer, store, take, lease=0.05).checkpoint()
    assert store.payload is None


def test_checkpoints_take_turns(counters: Counters) -> None:
    inside = threading.Lock()

    def save() -> None:
        assert inside.acquire(blocking=False)
        inside.release()

    checkpointer = Checkpointer(counters.freezer, MemoryStore(save), lambda: 1)
    workers = [start(lambda: [checkpointer.checkpoint() for _ in range(5)]) for _ in range(4)]
    made = [checkpoint for worker in workers for checkpoint in worker.finish()]
    assert sorted(checkpoint.sequence for checkpoint in made) == list(range(1, 21))


def test_a_thread_that_waits_for_its_turn_counts_as_stopped(counters: Counters) -> None:
    gate = Gate()
    checkpointer = Checkpointer(counters.freezer, MemoryStore(gate), lambda: 1)

    def work() -> Checkpoint:
        with counters.freezer.register():
            return checkpointer.checkpoint()

    first = start(work)
    wait_for(gate.reached)
    second = start(work)
    try:
        counters.freezer.freeze(timeout=WAIT / 2).thaw()
    finally:
        gate.go.set()
        assert {first.finish().sequence, second.finish().sequence} == {1, 2}


def test_a_turn_that_was_lost_is_not_waited_for_in_the_world(
    counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. A finds that nobody has the turn. 2. B takes it, and saves. 3. A stops the world."""
    gate = Gate()
    saves = threading.Lock()
    again = threading.Event()

    def save() -> None:
        assert saves.acquire(blocking=False), "two save at once"
        gate()
        saves.release()

    class Late(Turn):
        waits = 0

        def wait(self, deadline: Deadline) -> None:
            self.waits += 1
            if self.waits == 1:
                return  # as if B had not begun yet
            again.set()
            super().wait(deadline)

    checkpointer = Checkpointer(counters.freezer, MemoryStore(save), lambda: 1)
    b = start(checkpointer.checkpoint)
    wait_for(gate.reached)
    monkeypatch.setattr(_checkpointer, "Turn", Late)
    a = start(checkpointer.checkpoint)
    try:
        wait_for(again)
        counters.assert_running()
    finally:
        gate.go.set()
        assert (b.finish().sequence, a.finish().sequence) == (1, 2)


def test_the_wait_for_a_turn_ends_at_the_deadline() -> None:
    gate = Gate()
    checkpointer = Checkpointer(Freezer("turns"), MemoryStore(gate), lambda: 1, timeout=0.2)
    first = start(checkpointer.checkpoint)
    wait_for(gate.reached)
    with pytest.raises(CheckpointError, match="still being saved"):
        checkpointer.checkpoint()
    gate.go.set()
    assert first.finish().sequence == 1
    assert checkpointer.checkpoint().sequence == 2


def test_registered_threads_may_make_checkpoints(counters: Counters) -> None:
    """Each must count as stopped while it waits for its turn, and while it saves."""
    checkpointer = Checkpointer(
        counters.freezer, MemoryStore(lambda: threading.Event().wait(0.001)), lambda: 1
    )

    def work() -> list[Checkpoint]:
        with counters.freezer.register():
            return [checkpointer.checkpoint() for _ in range(5)]

    for worker in [start(work) for _ in range(3)]:
        assert len(worker.finish()) == 5


def test_a_registered_thread_can_be_frozen_while_it_saves() -> None:
    """And others can make a checkpoint meanwhile: it gives its turn back before it is frozen.

    1. A, registered, saves, and stands in a blocking region.
    2. B freezes A.
    3. A's save ends. A comes to the end of its region and stands frozen.
    4. B, in its world, makes a checkpoint: which waits for A's turn to end.
    """
    freezer = Freezer("turns")
    gate = Gate()
    store = MemoryStore(gate)
    checkpointer = Checkpointer(freezer, store, lambda: 1, timeout=WAIT)

    def work() -> Checkpoint:
        with freezer.register("A"):
            return checkpointer.checkpoint()

    worker = start(work)
    wait_for(gate.reached)
    with freezer.freeze(timeout=WAIT):
        gate.go.set()
        store.on_save = lambda: None
        assert checkpointer.checkpoint().sequence == 2
    assert worker.finish().sequence == 1


def test_a_checkpoint_inside_a_world_of_one_s_own(counters: Counters) -> None:
    """Two that wait for each other's world and turn would both run into their deadlines."""
    checkpointer = Checkpointer(counters.freezer, MemoryStore(), lambda: 1, timeout=WAIT)

    def nested() -> None:
        for _ in range(5):
            with counters.freezer.freeze(timeout=WAIT):
                checkpointer.checkpoint()

    def plain() -> None:
        for _ in range(5):
            checkpointer.checkpoint()

    for worker in [start(nested), start(plain), start(nested)]:
        worker.finish()


@pytest.mark.parametrize("mode", ["inline", "fork"])
def test_nothing_is_on_its_way_where_makers_stop_first(
    mode: Literal["inline", "fork"], tmp_path: Path
) -> None:
    freezer = Freezer()
    with (
        closing(FileStore(tmp_path / "state")) as store,
        handing_on(freezer, freezer.outstanding("job"), "makers", "") as line,
    ):
        checkpointer = Checkpointer(
            *(freezer, store, lambda: (line.made, line.finished)),
            mode=mode,
            settled="job",
            group=["makers", ""],
            timeout=WAIT,
        )
        for _ in range(3):
            checkpointer.checkpoint()
            loaded = checkpointer.load()
            assert loaded is not None
            assert loaded[0] == loaded[1] > 0


def test_its_groups_are_those_that_are_stopped(counters: Counters) -> None:
    asked: list[tuple[str, ...]] = []

    def take() -> int:
        asked.extend(freeze.asked.groups for freeze in standing(counters.freezer))
        return 1

    Checkpointer(counters.freezer, MemoryStore(), take, group=["io", ""]).checkpoint()
    assert asked == [("io", "")]


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"freezer": None}, TypeError, "freezer must be"),
    ({"store": None}, TypeError, "detach, save and load"),
    ({"take": 3}, TypeError, "take must be callable"),
    ({"mode": "spoon"}, ValueError, "mode must be"),
    ({"every": 0}, ValueError, "every"),
    ({"every": "1"}, TypeError, "every"),
    ({"timeout": -1}, ValueError, "timeout"),
    ({"timeout": float("nan")}, ValueError, "timeout"),
    ({"lease": 0}, ValueError, "lease"),
    ({"group": ["io", "io.disk"]}, ValueError, "group 'io.disk' stops with 'io'"),
    ({"mode": "fork", "group": "io"}, ValueError, "write group=.*, not 'io'"),
    ({"save_timeout": -1}, ValueError, "save_timeout"),
    ({"where": "anywhere"}, ValueError, "where must be 'safepoint' or 'unlocked'"),
    ({"where": "nowhere"}, ValueError, "where must be one of"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=lambda value: str(value))
def test_bad_arguments(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"freezer": Freezer(), "store": MemoryStore(), "take": int, **change}
    with pytest.raises(error, match=message):
        Checkpointer(**arguments)


@pytest.mark.parametrize("kind", [CheckpointError, ForkUnsafe, StoreError])
def test_errors_pickle(kind: type[CheckpointError]) -> None:
    error = kind("not saved", status=-9, traceback="Traceback: ...\n")
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is kind
    assert (twin.status, twin.traceback) == (-9, "Traceback: ...\n")
    assert str(twin) == "not saved\n\nTraceback: ..."
