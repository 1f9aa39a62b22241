"""Regions of `pending()`, in which some freezes stop nobody."""

from __future__ import annotations

from stress.exploration._stage import Stage, scenario


def _freeze_settled(stage: Stage) -> None:
    with stage.freeze("T", settled="tx") as world:
        if world.pending:
            stage.find("a world that is to find tx settled stands, and a thread is in the middle")


@scenario("nobody stands inside pending() for a freeze that is to find that settled")
def pending(stage: Stage) -> None:
    def worker() -> None:
        with stage.freezer.pending("tx.write"):
            stage.work("T")
            stage.freezer.safepoint()
            stage.work("T")
        stage.freezer.safepoint()
        stage.work("T")

    stage.member("T", worker)
    stage.actor("C", lambda: _freeze_settled(stage))


@scenario("a wait inside pending() does not count for a freeze that is to find that settled")
def wait_in_pending(stage: Stage) -> None:
    lock = stage.taken_lock()

    def waiter() -> None:
        with stage.freezer.pending("tx"):
            lock.acquire()
            stage.work("T")
        stage.work("T")

    stage.member("T", waiter)
    stage.actor("N", lock.release)
    stage.actor("C", lambda: _freeze_settled(stage))


@scenario("nor does a blocking region inside it")
def region_in_pending(stage: Stage) -> None:
    def worker() -> None:
        with stage.freezer.pending("tx"):
            with stage.freezer.blocking("io"):
                pass
            stage.work("T")
        stage.work("T")

    stage.member("T", worker)
    stage.actor("C", lambda: _freeze_settled(stage))


@scenario("who begins something inside a blocking region has come out of that before")
def pending_in_region(stage: Stage) -> None:
    def worker() -> None:
        with stage.freezer.blocking("io"), stage.freezer.pending("tx"):
            stage.work("T")
        stage.work("T")

    stage.member("T", worker)
    stage.actor("C", lambda: _freeze_settled(stage))


@scenario("a thread that stands for others in the middle of something does not stand for this one")
def pending_under_hold(stage: Stage) -> None:
    inside: list[str] = []
    stands = stage.gate()

    def worker() -> None:
        with stage.freezer.register("T"):
            with stage.freezer.pending("tx"):
                inside.append("T")
                stage.until_armed()
                stage.freezer.safepoint()
                inside.clear()
            stage.bow()

    def hold() -> None:
        with stage.freezer.hold(timeout=None):
            stands.open()
            stage.rise()

    def controller() -> None:
        stands.wait()
        with stage.freezer.freeze(timeout=None, settled="tx"):
            if inside:
                stage.find("a world that is to find tx settled stands, and T is in the middle")

    stage.actor("T", worker, begins=False)
    stage.actor("H", hold, begins=False)
    stage.actor("C", controller, begins=False)


@scenario("a freeze that is to find a kind settled stands when nothing of it is outstanding")
def outstanding(stage: Stage) -> None:
    tx = stage.freezer.outstanding("tx")

    def worker() -> None:
        tx.add()
        stage.work("T")
        stage.freezer.safepoint()
        stage.work("T")
        tx.done()

    def controller() -> None:
        with stage.freeze("T", settled="tx"):
            if tx.count:
                stage.find("a world that is to find tx settled stands, and one is outstanding")

    stage.member("T", worker)
    stage.actor("C", controller)


@scenario("who can finish what was added meanwhile is let go for that", preempted=("T", "C"))
def added_meanwhile(stage: Stage) -> None:
    tx = stage.freezer.outstanding("tx")
    added, finished = stage.gate(), stage.gate()

    def finisher() -> None:
        stage.run.wait(lambda: stage.freezer.armed or added.is_open)
        stage.freezer.safepoint()
        added.wait()
        tx.done()
        finished.open()

    def adder() -> None:
        stage.until_armed()
        with tx:
            tx.add()
            added.open()
        finished.wait()

    def controller() -> None:
        with stage.freeze("U", "T", settled="tx"):
            pass

    stage.member("U", finisher)
    stage.member("T", adder)
    stage.actor("C", controller)


@scenario("who waits for a freeze that has yet to ask hears of it, and of all that changes")
def gathered(stage: Stage) -> None:
    tx = stage.freezer.outstanding("tx")
    added = stage.gate()

    def adder() -> None:
        tx.add()
        added.open()
        stage.work("T")
        stage.freezer.safepoint()
        stage.work("T")

    def finisher() -> None:
        added.wait()
        tx.done()

    def controller() -> None:
        with stage.freeze("T", settled="tx"):
            pass

    stage.member("T", adder)
    stage.actor("N", finisher)
    stage.actor("C", controller)
