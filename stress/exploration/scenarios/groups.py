"""Several groups, which are stopped in order and let go in reverse."""

from __future__ import annotations

from freezethreads import FreezeTimeout
from stress.exploration._stage import Stage, scenario


def _member(stage: Stage, name: str, before: str = "") -> None:
    """Add a thread of the group of that name. While it works, nobody of a group that comes after
    its own is asked: `before` is that group, if any does."""

    def worker() -> None:
        with stage.freezer.register(name, group=name):
            stage.begin()
            for _ in range(2):
                stage.work(name)
                for freeze in list(stage.freezer._registry.active):
                    if freeze.group == before and not freeze.done:
                        stage.find(f"{name} works, and {before}, which comes later, is asked")
                stage.freezer.safepoint()
            stage.bow()

    stage.actor(name, worker, begins=False)


@scenario("of two groups the second is asked when the first stands, and is let go before it")
def in_order(stage: Stage) -> None:
    def controller() -> None:
        with stage.freeze("A", "B", group=("A", "B")):
            pass

    _member(stage, "A", "B")
    _member(stage, "B")
    stage.actor("C", controller)


@scenario("likewise for a hold")
def held_in_order(stage: Stage) -> None:
    def controller() -> None:
        with stage.freezer.hold(timeout=None, group=("A", "B")):
            stage.pause()

    _member(stage, "A", "B")
    _member(stage, "B")
    stage.actor("C", controller)


@scenario(
    "two that stop the same groups in opposite orders both come to stand", preempted=("C", "D")
)
def crossed(stage: Stage) -> None:
    def controller() -> None:
        with stage.freeze("A", group=("A", "B")):
            pass

    def other() -> None:
        with stage.freezer.hold(timeout=None, group=("B", "A")):
            stage.pause()

    def worker() -> None:
        with stage.freezer.register("A", group="A"):
            stage.begin()
            stage.visit("A")
            stage.bow()

    stage.actor("A", worker, begins=False)
    stage.actor("C", controller)
    stage.actor("D", other)


@scenario("a time-out at the second group lets the first one go as well", preempted=("B", "C"))
def timed_out_in_order(stage: Stage) -> None:
    def straggler() -> None:
        with stage.freezer.register("B", group="B"):
            stage.begin()
            stage.work("B")
            stage.pause()
            stage.work("B")
            stage.bow()

    def controller() -> None:
        try:
            with stage.freeze("A", "B", group=("A", "B"), timeout=5):
                pass
        except FreezeTimeout:
            stage.check_left_over()

    _member(stage, "A")
    stage.actor("B", straggler, begins=False)
    stage.actor("C", controller)


@scenario("what is added by the first group is finished by the second before that stands")
def settled_in_order(stage: Stage) -> None:
    tx = stage.freezer.outstanding("tx")
    added = stage.gate()

    def adder() -> None:
        with stage.freezer.register("A", group="A"):
            stage.begin()
            tx.add()
            added.open()
            stage.freezer.safepoint()
            stage.work("A")
            stage.bow()

    def finisher() -> None:
        with stage.freezer.register("B", group="B"):
            stage.begin()
            added.wait()
            stage.work("B")
            tx.done()
            stage.freezer.safepoint()
            stage.bow()

    def controller() -> None:
        with stage.freeze("A", "B", group=("A", "B"), settled="tx"):
            if tx.count:
                stage.find("a world that is to find tx settled stands, and one is outstanding")

    stage.actor("A", adder, begins=False)
    stage.actor("B", finisher, begins=False)
    stage.actor("C", controller)
