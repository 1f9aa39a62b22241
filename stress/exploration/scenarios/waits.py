"""Freezable waits that end during a freeze, and what is asked of a thread that waits."""

from __future__ import annotations

from freezethreads import sync
from stress.exploration._stage import Stage, scenario


@scenario("a wait that is over during a freeze returns after the thaw, and takes nothing before")
def notify(stage: Stage) -> None:
    lock = stage.taken_lock()
    released: list[str] = []

    def waiter() -> None:
        with lock:
            stage.work("T")

    def release() -> None:
        lock.release()
        released.append("N")

    def controller() -> None:
        with stage.freeze("T"):
            if lock.acquire(blocking=False):
                lock.release()
            elif released:
                stage.find("T stands frozen, and owns a lock that it has waited for")

    stage.member("T", waiter)
    stage.actor("N", release)
    stage.actor("C", controller)


@scenario("a thread that waits for an item and is frozen has not taken it")
def item(stage: Stage) -> None:
    queue: sync.SimpleQueue[str] = sync.SimpleQueue()
    put: list[str] = []
    got: list[str] = []

    def getter() -> None:
        got.append(queue.get())
        stage.work("T")

    def putter() -> None:
        queue.put("an item")
        put.append("N")

    def controller() -> None:
        with stage.freeze("T"):
            if put and not got and queue.empty():
                stage.find("T stands frozen, and has taken an item that it has waited for")

    stage.member("T", getter)
    stage.actor("N", putter)
    stage.actor("C", controller)


@scenario("a thread that is notified and frozen before it has seen that keeps the notification")
def notification(stage: Stage) -> None:
    condition = sync.Condition()
    told: list[str] = []

    def waiter() -> None:
        with condition:
            while not told:
                condition.wait()
        stage.work("T")

    def notifier() -> None:
        with condition:
            told.append("N")
            condition.notify()

    def controller() -> None:
        with stage.freeze("T"):
            stage.leave()

    stage.member("T", waiter)
    stage.actor("N", notifier)
    stage.actor("C", controller)


@scenario("a thread that waits makes its todo, and waits on")
def todo_in_wait(stage: Stage) -> None:
    lock = stage.taken_lock()

    def asker() -> None:
        stage.freezer.todo(stage.ident("T"), stage.work, "T").result()
        lock.release()

    stage.member("T", lock.acquire)
    stage.actor("A", asker)


@scenario("a wait inside no_freeze() stops its thread for other freezers alone")
def wait_in_no_freeze(stage: Stage) -> None:
    others = stage.new_freezer("other")
    lock = stage.taken_lock()

    def waiter() -> None:
        with stage.freezer.no_freeze():
            lock.acquire()
        stage.work("T")

    def controller() -> None:
        with stage.freeze("T"):
            stage.leave()

    stage.member("T", waiter, stage.freezer, others)
    stage.actor("N", lock.release)
    stage.actor("C", controller)
