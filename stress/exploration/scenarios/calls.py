"""What a world calls in a thread that stands: in a region, under a hold, for two freezers."""

from __future__ import annotations

from freezethreads import FreezeError, Freezer, LeaseExpired, ThreadBlocked
from stress.exploration._stage import Stage, scenario


@scenario("a call is refused with ThreadBlocked only if it is never made")
def call_in_region(stage: Stage) -> None:
    calls: list[str] = []

    def worker() -> None:
        with stage.freezer.blocking("io"):
            stage.pause()

    def call() -> None:
        calls.append("made")
        stage.pause()

    def controller() -> None:
        with stage.freezer.freeze(timeout=None) as world:
            try:
                world.call(stage.ident("T"), call)
            except ThreadBlocked:
                calls.append("refused")
            except FreezeError:
                pass

    stage.member("T", worker)
    stage.actor("C", controller)
    stage.at_end(lambda: f"a call was {' and '.join(calls)}" if len(calls) > 1 else "")


@scenario("a thread that makes a call whose world has ended does not count as stopped")
def call_and_lease(stage: Stage) -> None:
    def call() -> None:
        stage.work("T")
        stage.work("T")

    def controller() -> None:
        with stage.freezer.hold(timeout=None):
            try:
                with stage.freezer.freeze(timeout=None, lease=1) as world:
                    world.call(stage.ident("T"), call)
            except (FreezeError, LeaseExpired):
                pass

    def second() -> None:
        with stage.freeze("T"):
            pass

    stage.member("T", stage.freezer.safepoint)
    stage.actor("C", controller)
    stage.actor("L", stage.expire)
    stage.actor("D", second)


@scenario("a call for one freezer's world is not made while another freezer's world stands")
def call_for_two(stage: Stage) -> None:
    others: Freezer = stage.new_freezer("other")

    def worker() -> None:
        stage.freezer.safepoint()
        others.safepoint()

    def caller() -> None:
        with stage.freezer.freeze(timeout=None) as world:
            try:
                world.call(stage.ident("T"), stage.work, "T")
            except FreezeError:
                pass

    def other() -> None:
        with stage.freeze("T", freezer=others):
            pass

    stage.member("T", worker, stage.freezer, others)
    stage.actor("A", caller)
    stage.actor("B", other)


@scenario("a call into a freezable wait waits for the world of another freezer")
def call_into_wait(stage: Stage) -> None:
    others: Freezer = stage.new_freezer("other")
    lock = stage.taken_lock()

    def caller() -> None:
        with stage.freezer.freeze(timeout=None) as world:
            try:
                world.call(stage.ident("T"), stage.work, "T")
            except FreezeError:
                pass

    def other() -> None:
        with stage.freeze("T", freezer=others):
            pass
        lock.release()

    stage.member("T", lock.acquire, stage.freezer, others)
    stage.actor("A", caller)
    stage.actor("B", other)
