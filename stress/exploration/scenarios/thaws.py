"""Thaws that meet each other, the next freeze, a time-out, or a lease."""

from __future__ import annotations

from freezethreads import FreezeError, FreezeTimeout, Hold, World
from stress.exploration._stage import Stage, scenario


def freeze_last(stage: Stage, name: str) -> None:
    """Freeze once more, after a while. The thaw is not what it is about."""
    stage.pause()
    with stage.freezer.freeze(timeout=None) as world:
        with stage.still(world, name):
            pass
        stage.leave()


@scenario("the thread that was parked runs after the thaw, and not before")
def park(stage: Stage) -> None:
    def controller() -> None:
        stage.pause()
        with stage.freeze("T"):
            pass

    stage.member("T", lambda: stage.visit("T"))
    stage.actor("C", controller)


def stand(stage: Stage) -> None:
    """Stop when it is asked to, for the first time before the exploration begins."""
    with stage.freezer.register("T"):
        stage.until_armed()
        stage.freezer.safepoint()
        stage.pause()
        stage.work("T")
        stage.bow()


@scenario(
    "who is thawed by two at once runs, and the next freeze waits for it", preempted=("C", "R")
)
def double_thaw(stage: Stage) -> None:
    holds: list[Hold] = []
    held = stage.gate()

    def controller() -> None:
        holds.append(stage.freezer.hold(timeout=None))
        held.open()
        stage.rise()
        holds[0].thaw()
        freeze_last(stage, "T")

    def other() -> None:
        held.wait()
        holds[0].thaw()

    stage.actor("T", lambda: stand(stage), begins=False)
    stage.actor("C", controller, begins=False)
    stage.actor("R", other, begins=False)


@scenario(
    "a mark that one thaw hands to an overlapping hold stands for nothing after that one's",
    preempted=("C", "H"),
)
def overlap(stage: Stage) -> None:
    holds: list[Hold] = []
    begun = stage.gate()

    def controller() -> None:
        with stage.freezer.freeze(timeout=None):
            holds.append(stage.freezer.hold(timeout=None))
            begun.open()
            stage.rise()
        freeze_last(stage, "T")

    def thaw() -> None:
        begun.wait()
        holds[0].thaw()

    stage.actor("T", lambda: stand(stage), begins=False)
    stage.actor("C", controller, begins=False)
    stage.actor("H", thaw, begins=False)


@scenario("a thread that a hold and a world have stopped runs when both are over, and not before")
def hold_and_world(stage: Stage) -> None:
    def hold() -> None:
        stage.freezer.hold(timeout=None).thaw()

    def controller() -> None:
        with stage.freeze("T"):
            stage.leave()

    stage.member("T", lambda: stage.visit("T"))
    stage.actor("H", hold)
    stage.actor("C", controller)


@scenario("two worlds and a thread: the second one waits for its turn, and the thread runs between")
def two_worlds(stage: Stage) -> None:
    works = 0
    parked: list[World] = []

    def worker() -> None:
        nonlocal works
        stage.work("T")
        works = 1
        stage.freezer.safepoint()
        works = 2
        stage.work("T")

    def freeze() -> None:
        stage.pause()
        with stage.freeze("T") as world:
            if works == 1:
                parked.append(world)
        if len(parked) > 1:
            stage.find("a thread that was parked did not run before the next world")

    stage.member("T", worker)
    stage.actor("C", freeze)
    stage.actor("D", freeze)


@scenario("a freeze whose time is up lets everybody go, and nothing stays armed")
def time_out(stage: Stage) -> None:
    def controller() -> None:
        try:
            with stage.freeze("T", timeout=5):
                pass
        except FreezeTimeout:
            stage.check_left_over()
            with stage.freeze("T"):
                pass

    stage.member("T", lambda: stage.visit("T"))
    stage.actor("C", controller)


@scenario("a lease that runs out during the thaw: the block ends, perhaps in LeaseExpired")
def lease(stage: Stage) -> None:
    stage.member("T", lambda: stage.visit("T"))
    stage.actor("C", lambda: stage.freeze_with_lease("T"))
    stage.actor("L", stage.expire)


class Hooked:
    """A hook of the stage's freezer. What it has done has to be undone once, in the end."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.calls: list[str] = []
        stage.freezer.hook(lambda: self.calls.append("+"), self._undo)
        stage.at_end(self._check)

    @property
    def in_force(self) -> bool:
        return len(self.calls) % 2 == 1

    def _undo(self) -> None:
        self._stage.pause()
        self.calls.append("-")

    def _check(self) -> str:
        calls = " ".join(self.calls)
        return "" if calls in ("", "+ -") else f"the calls of the hook were {calls}"


@scenario("of a thaw and a lease one undoes the hooks, once")
def hooks_and_lease(stage: Stage) -> None:
    Hooked(stage)
    stage.member("T", lambda: stage.visit("T"))
    stage.actor("C", lambda: stage.freeze_with_lease("T"))
    stage.actor("L", stage.expire)


@scenario("of two thaws one undoes the hooks, and nobody runs, or comes back, before that is done")
def hooks_and_thaw(stage: Stage) -> None:
    hooked = Hooked(stage)
    worlds: list[World] = []
    stands = stage.gate()

    def check(who: str) -> None:
        if hooked.in_force:
            stage.find(f"{who} goes on while the hook is in force")

    def member() -> None:
        stage.work("T")
        stage.freezer.safepoint()
        check("T")
        stage.work("T")

    def controller() -> None:
        with stage.freezer.freeze(timeout=None) as world:
            worlds.append(world)
            stands.open()
        check("C")

    def thaw() -> None:
        stands.wait()
        worlds[0].thaw()
        check("X")

    stage.member("T", member)
    stage.actor("C", controller)
    stage.actor("X", thaw)


@scenario("a hold that is given up while it arms does not leave its controller waiting")
def abandoned(stage: Stage) -> None:
    from freezethreads._controller import standing

    def controller() -> None:
        try:
            stage.freezer.hold(timeout=None).thaw()
        except FreezeError:
            pass

    def tidy() -> None:
        for freeze in standing.standing(stage.freezer):
            standing.thaw_abandoned(stage.freezer, freeze, "it is tidied up")

    stage.member("T", lambda: stage.visit("T"))
    stage.actor("C", controller)
    stage.actor("X", tidy)
