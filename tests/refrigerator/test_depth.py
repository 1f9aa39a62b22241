"""Close to the recursion limit: whoever a freeze counts on does not run, and nothing stays asked.

A thread makes its call with each number of calls left, from none on. It may get RecursionError for
that. But once a freeze counts it as stopped it waits for the thaw, at whatever depth it is.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from threading import Lock

import pytest

from depths import MOST_LEFT, depths, low_limit
from freezethreads import Freezer, FreezeTimeout, NotRegistered, World, sync
from freezethreads._registry.record import Record, here
from freezing import Actor, Loops, actor, looping, puppet
from helpers import WAIT, start, wait_until


@pytest.fixture(autouse=True)
def _low_limit() -> Iterator[None]:
    with low_limit():
        yield


class Subject:
    """A thread that makes its call once for each depth, and enters a region between two.

    Within the call it says by `reached` that it is there, and waits for `gate`: both are functions
    of C, which need hardly any room. Whoever is to find it there keeps the gate meanwhile.
    """

    def __init__(self, call: Callable[[Subject], object], debug: bool = False) -> None:
        self.freezer = Freezer("depth", debug=debug)
        self.reached = queue.SimpleQueue[None]()
        self.gate = Lock()
        self.escaped = False
        self.ends: set[bool]  # whether its calls returned
        self._call = call
        self._begin = queue.SimpleQueue[bool]()
        self._ready = queue.SimpleQueue[None]()
        self.record: Record
        self.thread = start(self._run)
        self._ready.get(timeout=WAIT)

    def _run(self) -> None:
        with self.freezer.register():
            ((_, self.record),) = here.parking.members
            self.ends = depths(lambda: self._call(self), self._check, self._wait_to_begin)
            self._ready.put(None)

    def _wait_to_begin(self) -> None:
        self._ready.put(None)
        self._begin.get()

    def _check(self) -> None:
        """Its call is over."""
        self._run_application()
        with self.freezer.blocking("between two calls"):
            self.reached.put(None)
            with self.gate:
                pass

    def _run_application(self) -> None:
        """Nothing, but nobody may think that it has stopped."""
        for freeze in list(self.freezer._registry.active):
            if self.record in freeze.members and self.record not in freeze.awaited:
                self.escaped = self.escaped or not freeze.done

    def begin(self) -> None:
        self._begin.put(True)

    def wait_for_the_end(self) -> None:
        """Until its call is over, and the region after it."""
        self._ready.get(timeout=WAIT)
        while not self.reached.empty():
            self.reached.get()

    @property
    def waits_for_a_thaw(self) -> bool:
        parking = self.record.parking
        return parking.word.value.stay is not None or parking.away is not None


def stand_while_it_is_there(subject: Subject, _: Actor) -> World:
    """The world begins while the subject is within its call, or beyond it."""
    subject.begin()
    subject.reached.get(timeout=WAIT)
    return subject.freezer.freeze(timeout=WAIT)


def ask_before(subject: Subject, controller: Actor) -> World:
    """The freeze is there before the call begins."""
    asking = controller.tell(subject.freezer.freeze, timeout=WAIT)
    word = subject.record.parking.word
    wait_until(lambda: any(not freeze.done for freeze in word.value.freezes))
    subject.begin()
    return asking.result(WAIT)


def in_a_region(subject: Subject) -> None:
    with subject.freezer.blocking():
        subject.reached.put(None)
        with subject.gate:
            pass


def in_a_nested_region(subject: Subject) -> None:
    with subject.freezer.blocking():
        in_a_region(subject)


def in_a_region_of_debug_mode(subject: Subject) -> None:
    subject.freezer._registry.debug = True
    try:
        in_a_region(subject)
    finally:
        subject.freezer._registry.debug = False


def in_a_region_that_is_suspended(subject: Subject) -> None:
    with subject.freezer.blocking():
        subject.reached.put(None)
        with subject.gate:
            pass
        with subject.freezer.no_freeze():
            subject._run_application()


def in_a_wait(subject: Subject) -> None:
    subject.reached.put(None)
    sync.sleep(0.0001)


def in_a_wait_for_a_lock(subject: Subject) -> None:
    lock = sync.Lock()
    with lock:
        subject.reached.put(None)
        lock.acquire(timeout=0.0001)


def at_a_safepoint(subject: Subject) -> None:
    subject.reached.put(None)
    subject.freezer.safepoint()


def at_a_safepoint_within_a_region(subject: Subject) -> None:
    with subject.freezer.blocking():
        subject.reached.put(None)
        with subject.gate:
            pass
        subject.freezer.safepoint()


CALLS = [
    in_a_region,
    in_a_nested_region,
    in_a_region_of_debug_mode,
    in_a_region_that_is_suspended,
    in_a_wait,
    in_a_wait_for_a_lock,
    at_a_safepoint,
    at_a_safepoint_within_a_region,
]


in_debug_mode_too = pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("ask", [stand_while_it_is_there, ask_before], ids=lambda ask: ask.__name__)
@in_debug_mode_too
def test_a_thread_that_counts_as_stopped_waits_at_any_depth(
    ask: Callable[[Subject, Actor], World], call: Callable[[Subject], object], debug: bool
) -> None:
    subject = Subject(call, debug)
    with actor() as controller:
        for left in range(MOST_LEFT):
            with subject.gate:
                world = ask(subject, controller)
            wait_until(lambda: subject.waits_for_a_thaw)
            world.thaw()
            subject.wait_for_the_end()
            assert not subject.escaped, f"it ran in a world, with {left} calls left"
    subject.thread.finish()
    assert subject.ends == {True, False}


def test_a_controller_that_waits_for_its_turn_at_any_depth() -> None:
    """It counts as stopped meanwhile, and must not run before the thaw when its turn comes."""
    subject = Subject(lambda subject: subject.freezer.freeze(group="nobody").thaw())
    with actor() as controller:
        for left in range(MOST_LEFT):
            world = ask_before(subject, controller)
            world.thaw()
            subject.wait_for_the_end()
            assert not subject.escaped, f"it ran in a world, with {left} calls left"
    subject.thread.finish()
    assert subject.ends == {True, False}


def freeze(freezer: Freezer) -> None:
    with freezer.freeze(timeout=WAIT):
        pass


def freeze_twice(freezer: Freezer) -> None:
    with freezer.freeze(timeout=WAIT), freezer.freeze(group="a"):
        pass


def freeze_with_a_lease(freezer: Freezer) -> None:
    with freezer.freeze(timeout=WAIT, lease=60):
        pass


def freeze_in_vain(freezer: Freezer) -> None:
    try:
        freezer.freeze(timeout=0)
    except FreezeTimeout:
        pass


def hold(freezer: Freezer) -> None:
    with freezer.hold(timeout=WAIT):
        pass


def run_frozen(freezer: Freezer) -> None:
    freezer.run_frozen(freezer.threads)


def call(freezer: Freezer) -> None:
    with freezer.freeze(timeout=WAIT) as world:
        world.call(world.threads[0], int)


def ask(freezer: Freezer) -> None:
    assert len(freezer.todo_all(int)) == 2


def register(freezer: Freezer) -> None:
    with freezer.register():
        pass


def register_and_freeze(freezer: Freezer) -> None:
    with freezer.register(), freezer.freeze(timeout=WAIT):
        pass


def register_and_move(freezer: Freezer) -> None:
    with freezer.register() as registration:
        registration.move("a.b")


def check(freezer: Freezer, loops: Loops) -> None:
    """Nobody is asked for anything any more, and all run."""
    try:
        freezer.unregister()  # which the error may have kept `with register()` from
    except NotRegistered:
        pass
    registry = freezer._registry
    assert not registry.active
    for turns in registry.turns.values():
        assert turns.current is None
    loops.progress()
    assert not registry.pending
    assert freezer.armed is registry.debug


@pytest.mark.parametrize(
    "act",
    [
        freeze,
        freeze_twice,
        freeze_with_a_lease,
        hold,
        run_frozen,
        call,
        ask,
        register,
        register_and_freeze,
        register_and_move,
    ],
    ids=lambda act: act.__name__,
)
@in_debug_mode_too
def test_what_has_no_room_leaves_nothing_behind(
    act: Callable[[Freezer], object], debug: bool
) -> None:
    freezer = Freezer("depth", debug=debug)
    with looping(freezer, 2) as loops:
        thread = start(depths, lambda: act(freezer), lambda: check(freezer, loops))
        assert thread.finish() == {True, False}


def test_a_freeze_in_vain_that_has_no_room_for_its_report() -> None:
    freezer = Freezer("depth")
    with puppet(freezer) as runs:

        def check_all() -> None:
            assert not freezer._registry.active
            assert freezer._registry.turns["freeze"].current is None
            runs.do(freezer.safepoint)

        thread = start(depths, lambda: freeze_in_vain(freezer), check_all)
        assert thread.finish() == {True, False}
