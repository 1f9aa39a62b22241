"""Pairs of steps that the other scenarios leave out: small, two or three actors each."""

from __future__ import annotations

from collections.abc import Callable

from freezethreads import FreezeTimeout, LeaseExpired
from stress.exploration._stage import Stage, scenario


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


@scenario("todos are made in their order, by their own thread, and not inside no_freeze()")
def todos(stage: Stage) -> None:
    made: list[int] = []
    inside: list[str] = []
    asked = stage.gate()

    def make(number: int) -> None:
        stage.work("T")
        made.append(number)
        if inside:
            stage.find("a todo is made inside no_freeze()")

    def asker() -> None:
        for number in (1, 2):
            stage.freezer.todo(stage.ident("T"), make, number)
        asked.open()

    def worker() -> None:
        with stage.freezer.no_freeze():
            inside.append("T")
            stage.freezer.safepoint()
            inside.clear()
        asked.wait()
        stage.freezer.safepoint()

    def other() -> None:
        asked.wait()
        stage.freezer.safepoint()

    stage.member("T", worker)
    stage.member("U", other)
    stage.actor("A", asker)
    stage.at_end(lambda: "" if made == [1, 2] else f"todos 1 and 2 were made so: {made}")


@scenario("a thread comes out of its region when the lease has run out, and not before")
def region_and_lease(stage: Stage) -> None:
    def worker() -> None:
        with stage.freezer.blocking("io"):
            pass
        stage.work("T")

    stage.member("T", worker)
    stage.actor("C", lambda: stage.freeze_with_lease("T"))
    stage.actor("L", stage.expire)


@scenario("a lease of an inner world does not end the outer one")
def leases(stage: Stage) -> None:
    def controller() -> None:
        with stage.freezer.freeze(timeout=None) as outer:
            try:
                stage.freezer.freeze(timeout=None, lease=1).thaw()
            except LeaseExpired:
                pass
            is_inner_over = not outer.expired
            stage.pause()
            if is_inner_over and outer.expired:
                stage.find("the lease of an inner world outlives it")

    stage.member("T", lambda: stage.visit("T"))
    stage.actor("C", controller)
    stage.actor("L", stage.expire)


@scenario("a thread that ends while a lease runs out is waited for by nobody")
def leave_and_lease(stage: Stage) -> None:
    def worker() -> None:
        with stage.freezer.register("T"):
            stage.begin()
            stage.freezer.safepoint()

    def controller() -> None:
        try:
            stage.freezer.freeze(timeout=None, lease=1).thaw()
        except LeaseExpired:
            pass
        stage.freezer.freeze(timeout=None).thaw()

    stage.actor("T", worker, begins=False)
    stage.actor("C", controller)
    stage.actor("L", stage.expire)


@scenario("a todo is made once, whether a lease runs out or not")
def todo_and_lease(stage: Stage) -> None:
    made: list[str] = []
    asked = stage.gate()

    def make() -> None:
        stage.work("T")
        made.append("made")

    def controller() -> None:
        future = stage.freezer.todo(stage.ident("T"), make)
        asked.open()
        stage.freeze_with_lease("T")
        future.result()

    def worker() -> None:
        asked.wait()
        stage.freezer.safepoint()

    stage.member("T", worker)
    stage.actor("C", controller)
    stage.actor("L", stage.expire)
    stage.at_end(lambda: "" if made == ["made"] else f"a todo was made {len(made)} times")


@scenario("a hold whose time is up while a thread leaves its region leaves nothing behind")
def region_and_time_out(stage: Stage) -> None:
    def worker() -> None:
        stage.work("T")
        with stage.freezer.blocking("io"):
            pass
        stage.freezer.safepoint()

    def controller() -> None:
        try:
            stage.freezer.hold(timeout=5).thaw()
        except FreezeTimeout:
            stage.check_left_over()

    stage.member("T", worker)
    stage.actor("C", controller)


@scenario("a thread that moves while the time runs out is asked for nothing any more")
def move_and_time_out(stage: Stage) -> None:
    def worker() -> None:
        with stage.freezer.register("T", group="a") as registration:
            stage.begin()
            stage.work("T")
            registration.move("b")
            stage.work("T")
            stage.bow()

    def controller() -> None:
        try:
            stage.freezer.freeze(timeout=5, group="a").thaw()
        except FreezeTimeout:
            stage.check_left_over()

    stage.actor("T", worker, begins=False)
    stage.actor("C", controller)


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
