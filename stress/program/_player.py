"""A thread of a program. Each method `do_...` is one of its operations, made by the thread itself.

What an operation cannot do where it stands (to register in a region, to call without a world) it
leaves out, so that each program means something, however it was made smaller.
"""

from __future__ import annotations

import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING

from freezethreads import (
    FreezeError,
    Freezer,
    FreezeTimeout,
    LeaseExpired,
    NotRegistered,
    Registration,
    ThreadExited,
    sync,
)
from freezethreads._ground.arguments import covers
from freezethreads.testing import Violation
from stress.program._program import FREEZERS, Body, Part
from stress.program._shared import SHORT, Guarded, Permits
from stress.program._standing import Standing, Steps
from stress.program._tasks import ForAll, Task, here

if TYPE_CHECKING:
    from stress.program._stage import Stage

LONG_STEP = 5
"""Turns of a loop in the middle of a step."""
MILLISECOND = 0.001


class Count:
    """Counts a thread's regions of one kind in one freezer."""

    def __init__(self, counts: list[int], freezer: int) -> None:
        self._counts = counts
        self._freezer = freezer

    def __enter__(self) -> None:
        self._counts[self._freezer] += 1

    def __exit__(self, *exc_info: object) -> None:
        self._counts[self._freezer] -= 1


class Player:
    """One thread. Its fields are written by itself alone, and by nobody while it stands.

    `groups` says for each freezer in which group it is, whenever it runs the application's code:
    it is None before the thread begins to leave, and until it has come. `regions` and `shuts` count
    its regions of `blocking()` and `no_freeze()`: from inside, so that the doors are outside.
    """

    def __init__(self, stage: Stage, number: int, part: Part) -> None:
        self.number = number
        self.name = f"t{number}"
        self.thread = threading.Thread(target=self._play, name=self.name, daemon=True)
        self.groups: list[str | None] = [None] * FREEZERS
        self.steps = [Steps() for _ in range(FREEZERS)]
        self.regions = [0] * FREEZERS
        self.shuts = [0] * FREEZERS
        self.owned = 0
        self.asked: list[Task] = []
        self.asked_all: list[ForAll] = []
        self.made: list[Task] = []
        self._stage = stage
        self._part = part
        self._registrations: list[Registration | None] = [None] * FREEZERS
        self._worlds: list[Standing] = []
        self._numbers = 0

    def _play(self) -> None:
        here.player = self
        try:
            for freezer, group in enumerate(self._part.groups):
                if group is not None:
                    self._enter(freezer, group)
            if self._stage.begin():
                for _ in self._stage.laps():
                    self._run(self._part.body)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            self._stage.fail(self.name, error)
        self.groups = [None] * FREEZERS
        self._stage.end(self)

    def _run(self, body: Body) -> None:
        for name, *arguments in body:
            if self._stage.finding is not None:
                break
            getattr(self, f"do_{name}")(*arguments)

    def next_number(self) -> int:
        """Another one each time."""
        self._numbers += 1
        return self._numbers

    def _freezer(self, number: int) -> Freezer:
        return self._stage.freezers[number]

    def _is_away(self, freezer: int) -> bool:
        return self.regions[freezer] > 0 and not self.shuts[freezer]

    # What it does by itself.

    def step(self, world: int | None = None) -> None:
        """Do something that nobody may do who stands. `world`: but in that freezer's world."""
        seen = [
            steps
            for freezer, steps in enumerate(self.steps)
            if freezer != world and not self._is_away(freezer)
        ]
        for steps in seen:
            steps.begun += 1
        for _ in range(LONG_STEP):
            pass
        for steps in seen:
            steps.done += 1

    def do_step(self, times: int) -> None:
        for _ in range(times):
            self.step()

    def _is_door(self, freezer: int) -> bool:
        """A world of another freezer does not wait for a thread that is not registered there, and
        stops it all the same. Who has a world itself might stand so for one that stands for it."""
        return self._registrations[freezer] is not None or not self._worlds

    def do_safepoint(self, freezer: int) -> None:
        if self._is_door(freezer):
            self._freezer(freezer).safepoint(self.name)

    def do_blocking(self, freezer: int, body: Body) -> None:
        if not self._is_door(freezer):
            return
        with self._freezer(freezer).blocking(self.name), Count(self.regions, freezer):
            self._run(body)

    def do_no_freeze(self, freezer: int, body: Body) -> None:
        with self._freezer(freezer).no_freeze(), Count(self.shuts, freezer):
            self._run(body)

    def do_sleep(self, tenths: int) -> None:
        sync.sleep(tenths * MILLISECOND / 10)

    # Membership.

    def _can_change(self, freezer: int) -> bool:
        """Not in a region; nor with a world. Who has one of this freezer stops for nobody, and so
        comes into a group that a hold has stopped; with one of the other see `_is_door`."""
        return not (self.regions[freezer] or self.shuts[freezer] or self._worlds)

    def do_register(self, freezer: int, group: str) -> None:
        """Anew, if it is registered."""
        if self._can_change(freezer):
            self._leave(freezer)
            self._enter(freezer, group)

    def do_unregister(self, freezer: int) -> None:
        if self._can_change(freezer):
            self._leave(freezer)

    def do_move(self, freezer: int, group: str) -> None:
        registration = self._registrations[freezer]
        if registration and self._can_change(freezer):
            self.groups[freezer] = None
            registration.move(group)
            self.groups[freezer] = group

    def _enter(self, freezer: int, group: str) -> None:
        self._registrations[freezer] = self._freezer(freezer).register(self.name, group=group)
        self.groups[freezer] = group

    def _leave(self, freezer: int) -> None:
        if self._registrations[freezer]:
            self.groups[freezer] = None
            self._freezer(freezer).unregister()
            self._registrations[freezer] = None

    # Controllers.

    def do_freeze(
        self, freezer: int, group: str, timeout: int, lease: int | None, body: Body
    ) -> None:
        """Freeze, and do `body` with the world. Durations in milliseconds."""
        is_patient = self._is_free() and self._stage.stops[freezer]
        seconds = self._stage.patience if is_patient else timeout * MILLISECOND
        began = monotonic()
        try:
            world = self._freezer(freezer).freeze(
                timeout=seconds, group=group, reason=self.name, lease=_seconds(lease)
            )
        except FreezeTimeout:
            if is_patient:
                raise
            return
        except FreezeError:
            if not self._may_be_refused(freezer, group):
                raise
            return
        self._check_in_time(began)
        standing = Standing(self._stage, self, world, freezer, group, lease is not None)
        standing.may_expire |= any(outer.may_expire for outer in self._worlds_of(freezer))
        self._worlds.append(standing)
        try:
            with world:
                self._stage.add(standing)
                self._look_at_all(standing)
                self._run(body)
                self._look_at_all(standing)
                standing.ended = True
        except LeaseExpired:
            if not standing.may_expire:
                raise
            for outer in self._worlds_of(freezer):
                outer.may_expire = True
        finally:
            standing.ended = True
            self._worlds.remove(standing)

    def _worlds_of(self, freezer: int) -> list[Standing]:
        return [standing for standing in self._worlds if standing.freezer == freezer]

    def _look_at_all(self, standing: Standing) -> None:
        """At the steps of those who stand; if all do, also at what they share."""
        if all([player.has_empty_hands(standing) for player in self._stage.players]):
            problem = self._stage.shared.look()
            if problem and not standing.is_over:
                raise Violation(f"{problem}, in {standing!r}")
        standing.look()

    def has_empty_hands(self, standing: Standing) -> bool:
        """Whether it stands there, in no region, or has ended. While that stands."""
        if self is standing.owner or self in self._stage.ended:
            return True
        group = self.groups[standing.freezer]
        is_covered = group is not None and covers(standing.group, group)
        return is_covered and not self.regions[standing.freezer]

    def do_run_frozen(self, freezer: int, group: str, timeout: int) -> None:
        try:
            self._freezer(freezer).run_frozen(self.step, timeout=timeout * MILLISECOND, group=group)
        except FreezeTimeout:
            pass
        except LeaseExpired:
            if not any(each.may_expire for each in self._worlds_of(freezer)):
                raise
        except FreezeError:
            if not self._may_be_refused(freezer, group):
                raise

    def _may_be_refused(self, freezer: int, group: str) -> bool:
        """Whether it has a world that does not cover that group."""
        return any(not covers(each.group, group) for each in self._worlds_of(freezer))

    def do_hold(self, freezer: int, group: str, timeout: int, lease: int | None) -> None:
        """Hold. Without a lease somebody thaws it later."""
        try:
            hold = self._freezer(freezer).hold(
                timeout=timeout * MILLISECOND, group=group, reason=self.name, lease=_seconds(lease)
            )
        except FreezeTimeout:
            return
        standing = Standing(self._stage, self, hold, freezer, group, lease is not None)
        self._stage.add(standing)

    def do_thaw(self, which: int, times: int) -> None:
        """Any world or hold of any thread."""
        if found := self._stage.standing():
            for _ in range(times):
                found[which % len(found)].end()

    def do_overstay(self) -> None:
        """Wait for the end of the lease of one's own world."""
        if self._worlds and self._worlds[-1].lease:
            self._worlds[-1].wait_for_lease(self._stage.patience)

    # What it asks of others.

    def do_todo(self, target: int, freezer: int, priority: int) -> None:
        player = self._stage.players[target]
        task = Task(player, (target, freezer, priority))
        self.asked.append(task)
        try:
            task.future = self._freezer(freezer).todo(player.thread, task, priority=priority)
        except (NotRegistered, ThreadExited):
            pass

    def do_todo_all(self, freezer: int, group: str) -> None:
        task = ForAll()
        self.asked_all.append(task)
        task.futures = self._freezer(freezer).todo_all(task, group=group)

    def do_cancel(self) -> None:
        if self.asked and (future := self.asked[-1].future) is not None:
            self.asked[-1].cancelled |= future.cancel()

    def do_call(self, target: int) -> None:
        if not self._worlds:
            return
        standing = self._worlds[-1]
        player = self._stage.players[target]
        task = Task(player, world=standing.freezer)
        try:
            result = standing.call(player.thread, task)
        except FreezeError:
            self.asked.append(task)  # to see at the end whether it was made all the same
        else:
            task.check_made(result)

    # What they share.

    def do_lock(self, which: int, body: Body) -> None:
        self._with(self._stage.shared.locks[which], body)

    def do_permit(self, which: int, body: Body) -> None:
        self._with(self._stage.shared.permits[which], body)

    def _with(self, guarded: Guarded | Permits, body: Body) -> None:
        is_patient = self._can_wait()
        began = monotonic()
        if guarded.acquire(self, self._stage.patience if is_patient else SHORT):
            self._check_in_time(began)
            self.owned += 1
            self._run(body)
            self.owned -= 1
            guarded.release(self)
        elif is_patient:
            raise Violation(f"{self.name} has waited in vain for {self._stage.patience} s")

    def _check_in_time(self, began: float) -> None:
        """That a wait did not end by its time-out alone, in which it found that it was over."""
        waited = monotonic() - began
        if waited > self._stage.patience:
            raise Violation(f"{self.name} has got what it waited for after {waited:.1f} s")

    def _can_wait(self) -> bool:
        """Whether nobody waits for it, directly or by way of others."""
        return not (self._worlds or self.owned or any(self.shuts))

    def _is_free(self) -> bool:
        """Whether it can wait for all to stop."""
        return self._can_wait() and self._registrations == [None] * FREEZERS

    def do_put(self, which: int) -> None:
        self._stage.shared.boxes[which].put(self)

    def do_take(self, which: int) -> None:
        self._stage.shared.boxes[which].take(self)

    def do_make(self) -> None:
        self._stage.shared.store.make(self)

    def do_take_made(self) -> None:
        self._stage.shared.store.take(self)

    def do_set(self) -> None:
        self._stage.shared.event.set()

    def do_clear(self) -> None:
        self._stage.shared.event.clear()

    def do_await(self) -> None:
        self._stage.shared.event.wait(SHORT)

    def do_meet(self) -> None:
        self._stage.shared.meet()

    def do_pause(self, tenths: int) -> None:
        """A wait that nobody knows of. (In tenths of a millisecond.)"""
        sleep(tenths * MILLISECOND / 10)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds * MILLISECOND
