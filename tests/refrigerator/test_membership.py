"""Promise 6: membership is fixed while the world is stopped, and a dead thread is no straggler."""

from __future__ import annotations

import _thread
import threading

import pytest

from freezethreads import (
    AlreadyRegistered,
    FreezeError,
    Freezer,
    FreezeTimeout,
    NotRegistered,
    State,
    sync,
)
from freezethreads._controller import controller as controller_module
from freezethreads._refrigerator import membership as membership_module
from freezethreads._refrigerator.waits import Waiting
from freezethreads._registry.record import Record
from freezing import Actor, Pause, RiggedDict, actor, at_bell, before, puppet
from helpers import WAIT, stack_of, wait_for, wait_until


def test_who_registers_during_a_freeze_waits_for_the_thaw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    freezer = Freezer()
    with actor() as late:
        parked = at_bell(monkeypatch, late.worker)
        with freezer.freeze(timeout=WAIT) as world:
            registered = late.tell(freezer.register)
            wait_for(parked)
            assert not registered.done()
            assert [info.state for info in world.threads] == [State.FROZEN]
        registered.result(WAIT)


@pytest.mark.parametrize("moment", ["after_set", "after_list"])
def test_who_registers_while_a_freeze_is_armed_is_in_it(moment: str) -> None:
    """
    1. the controller has made its freeze active, and has not copied (has copied) the records
    2. a thread registers; it finds the freeze among the active ones, and parks
    3. the freeze stands, with that thread
    """
    freezer = Freezer()
    registry = freezer._registry
    with actor() as late, actor() as controller:
        pause = Pause(controller.worker)
        if moment == "after_set":
            registry.active = RiggedDict({}, after_set=pause)
        else:
            registry.records = RiggedDict({}, after_list=pause)
        freezing = controller.tell(freezer.freeze, timeout=WAIT)
        pause.wait()
        registered = late.tell(freezer.register)
        while not freezer._registry.records:
            pass
        pause.go()
        with freezing.result(WAIT) as world:
            while not world.threads:
                pass
            assert not registered.done()
        registered.result(WAIT)


def test_who_registers_during_a_freeze_is_listed_as_frozen_from_the_first_moment() -> None:
    freezer = Freezer()
    states: list[State] = []
    with actor() as newcomer:
        world = freezer.freeze(timeout=WAIT)
        world._freeze.members = RiggedDict(
            {}, after_set=lambda _: states.extend(info.state for info in world.threads)
        )
        registering = newcomer.tell(freezer.register)
        wait_until(lambda: bool(states))
        world.thaw()
        registering.result(WAIT)
    assert states == [State.FROZEN]


def test_a_world_can_call_in_who_is_about_to_register(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    1. a thread registers: it is listed as frozen, and has yet to come to the refrigerator
    2. the world calls something in it
    3. the thread parks, and makes the call
    """
    freezer = Freezer()
    with actor() as newcomer, actor() as controller:
        pause = Pause(newcomer.worker)
        before(monkeypatch, membership_module, "come_back", pause)
        world = controller.do(freezer.freeze, timeout=WAIT)
        registering = newcomer.tell(freezer.register)
        pause.wait()
        (info,) = world.threads
        called = controller.tell(world.call, info, threading.get_ident)
        wait_until(lambda: called.done() or bool(world._freeze.calls))
        pause.go()
        assert called.result(WAIT) == newcomer.worker.ident
        controller.do(world.thaw)
        registering.result(WAIT)


def test_a_world_can_call_in_who_is_about_to_stand_before_a_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same for a thread that has come to a wait which does not have to wait."""
    freezer, event = Freezer(), sync.Event()
    event.set()
    with puppet(freezer) as thread, actor() as controller:
        pause = Pause(thread.worker)
        before(monkeypatch, Waiting, "_come_back", pause)
        freezing = controller.tell(freezer.freeze, timeout=WAIT)
        wait_until(lambda: thread.record.is_asked)
        waiting = thread.tell(event.wait)
        pause.wait()
        world = freezing.result(WAIT)
        called = controller.tell(world.call, thread.worker, threading.get_ident)
        wait_until(lambda: called.done() or bool(world._freeze.calls))
        pause.go()
        assert called.result(WAIT) == thread.worker.ident
        controller.do(world.thaw)
        assert waiting.result(WAIT)


def test_a_thread_that_dies_between_the_copy_and_the_request() -> None:
    """
    1. the controller has copied the records, and has not posted its freeze
    2. a thread leaves
    3. the controller posts to it: the freeze stands without it
    """
    freezer = Freezer()
    registry = freezer._registry
    with actor() as controller, puppet(freezer) as thread:
        pause = Pause(controller.worker)
        registry.records = RiggedDict(registry.records, after_list=pause)
        freezing = controller.tell(freezer.freeze, timeout=WAIT)
        pause.wait()
        thread.do(freezer.unregister)
        pause.go()
        with freezing.result(WAIT) as world:
            assert world.threads == ()
        thread.do(freezer.register)


def test_who_leaves_as_it_is_asked_is_kept_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    1. a controller is about to post its freeze to a thread, which is to be in its world
    2. the thread leaves
    3. the controller posts: the freeze stands without that thread
    4. the thread is frozen by another freezer, and thawed: it goes on
    """
    freezer, other = Freezer(), Freezer("other")
    over = threading.Event()
    with actor() as controller, puppet(other) as thread:
        thread.do(freezer.register, group="a")
        pause = Pause(controller.worker)
        before(monkeypatch, controller_module, "ask_all", pause)
        freezing = controller.tell(freezer.freeze, timeout=WAIT, group="a")
        pause.wait()
        thread.do(freezer.unregister)
        pause.go()
        with freezing.result(WAIT) as world:
            assert world.threads == ()
            passing = thread.pass_safepoints(over)
            other.freeze(timeout=WAIT).thaw()
            over.set()
            passing.result(WAIT)


@pytest.mark.parametrize("raw", [False, True])
def test_who_dies_without_a_word_is_struck_off(raw: bool) -> None:
    freezer = Freezer()
    registered = threading.Event()

    def run() -> None:
        freezer.register("gone")
        registered.set()

    if raw:
        _thread.start_new_thread(run, ())
    else:
        threading.Thread(target=run, daemon=True).start()
    wait_for(registered)
    freezer.freeze(timeout=WAIT).thaw()
    while freezer.threads():
        pass
    assert not freezer.armed


def test_registering_twice_changes_nothing() -> None:
    freezer = Freezer()
    with freezer.register("first", group="a") as registration:
        with pytest.raises(AlreadyRegistered):
            freezer.register("second", group="b")
        assert [(info.name, info.group) for info in freezer.threads()] == [("first", "a")]
        with Freezer().register("elsewhere"):
            assert registration.name == "first"
    with pytest.raises(NotRegistered):
        freezer.unregister()
    with freezer.register():
        pass


def test_a_registration_is_its_threads_own() -> None:
    freezer = Freezer()
    with puppet(freezer, "a") as thread:
        with pytest.raises(FreezeError):
            thread.registration.__exit__(None, None, None)
        assert thread.record.group == "a"


def test_a_thread_that_is_not_registered_parks_for_the_root_group_alone() -> None:
    freezer = Freezer()
    reached = threading.Event()

    def visit() -> None:
        reached.set()
        freezer.safepoint()

    with actor() as stranger:
        with freezer.freeze(timeout=WAIT, group="a"):
            stranger.do(freezer.safepoint)
        with freezer.freeze(timeout=WAIT) as world:
            visiting = stranger.tell(visit)
            wait_for(reached)
            assert stranger.worker in world.unregistered
            assert threading.current_thread() not in world.unregistered
            while "in wait\n" not in stack_of(stranger.worker):
                assert not visiting.done()
        visiting.result(WAIT)


def died(freezer: Freezer, thread: Actor) -> Record:
    """The record that a thread left which died without a word, before `thread` got its ident."""
    record = thread.do(Record, freezer._registry, "old", "a", None)
    record.native_id = 0
    record.thread = threading.Thread()
    freezer._registry.records[record.ident] = record
    return record


def test_an_ident_that_is_used_again_does_not_cost_the_new_thread_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a thread that has died is found in the registry, to be struck off
    2. a new thread with its ident registers
    3. the old one is struck off, and its lifeline ends
    """
    freezer = Freezer()
    with actor() as thread:
        old = died(freezer, thread)
        parked = at_bell(monkeypatch, thread.worker)

        def register(record: Record) -> None:
            monkeypatch.setattr(freezer._registry, "note_exit", note_exit)
            thread.tell(freezer.register, "new")
            wait_for(parked)

        note_exit = freezer._registry.note_exit
        before(monkeypatch, freezer._registry, "note_exit", register)
        with freezer.freeze(timeout=0):
            assert [info.name for info in freezer.threads()] == ["new"]
        freezer._registry.leave(old)
        assert [info.name for info in freezer.threads()] == ["new"]


def test_who_was_struck_off_is_nowhere_until_its_ident_is_used_again() -> None:
    freezer = Freezer()
    with actor() as thread:
        freezer._registry.note_exit(died(freezer, thread))
        assert freezer.threads() == ()
        assert freezer.todo_all(int) == []
        for name in (thread.worker, thread.worker.ident or 0):
            with pytest.raises(NotRegistered):
                freezer.todo(name, int)
        with freezer.freeze(timeout=0) as world, freezer.hold(timeout=0) as hold:
            assert (world.threads, hold.threads) == ((), ())
            assert thread.worker in world.unregistered
        thread.do(freezer.register, "new")
        with pytest.raises(FreezeTimeout):
            freezer.freeze(timeout=0)
        assert not freezer.armed


def test_who_registers_anew_while_its_former_record_is_asked_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. A freeze has copied the records, and has not listed itself in the word of a thread.
    2. The thread unregisters and registers again: its new record is asked, and it stands.
    3. The freeze goes on: the old record has exited, which must not end the stay of the new one.
    """
    freezer = Freezer()
    with puppet(freezer) as thread, actor() as controller:
        lists = Pause(controller.worker)
        before(monkeypatch, controller_module, "ask_all", lists)
        freezing = controller.tell(freezer.freeze, timeout=WAIT)
        lists.wait()
        thread.do(freezer.unregister)
        registering = thread.tell(freezer.register)
        wait_until(lambda: bool(freezer._registry.records))
        wait_until(lambda: thread.record.parking.word.value.stay is not None)
        lists.go()
        with freezing.result(WAIT) as world:
            assert [info.state for info in world.threads] == [State.FROZEN]
            assert not registering.done()
        registering.result(WAIT)
