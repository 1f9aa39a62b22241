"""Threads that come, go and change their group, and what is asked of them meanwhile."""

from __future__ import annotations

from freezethreads import NotRegistered, ThreadExited
from stress.exploration._stage import Stage, scenario


@scenario("a world of a group has only threads of that group")
def move(stage: Stage) -> None:
    def worker() -> None:
        with stage.freezer.register("T", group="a") as registration:
            stage.begin()
            registration.move("b")
            stage.bow()

    def controller() -> None:
        with stage.freezer.freeze(timeout=None, group="a") as world:
            for info in world.threads:
                if info.group != "a":
                    stage.find(f"a world of 'a' has a thread of {info.group!r}")

    stage.actor("T", worker, begins=False)
    stage.actor("C", controller)


@scenario("a thread that registers during a freeze waits for the thaw before it works")
def register(stage: Stage) -> None:
    def worker() -> None:
        with stage.freezer.register("T"):
            stage.work("T")
            stage.bow()

    def controller() -> None:
        with stage.freeze("T"):
            pass

    stage.actor("T", worker)
    stage.actor("C", controller)


@scenario("a thread that unregisters is waited for no more, and its todo runs once or is refused")
def leave(stage: Stage) -> None:
    made: list[str] = []

    def worker() -> None:
        with stage.freezer.register("T"):
            stage.begin()
            stage.freezer.safepoint()

    def controller() -> None:
        try:
            future = stage.freezer.todo(stage.ident("T"), made.append, "made")
            with stage.freezer.freeze(timeout=None):
                pass
            future.result()
        except ThreadExited:
            made.append("refused")
        except NotRegistered:
            made.append("not asked")

    stage.actor("T", worker, begins=False)
    stage.actor("C", controller)
    stage.at_end(lambda: f"a todo was {' and '.join(made)}" if len(made) != 1 else "")


@scenario("a thread that another strikes off stands for whom it has stopped, and for no other")
def dismiss(stage: Stage) -> None:
    def worker() -> None:
        stage.freezer.safepoint()
        stage.work("T")

    def controller() -> None:
        with stage.freezer.freeze(timeout=None):
            pass

    def third() -> None:
        registry = stage.freezer._registry
        for record in list(registry.records.values()):
            registry.dismiss(record)

    stage.member("T", worker)
    stage.actor("C", controller)
    stage.actor("X", third)


@scenario("a thread in a region counts as stopped, and does not come out before the thaw")
def region(stage: Stage) -> None:
    def worker() -> None:
        stage.work("T")
        with stage.freezer.blocking("io"):
            stage.pause()
        stage.work("T")

    def controller() -> None:
        with stage.freeze("T"):
            pass

    stage.member("T", worker)
    stage.actor("C", controller)
