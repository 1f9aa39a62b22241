"""The reset in the child of a fork, made by a signal handler of a thread that waits or stops, or
by what a world calls in it."""

from __future__ import annotations

from freezethreads import FreezeError
from freezethreads._registry.record import here
from stress.exploration._stage import Stage, scenario
from stress.exploration.scenarios.thaws import stand


@scenario("who waits when it is forked counts as stopped in the child", target="T", preemptions=1)
def fork_in_wait(stage: Stage) -> None:
    lock = stage.taken_lock()
    forked = stage.gate()

    def handler() -> None:
        stage.fork()
        forked.open()

    def child() -> None:
        stage.run.wait(lambda: forked.is_open or stage.waits("T"))
        stage.freezer.freeze(timeout=None).thaw()
        lock.release()

    stage.handler = handler
    stage.member("T", lock.acquire)
    stage.actor("C", child)


@scenario("who is about to stop when it is forked goes on in the child", target="T", preemptions=1)
def fork_and_park(stage: Stage) -> None:
    forked, held = stage.gate(), stage.gate()

    def handler() -> None:
        stage.fork()
        forked.open()

    def worker() -> None:
        with stage.freezer.register("T"):
            with stage.freezer.blocking("io"):
                held.wait()
            stage.visit("T")
            stage.bow()

    def controller() -> None:
        hold = stage.freezer.hold(timeout=None)
        held.open()
        stage.rise()
        stage.run.wait(lambda: forked.is_open or stage.waits("T"))
        if not forked.is_open:
            hold.thaw()
        stage.freezer.freeze(timeout=None).thaw()

    stage.handler = handler
    stage.actor("T", worker, begins=False)
    stage.actor("C", controller, begins=False)


@scenario(
    "who is forked while a world calls it makes no call in the child that it had not begun, and "
    "counts as any other thread there",
    target="T",
    preemptions=1,
)
def fork_and_call(stage: Stage) -> None:
    forked, called = stage.gate(), stage.gate()
    begun: list[bool] = []
    calls: list[str] = []

    def handler() -> None:
        begun.extend(call.is_begun() for call in here.parking.calls)
        stage.fork("C")
        forked.open()

    def call() -> None:
        calls.append("made")
        if len(calls) > 1:
            stage.find("a call is made twice")
        if forked.is_open and not any(begun):
            stage.find("the child makes a call that was asked of its parent")

    def worker() -> None:
        stage.play_main()  # where handlers come, also while it stands
        stand(stage)

    def controller() -> None:
        with stage.freezer.freeze(timeout=None) as world:
            stage.rise()
            world.call(stage.ident("T"), call)
            called.open()
            stage.leave()

    def child() -> None:
        stage.run.wait(lambda: forked.is_open or called.is_open)
        if forked.is_open:
            with stage.freeze("T"):
                stage.leave()

    stage.handler = handler
    stage.actor("T", worker, begins=False)
    stage.actor("C", controller, begins=False)
    stage.actor("D", child, begins=False)


@scenario("a call that forks, into a wait: who waits in the child gets what its thread cannot take")
def fork_in_call(stage: Stage) -> None:
    lock = stage.taken_lock()
    forked, taken = stage.gate(), stage.gate()

    def call() -> None:
        stage.fork("C")
        forked.open()
        stage.run.wait(lambda: stage.waits("D"))
        lock.release()
        taken.wait()

    def worker() -> None:
        with stage.freezer.register("T"):
            lock.acquire()
            stage.work("T")
            stage.bow()

    def controller() -> None:
        with stage.freezer.freeze(timeout=None) as world:
            stage.rise()
            world.call(stage.ident("T"), call)

    def child() -> None:
        forked.wait()
        with lock:
            taken.open()
            with stage.freeze("T"):
                stage.leave()

    stage.actor("T", worker, begins=False)
    stage.actor("C", controller, begins=False)
    stage.actor("D", child, begins=False)


@scenario(
    "who is forked while it has a world call another thread waits for that in vain in the parent "
    "alone",
    target="C",
    preemptions=1,
)
def fork_of_caller(stage: Stage) -> None:
    forked: list[bool] = []

    def handler() -> None:
        stage.fork("T")
        forked.append(True)

    def controller() -> None:
        with stage.freezer.freeze(timeout=None) as world:
            stage.rise()
            try:
                world.call(stage.ident("T"), stage.pause)
            except FreezeError:
                pass
            stage.leave()
        if forked:
            stage.freezer.freeze(timeout=None).thaw()

    stage.handler = handler
    stage.actor("T", lambda: stand(stage), begins=False)
    stage.actor("C", controller, begins=False)
