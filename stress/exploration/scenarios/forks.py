"""The reset in the child of a fork, made by a signal handler of a thread that waits."""

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
