"""A thread that must not wait, such as an event loop's: it is told, and looks again."""

from __future__ import annotations

from freezethreads._controller.nowait import FreezeRequest
from freezethreads._ground.completion import Bell
from stress.exploration._stage import Stage, scenario


def loop(stage: Stage, bell: Bell) -> None:
    """Ask for a world, and look whether it is there each time that the bell rings, as asyncio's
    integration does. Whatever else is asked of the thread it does meanwhile."""
    request = FreezeRequest(stage.freezer, bell.ring, timeout=None)
    while (world := request.poll()) is None:
        bell.wait()
        stage.freezer.safepoint()
    with world, stage.still(world, "T"):
        pass


@scenario("who asks for a world without waiting gets it, and all stand")
def request(stage: Stage) -> None:
    bell = Bell()

    stage.member("T", lambda: stage.visit("T"))
    stage.actor("E", lambda: loop(stage, bell))


@scenario("who asks for a world without waiting stops for others, and they for it")
def request_and_freeze(stage: Stage) -> None:
    bell = Bell()

    def asker() -> None:
        with stage.freezer.register("E", waker=bell.ring):
            stage.begin()
            stage.work("E")
            loop(stage, bell)
            stage.work("E")
            stage.bow()

    def controller() -> None:
        with stage.freeze("E"):
            pass

    stage.actor("E", asker, begins=False)
    stage.actor("C", controller)
