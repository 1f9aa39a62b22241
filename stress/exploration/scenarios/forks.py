"""The reset in the child of a fork, made by a signal handler of a thread that waits or stops."""

from __future__ import annotations

from stress.exploration._stage import Stage, scenario


@scenario("who waits when it is forked counts as stopped in the child", target="T", preemptions=1)
def fork_in_wait(stage: Stage) -> None:
    lock = stage.taken_lock()
    forked = stage.gate()

    def handler() -> None:
        stage.freezer._controller.reset()
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
        stage.freezer._controller.reset()
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
