"""What a world calls in a thread that stands: in a region, under a hold, for two freezers."""

from __future__ import annotations

from collections.abc import Callable

from freezethreads import FreezeError, FreezeTimeout, LeaseExpired, ThreadBlocked
from stress.exploration._stage import Stage, scenario
from stress.exploration.scenarios.thaws import stand


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


@scenario("a call is refused only if it is never made, also where a lease runs out")
def call_or_lease(stage: Stage) -> None:
    calls: list[str] = []
    stands = stage.gate()

    def call() -> None:
        calls.append("made")
        stage.pause()

    def controller() -> None:
        world = stage.freezer.freeze(timeout=None, lease=1)
        stands.open()
        stage.rise()
        try:
            world.call(stage.ident("T"), call)
        except FreezeError:
            calls.append("refused")
        stage.leave()
        world.thaw()

    stage.actor("T", lambda: stand(stage), begins=False)
    stage.actor("C", controller, begins=False)
    stage.actor("L", lambda: stage.expire_after(stands), begins=False)
    stage.at_end(lambda: f"a call was {' and '.join(calls)}" if len(calls) != 1 else "")


@scenario("a thread that makes a call whose world has ended does not count as stopped")
def call_and_lease(stage: Stage) -> None:
    calls = stage.gate()

    def call() -> None:
        calls.open()
        stage.rise()
        stage.work("T")

    def controller() -> None:
        with stage.freezer.hold(timeout=None):
            try:
                with stage.freezer.freeze(timeout=None, lease=1) as world:
                    world.call(stage.ident("T"), call)
            except (FreezeError, LeaseExpired):
                pass
            with stage.freeze("T"):
                stage.leave()

    stage.actor("T", lambda: stand(stage), begins=False)
    stage.actor("C", controller, begins=False)
    stage.actor("L", lambda: stage.expire_after(calls), begins=False)


@scenario("a freeze whose time is up while a thread makes another freezer's call leaves nothing")
def call_and_time_out(stage: Stage) -> None:
    _call_for_one(stage, timeout=5)


@scenario("a call for one freezer's world is not made while another freezer's world stands")
def call_for_two(stage: Stage) -> None:
    _call_for_one(stage)


@scenario("a call into a freezable wait waits for the world of another freezer")
def call_into_wait(stage: Stage) -> None:
    lock = stage.taken_lock()
    _call_for_one(stage, lock.acquire, lock.release)


def _call_for_one(
    stage: Stage,
    wait: Callable[[], object] | None = None,
    let_go: Callable[[], object] = lambda: None,
    timeout: float | None = None,
) -> None:
    """Add T, of two freezers, which stops or waits; who calls it in a world of one of them, which
    stands when the exploration begins; and who gets a world of the other, and lets T go at last."""
    others = stage.new_freezer("other")
    stands = stage.gate()

    def worker() -> None:
        with stage.freezer.register("T"), others.register("T"):
            if wait is not None:
                wait()
            else:
                stage.until_armed()
                stage.freezer.safepoint()
                others.safepoint()
            stage.work("T")
            stage.bow()

    def caller() -> None:
        with stage.freezer.freeze(timeout=None) as world:
            stands.open()
            stage.rise()
            try:
                world.call(stage.ident("T"), stage.work, "T")
            except ThreadBlocked:
                pass  # the other freezer holds it as well
            stage.leave()

    def other() -> None:
        stands.wait()
        try:
            with stage.freeze("T", freezer=others, timeout=timeout):
                stage.leave()
        except FreezeTimeout:
            pass
        let_go()

    stage.actor("T", worker, begins=False)
    stage.actor("A", caller, begins=False)
    stage.actor("B", other, begins=False)
