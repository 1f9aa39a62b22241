"""One exception, or one call of a signal handler, at every place where CPython lets one come."""

from __future__ import annotations

from functools import partial

from freezethreads import sync
from stress.exploration._core import ModelLock
from stress.exploration._interruption import Interruption
from stress.exploration._stage import Stage, scenario


@scenario("an exception while a todo is made leaves nothing armed", target="T", preemptions=1)
def todo_and_exception(stage: Stage) -> None:
    asked = stage.gate()

    def worker() -> None:
        asked.wait()
        for _ in range(2):
            try:
                stage.freezer.safepoint()
            except Interruption:
                pass

    def asker() -> None:
        stage.freezer.todo(stage.ident("T"), int)
        asked.open()

    stage.member("T", worker)
    stage.actor("C", asker)


@scenario("an exception in a controller lets everybody go", target="C", preemptions=1)
def freeze_and_exception(stage: Stage) -> None:
    def controller() -> None:
        try:
            stage.freezer.freeze(timeout=None).thaw()
        except Interruption:
            pass

    def worker() -> None:
        stage.freezer.safepoint()
        stage.work("T")

    stage.actor("C", controller)
    stage.member("T", worker)


@scenario(
    "an exception in a thread that is being parked comes when it runs", target="T", preemptions=1
)
def park_and_exception(stage: Stage) -> None:
    def worker() -> None:
        stage.until_armed()
        try:
            try:
                stage.freezer.safepoint()
            except Interruption:
                stage.work("T")
            stage.freezer.safepoint()
        except Interruption:
            pass

    def controller() -> None:
        with stage.freeze("T"):
            pass

    stage.member("T", worker)
    stage.actor("C", controller)


@scenario(
    "a handler that passes a safepoint holds up nobody who waits for a latch",
    target="M",
    preemptions=1,
)
def latch_and_handler(stage: Stage) -> None:
    semaphore = sync.Semaphore(0)
    came = stage.gate()

    def handler() -> None:
        came.open()
        stage.freezer.safepoint()

    def setter() -> None:
        stage.until_armed()
        semaphore.release()
        came.open()

    def waiter() -> None:
        came.wait()
        semaphore.release()

    stage.handler = handler
    stage.member("W", waiter)
    stage.member("M", setter)
    stage.actor("C", lambda: stage.freezer.freeze(timeout=None).thaw())


@scenario(
    "a main thread that stays in its handler keeps nobody else from coming through the thaw",
    target="M",
    preemptions=1,
)
def chain_and_handler(stage: Stage) -> None:
    through: list[str] = []

    def stand(name: str) -> None:
        with stage.freezer.register(name):
            if name == "M":
                stage.play_main()
            stage.until_armed()
            stage.freezer.safepoint()
            stage.run.touch(through, "", True)
            through.append(name)
            stage.bow()

    def handler() -> None:
        stage.run.wait(lambda: {"T", "U", "V"}.issubset(through))
        stage.run.touch(through, "", False)

    def controller() -> None:
        hold = stage.freezer.hold(timeout=None)
        stage.rise()
        hold.thaw()

    stage.handler = handler
    for name in ("T", "U", "V", "M"):  # who came last is woken first
        stage.actor(name, partial(stand, name), begins=False)
    stage.actor("C", controller, begins=False)


@scenario(
    "an exception never leaves a wait with a foreign lock that another thread has",
    target="T",
    preemptions=1,
)
def foreign_lock(stage: Stage) -> None:
    lock = ModelLock()
    condition = sync.Condition(lock)
    waits = stage.gate()

    def worker() -> None:
        try:
            with condition:
                waits.open()
                condition.wait()
        except (Interruption, RuntimeError):
            waits.open()

    def notifier() -> None:
        waits.wait()
        with condition:
            condition.notify()
        for _ in range(2):
            with lock:
                stage.pause()
                if not lock.locked():
                    stage.find("a lock was released by a thread that did not have it")
                    lock.acquire()

    stage.member("T", worker)
    stage.actor("X", notifier)
    stage.actor("C", lambda: stage.freezer.hold(timeout=None).thaw())


@scenario("a handler that thaws what its thread is just thawing", target="C", preemptions=1)
def thaw_in_handler(stage: Stage) -> None:
    def controller() -> None:
        hold = stage.freezer.hold(timeout=None)
        stage.handler = hold.thaw
        hold.thaw()

    stage.member("T", stage.freezer.safepoint)
    stage.handler = lambda: None
    stage.actor("C", controller)


@scenario(
    "an exception in a thread that passes its turn on does not keep the next one from it",
    target="T",
    preemptions=1,
)
def turn_and_exception(stage: Stage) -> None:
    frozen = stage.gate()

    def worker() -> None:
        stage.until_armed()
        try:
            stage.freezer.freeze(timeout=None).thaw()
        except Interruption:
            pass

    def controller() -> None:  # the next one after T
        stage.run.wait(lambda: stage.freezer.armed and stage.waits("T"))
        stage.freezer.freeze(timeout=None).thaw()
        frozen.open()

    def holder() -> None:
        world = stage.freezer.freeze(timeout=None)
        stage.run.wait(lambda: stage.waits("C"))
        hold = stage.freezer.hold(timeout=None)
        world.thaw()
        frozen.wait()
        hold.thaw()

    stage.member("T", worker)
    stage.actor("C", controller)
    stage.actor("H", holder)
