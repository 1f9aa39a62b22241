"""Threads that come, go and change their group, and what is asked of them meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from freezethreads import LeaseExpired, NotRegistered, Registration, State, ThreadExited, World
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


def moved_member(stage: Stage, group: str, act: Callable[[], object]) -> list[Registration]:
    """Add a worker T of that group; its registration is in the list when all begin."""
    registrations: list[Registration] = []

    def worker() -> None:
        with stage.freezer.register("T", group=group) as registration:
            registrations.append(registration)
            stage.begin()
            act()
            stage.bow()

    stage.actor("T", worker, begins=False)
    return registrations


def check_membership(stage: Stage, world: World, registration: Registration) -> None:
    """When nobody moves it any more, it is asked by a freeze if and only if that lists it."""
    record, freeze = registration._record, world._freeze
    is_asked = freeze in record.parking.word.value.freezes
    if (record in freeze.members) != is_asked or is_asked != freeze.covers(record.group):
        stage.find(f"a thread of {record.group!r} is {'' if is_asked else 'not '}asked")


@scenario("a thread that is moved into a frozen group stands from its next safepoint on")
def moved(stage: Stage) -> None:
    registrations = moved_member(stage, "a", lambda: stage.visit("T", 2))

    def mover() -> None:
        registrations[0].move("b")

    def controller() -> None:
        with stage.freezer.freeze(timeout=None, group="b") as world:
            if any(info.state is not State.RUNNING for info in world.threads):
                with stage.still(world, "T"):
                    pass

    stage.actor("M", mover)
    stage.actor("C", controller)


@scenario("a thread that is moved out of a frozen group goes on")
def moved_out(stage: Stage) -> None:
    gate = stage.gate()

    def work() -> None:
        stage.visit("T")
        gate.open()

    registrations = moved_member(stage, "a", work)

    def mover() -> None:
        registrations[0].move("b")

    def controller() -> None:
        with stage.freezer.hold(timeout=None, group="a"):
            gate.wait()

    stage.actor("M", mover)
    stage.actor("C", controller)


@scenario("a thread that is moved into a frozen group while a lease runs out goes on after that")
def moved_and_lease(stage: Stage) -> None:
    stands, moved = stage.gate(), stage.gate()
    registrations: list[Registration] = []

    def worker() -> None:
        with stage.freezer.register("T", group="a") as registration:
            registrations.append(registration)
            stands.wait()
            stage.visit("T")
            stage.bow()

    def mover() -> None:
        stands.wait()
        registrations[0].move("b")
        moved.open()

    def controller() -> None:
        try:
            with stage.freezer.freeze(timeout=None, group="b", lease=1):
                stands.open()
                stage.rise()
                moved.wait()
                stage.leave()
        except LeaseExpired:
            pass

    stage.actor("T", worker, begins=False)
    stage.actor("M", mover, begins=False)
    stage.actor("L", lambda: stage.expire_after(stands), begins=False)
    stage.actor("C", controller, begins=False)


@scenario("a thread that two move at once is asked for what is asked where it is")
def moved_by_two(stage: Stage) -> None:
    gates = [stage.gate(), stage.gate()]
    registrations = moved_member(stage, "a", stage.freezer.safepoint)

    def mover(group: str, number: int) -> None:
        registrations[0].move(group)
        gates[number].open()

    def controller() -> None:
        with stage.freezer.freeze(timeout=None, group="b") as world:
            for gate in gates:
                gate.wait()
            check_membership(stage, world, registrations[0])

    stage.actor("M", lambda: mover("b", 0))
    stage.actor("N", lambda: mover("c", 1))
    stage.actor("C", controller)


@scenario("a thread that is moved out and back while it is asked belongs to that freeze")
def moved_back(stage: Stage) -> None:
    gate = stage.gate()
    registrations = moved_member(stage, "b", lambda: stage.visit("T"))

    def mover() -> None:
        registrations[0].move("a")
        stage.pause()
        registrations[0].move("b")
        gate.open()

    def controller() -> None:
        with stage.freezer.freeze(timeout=None, group="b") as world:
            gate.wait()
            check_membership(stage, world, registrations[0])

    stage.actor("M", mover)
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
def unregister(stage: Stage) -> None:
    def worker() -> None:
        stage.freezer.safepoint()
        stage.work("T")

    def controller() -> None:
        with stage.freezer.freeze(timeout=None):
            pass

    def third() -> None:
        registry = stage.freezer._registry
        for record in list(registry.records.values()):
            registry.unregister(record)

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
