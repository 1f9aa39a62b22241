"""Pairs of steps that the other scenarios leave out: small, two or three actors each."""

from __future__ import annotations

from collections.abc import Callable

from freezethreads import FreezeTimeout, LeaseExpired
from stress.exploration._stage import Stage, scenario


@scenario("a wait that is over during a freeze returns after the thaw, and takes nothing before")
def notify(stage: Stage) -> None:
    lock = stage.taken_lock()

    def waiter() -> None:
        with lock:
            stage.work("T")

    def controller() -> None:
        with stage.freeze("T") as world:
            if world.threads and lock.acquire(blocking=False):
                lock.release()

    stage.member("T", waiter)
    stage.actor("N", lock.release)
    stage.actor("C", controller)


@scenario("nobody stands inside no_freeze()")
def no_freeze(stage: Stage) -> None:
    inside: list[str] = []

    def worker() -> None:
        with stage.freezer.no_freeze():
            inside.append("T")
            stage.freezer.safepoint()
            stage.work("T")
            inside.clear()
        stage.freezer.safepoint()

    def controller() -> None:
        with stage.freeze("T"):
            if inside:
                stage.find("a world stands, and a thread of it is inside no_freeze()")

    stage.member("T", worker)
    stage.actor("C", controller)


@scenario("the last user of a world thaws it, and nobody before")
def nested(stage: Stage) -> None:
    def worker() -> None:
        stage.freezer.safepoint()
        stage.work("T")

    def controller() -> None:
        with stage.freezer.freeze(timeout=None) as world:
            stage.freezer.freeze(timeout=None).thaw()
            with stage.still(world, "T"):
                pass

    stage.member("T", worker)
    stage.actor("C", controller)


@scenario("a world stands when each of its threads has stopped, however often one says so")
def two_members(stage: Stage) -> None:
    def worker(name: str) -> None:
        with stage.freezer.blocking("io"):
            pass
        stage.work(name)
        stage.freezer.safepoint()

    def controller() -> None:
        with stage.freeze("T", "U"):
            stage.leave()

    stage.member("T", lambda: worker("T"))
    stage.member("U", lambda: worker("U"))
    stage.actor("C", controller)


@scenario("of two registered threads that freeze each other, each gets its world in turn")
def controllers(stage: Stage) -> None:
    def freeze(own: str, other: str) -> None:
        stage.work(own)
        with stage.freeze(other):
            pass
        stage.work(own)

    stage.member("A", lambda: freeze("A", "B"))
    stage.member("B", lambda: freeze("B", "A"))


@scenario("a hold and a world of registered threads that stop each other end")
def controller_and_hold(stage: Stage) -> None:
    def freeze() -> None:
        with stage.freeze("B"):
            stage.freezer.safepoint()  # stops nobody who has a world

    def hold() -> None:
        with stage.freezer.hold(timeout=None, group="a"):
            stage.freezer.freeze(timeout=None, group="b").thaw()  # before it lets the other go

    def register(name: str, group: str, act: Callable[[], object]) -> None:
        with stage.freezer.register(name, group=group):
            stage.begin()
            act()
            stage.bow()

    stage.actor("A", lambda: register("A", "a", freeze), begins=False)
    stage.actor("B", lambda: register("B", "b", hold), begins=False)


@scenario("a todo is made once, and not while a world stands")
def todo(stage: Stage) -> None:
    made: list[str] = []
    asked = stage.gate()

    def make() -> None:
        stage.work("T")
        made.append("made")

    def asker() -> None:
        future = stage.freezer.todo(stage.ident("T"), make)
        asked.open()
        future.result()

    def controller() -> None:
        with stage.freeze("T"):
            pass

    def worker() -> None:
        asked.wait()
        stage.freezer.safepoint()

    stage.member("T", worker)
    stage.actor("A", asker)
    stage.actor("C", controller)
    stage.at_end(lambda: "" if made == ["made"] else f"a todo was made {len(made)} times")


@scenario("a thread comes out of its region when the lease has run out, and not before")
def region_and_lease(stage: Stage) -> None:
    def worker() -> None:
        with stage.freezer.blocking("io"):
            pass
        stage.work("T")

    def controller() -> None:
        try:
            with stage.freeze("T", lease=1):
                pass
        except LeaseExpired:
            pass

    stage.member("T", worker)
    stage.actor("C", controller)
    stage.actor("L", stage.expire)


@scenario("a thread that ends while the time runs out is no straggler, and nothing stays armed")
def leave_and_time_out(stage: Stage) -> None:
    def worker() -> None:
        with stage.freezer.register("T"):
            stage.begin()
            stage.work("T")

    def controller() -> None:
        try:
            with stage.freeze("T", timeout=5):
                pass
        except FreezeTimeout as error:
            stage.check_left_over()
            if not error.stragglers:
                stage.find("a time-out without a straggler")

    stage.actor("T", worker, begins=False)
    stage.actor("C", controller)


@scenario("a thread that registers during a hold, and moves, works when nobody holds its group")
def register_and_move(stage: Stage) -> None:
    def worker() -> None:
        with stage.freezer.register("T", group="a") as registration:
            registration.move("b")
            stage.work("T")
            stage.bow()

    def controller() -> None:
        with stage.freezer.hold(timeout=None, group="a"):
            stage.pause()

    def other() -> None:
        with stage.freeze("T", group="b"):
            pass

    stage.actor("T", worker)
    stage.actor("C", controller)
    stage.actor("D", other)
