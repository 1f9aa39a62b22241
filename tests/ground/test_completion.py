"""The bell, and the completion whose waiters wake one another."""

from __future__ import annotations

import random
import threading

import pytest

from freezethreads._ground import completion as completion_module
from freezethreads._ground.completion import Bell, Completion
from freezing import Pause, RiggedDict, before
from helpers import WAIT, Worker, start, wait_for


def wait_on(completion: Completion, bell: Bell, there: threading.Event) -> None:
    """What a thread does in the refrigerator."""
    completion.enter(bell)
    there.set()
    while not completion.done:
        bell.wait()
    completion.leave(bell)


def complete(completion: Completion) -> None:
    """What the thaw does."""
    completion.complete_all()


def waiters(completion: Completion, count: int) -> tuple[list[Bell], list[Worker[None]]]:
    bells = [Bell() for _ in range(count)]
    there = [threading.Event() for _ in range(count)]
    workers = [start(wait_on, completion, bells[i], there[i]) for i in range(count)]
    for event in there:
        wait_for(event)
    return bells, workers


def test_rings_do_not_add_up() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    bell.wait()
    assert not bell._lock.acquire(False)


def test_a_ring_before_the_wait_is_not_lost() -> None:
    bell = Bell()
    bell.ring()
    start(bell.wait).finish()


def test_a_wait_may_end_without_a_ring() -> None:
    start(Bell().wait, 0.01).finish()


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_all_are_let_go(count: int) -> None:
    completion = Completion()
    _, workers = waiters(completion, count)
    complete(completion)
    for worker in workers:
        worker.finish()
    assert completion.done


@pytest.mark.parametrize("seed", range(20))
def test_spurious_rings_in_any_order_do_not_break_the_chain(seed: int) -> None:
    completion = Completion()
    bells, workers = waiters(completion, 10)
    chance = random.Random(seed)
    rings = chance.choices(bells, k=20)
    for bell in rings[:10]:
        bell.ring()
    complete(completion)
    for bell in rings[10:]:
        bell.ring()
    for worker in workers:
        worker.finish()


@pytest.mark.parametrize("woken", range(4))
def test_a_waiter_woken_by_chance_between_done_and_the_first_ring(woken: int) -> None:
    """
    1. the controller says that it is done, and has woken nobody
    2. a waiter is rung by somebody else, sees that it is done, and leaves
    3. the controller wakes one
    """
    completion = Completion()
    bells, workers = waiters(completion, 4)
    completion.done = True
    bells[woken].ring()
    workers[woken].finish()
    complete(completion)
    for worker in workers:
        worker.finish()


def test_who_is_taken_out_before_it_waits_finds_its_ring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a thread enters, sees that it is not done, and is about to wait
    2. the completion is completed; the thread is the first to be rung
    3. the thread waits, and returns at once
    """
    completion = Completion()
    _, others = waiters(completion, 2)
    pause = Pause()
    before(monkeypatch, Bell, "wait", pause)
    late = start(wait_on, completion, Bell(), threading.Event())
    pause.wait()
    complete(completion)
    pause.go()
    for worker in [*others, late]:
        worker.finish()


def test_who_enters_when_it_is_done_does_not_wait() -> None:
    completion = Completion()
    complete(completion)
    start(wait_on, completion, Bell(), threading.Event()).finish()


def test_each_step_may_be_repeated() -> None:
    completion = Completion()
    bells, workers = waiters(completion, 3)
    completion.enter(bells[1])
    assert all(worker.is_alive() for worker in workers)
    complete(completion)
    complete(completion)
    for worker in workers:
        worker.finish()
    completion.leave(bells[1])
    assert not completion._waiting


@pytest.mark.parametrize("slow", [False, True])
def test_completing_wakes_two_and_each_of_them_the_next(
    monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    """Each wakes one, or two if it took long to come: everybody is rung once in any case."""
    monkeypatch.setattr(completion_module, "_SLOW", 0 if slow else WAIT)
    rung: list[threading.Thread] = []
    before(monkeypatch, Bell, "ring", lambda _: rung.append(threading.current_thread()))
    waiting, completed = threading.Semaphore(0), threading.Event()
    before(monkeypatch, Bell, "wait", lambda _: waiting.release())
    before(monkeypatch, Completion, "leave", lambda *_: wait_for(completed))
    completion = Completion()
    _, workers = waiters(completion, 7)
    for _ in workers:
        assert waiting.acquire(timeout=WAIT)
    complete(completion)
    completed.set()
    for worker in workers:
        worker.finish(WAIT)
    by_others = [thread for thread in rung if thread is not threading.main_thread()]
    assert rung.count(threading.main_thread()) == 2
    assert len(rung) == 7
    assert max(map(by_others.count, by_others)) == (2 if slow else 1)


@pytest.mark.parametrize("index", range(6))
def test_the_chain_goes_on_if_one_that_was_rung_does_not_come(
    monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    """The main thread, say, which is in a signal handler. Whoever it is, all others are let go; and
    so is that one, when it comes."""
    monkeypatch.setattr(completion_module, "_SLOW", WAIT)
    completion = Completion()
    bells = [Bell() for _ in range(6)]
    for bell in bells:
        completion.enter(bell)
    elsewhere = [bells.pop(index)]
    complete(completion)
    while leave_one(completion, bells):
        pass
    assert not bells
    assert leave_one(completion, elsewhere)
    assert not completion._waiting


def test_a_second_list_of_waiters_does_not_cut_the_chain() -> None:
    """
    1. a watchdog completes: it has copied who waits (a b c d e f), and is stopped there
    2. the controller completes: f and e are rung, leave, and ring d and c
    3. the watchdog goes on: its copy has e and f, which have left, at its end
    4. d and c leave: they wake those who still wait
    """
    completion = Completion()
    bells = [Bell() for _ in range(6)]
    for bell in bells:
        completion.enter(bell)
    pause = Pause()
    completion._waiting = RiggedDict(completion._waiting, after_list=pause)
    watchdog = start(complete, completion)
    pause.wait()
    complete(completion)
    inside = list(bells)
    for _ in range(2):
        leave_one(completion, inside)
    assert inside == bells[:4]
    pause.go()
    watchdog.finish()
    while leave_one(completion, inside):
        pass
    assert not inside


def leave_one(completion: Completion, inside: list[Bell]) -> bool:
    """Have the last of those who were rung leave; whether there was one."""
    for bell in reversed(inside):
        if bell._lock.acquire(False):
            inside.remove(bell)
            completion.leave(bell)
            return True
    return False
