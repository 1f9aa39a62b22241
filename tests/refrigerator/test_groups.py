"""group(): a thread is in another group for the time of a block."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import freezethreads
from freezethreads import AlreadyRegistered, FreezeError, Freezer, NotRegistered, State
from freezing import puppet
from helpers import WAIT, start, wait_for, wait_until
from injection import Boom, injections, watching


def own_group(freezer: Freezer) -> str:
    """Of the calling thread, which is registered."""
    ident = threading.get_ident()
    (info,) = [info for info in freezer.threads() if info.ident == ident]
    return info.group


def is_registered(freezer: Freezer) -> bool:
    return threading.get_ident() in {info.ident for info in freezer.threads()}


def test_a_thread_is_in_it_for_as_long() -> None:
    freezer = Freezer()
    with freezer.register(group="pool"):
        with freezer.group("job.a"):
            assert own_group(freezer) == "job.a"
            with freezer.group("job.b"):
                assert own_group(freezer) == "job.b"
            assert own_group(freezer) == "job.a"
            with freezer.group(""):
                assert own_group(freezer) == ""
        assert own_group(freezer) == "pool"


def test_the_default_freezer_has_it_as_a_function() -> None:
    with freezethreads.register(group="pool"), freezethreads.group("job"):
        assert own_group(freezethreads.default_freezer) == "job"


def test_one_region_may_be_entered_again_and_by_several_threads() -> None:
    freezer = Freezer()
    region = freezer.group("job")
    with freezer.register(group="pool"), puppet(freezer, "other") as thread:
        with region, region:
            thread.tell(region.__enter__).result(WAIT)
            assert thread.registration.group == "job"
        assert own_group(freezer) == "pool"
        assert thread.registration.group == "job"
        thread.tell(region.__exit__, None, None, None).result(WAIT)
        assert thread.registration.group == "other"


def test_a_thread_that_is_not_registered_is_for_as_long() -> None:
    freezer = Freezer()
    with freezer.group("job"):
        assert own_group(freezer) == "job"
        with freezer.group("job.inner"):
            assert own_group(freezer) == "job.inner"
    assert not is_registered(freezer)


def test_one_job_is_stopped_and_not_the_worker_that_has_it() -> None:
    freezer = Freezer()
    done: list[str] = []

    def work(group: str) -> None:
        with freezer.group(group):
            done.append(group)

    with freezethreads.ThreadPoolExecutor(1, freezer=freezer) as pool:
        pool.submit(done.append, "begun").result(WAIT)
        with freezer.hold(group="migration", timeout=WAIT):
            pool.submit(work, "other").result(WAIT)
            job = pool.submit(work, "migration.users")
            # (On its way there it counts as frozen already.)
            wait_until(lambda: [i.site and i.site.label for i in freezer.threads()] == ["group"])
            (info,) = freezer.threads()
            assert (info.group, info.state) == ("migration.users", State.FROZEN)
            assert info.site is not None
            assert (info.site.label, info.site.function.rpartition(".")[2]) == ("group", "work")
            assert not job.done()
        job.result(WAIT)
    assert done == ["begun", "other", "migration.users"]


def test_back_in_a_group_that_stands_it_does_not_run_there() -> None:
    freezer = Freezer()
    inside, over, out = (threading.Event() for _ in range(3))

    def work() -> None:
        with freezer.group("job"):
            inside.set()
            wait_for(over)
        out.set()

    with puppet(freezer, "pool") as thread:
        working = thread.tell(work)
        wait_for(inside)
        with freezer.freeze(group="pool", timeout=WAIT) as world:
            assert world.threads == (), "it is in another group"
            over.set()
            wait_until(lambda: thread.record.state is State.FROZEN)
            assert thread.registration.group == "pool"
            assert not out.is_set()
        working.result(WAIT)
        assert out.is_set()


def test_a_freeze_that_waits_for_it_waits_no_longer_when_it_goes_to_another_group() -> None:
    freezer = Freezer()
    go = threading.Event()

    def work() -> None:
        wait_for(go)
        with freezer.group("job"):
            wait_for(over)

    over = threading.Event()
    with puppet(freezer, "pool") as thread:
        working = thread.tell(work)
        controller = start(lambda: freezer.freeze(group="pool", timeout=WAIT).thaw())
        wait_until(lambda: freezer.armed)
        go.set()
        controller.finish()
        assert not working.done()
        over.set()
        working.result(WAIT)


def test_one_whom_somebody_else_has_moved_meanwhile_stays_there() -> None:
    freezer = Freezer()
    inside, over = threading.Event(), threading.Event()

    def work() -> None:
        with freezer.group("job"):
            inside.set()
            wait_for(over)

    with puppet(freezer, "pool") as thread:
        working = thread.tell(work)
        wait_for(inside)
        thread.registration.move("drain")
        over.set()
        working.result(WAIT)
        assert thread.registration.group == "drain"


def test_one_that_registers_anew_inside_keeps_that() -> None:
    freezer = Freezer()
    with freezer.register(group="pool"):
        with freezer.group("job"):
            freezer.unregister()
            freezer.register(group="new")
        assert own_group(freezer) == "new"
    with freezer.group("job"):
        freezer.unregister()
    assert not is_registered(freezer)


def test_a_thread_whose_installation_has_ended_is_as_one_that_is_not_registered() -> None:
    freezer = freezethreads.default_freezer
    over, inside = threading.Event(), threading.Event()

    def work() -> None:
        with freezethreads.group("outer"):
            inside.set()
            wait_for(over)  # of the installation
        with freezethreads.group("job"):
            assert own_group(freezer) == "job"
        assert not is_registered(freezer)

    with freezethreads.install():
        worker = start(work)
        wait_for(inside)
    over.set()
    worker.finish()


def test_what_is_refused_changes_nothing() -> None:
    freezer = Freezer()
    with freezer.register(group="pool"):
        for shut in freezer.no_freeze(), freezer.blocking():
            with shut, pytest.raises(FreezeError), freezer.group("job"):
                pytest.fail("entered")
            assert own_group(freezer) == "pool"
        todo = freezer.todo(threading.get_ident(), freezer.group("job").__enter__)
        freezer.safepoint()
        assert isinstance(todo.exception(WAIT), FreezeError)
        with pytest.raises(FreezeError, match=r"has not entered group\('job'\)"):
            freezer.group("job").__exit__(None, None, None)
        with freezer.group("job"):
            pass
        assert own_group(freezer) == "pool"
    for wrong in "a.", 3:
        with pytest.raises((TypeError, ValueError), match="must be a dotted name"):
            freezer.group(wrong)  # type: ignore[arg-type]


def test_who_registers_twice_is_told_of_it() -> None:
    freezer = Freezer()
    with freezer.register(), pytest.raises(AlreadyRegistered, match=r"with freezer\.group\("):
        freezer.register(group="job")
    with pytest.raises(NotRegistered):
        freezer.unregister()


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.timeout(300)
def test_an_exception_anywhere_leaves_the_thread_where_it_was(registered: bool) -> None:
    freezer = Freezer()
    region = freezer.group("job")

    def call() -> None:
        with region:
            pass

    def check(call: Callable[[], None]) -> int:
        hits = 0
        for injection in injections():
            try:
                with injection:
                    call()
            except Boom:
                hits += 1
            # Between the end of `__enter__` and the block Python itself hears no exception.
            own = injection.hit is not None and injection.hit[0] == call.__qualname__
            if own and freezer._registry.own.groups:
                region.__exit__(None, None, None)
            assert freezer._registry.own.groups == (), injection.hit
            if registered:
                assert own_group(freezer) == "pool", injection.hit
            else:
                assert not is_registered(freezer), injection.hit
        return hits

    with watching(call):
        if registered:
            with freezer.register(group="pool"):
                assert check(call) > 20
        else:
            assert check(call) > 20
