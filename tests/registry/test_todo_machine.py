"""States, todos and registry, driven step by step against a simple model of them.

Each thread of the model is a real thread that makes one call at a time and acknowledges it, unless
the model says that the call stops in the refrigerator.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from threading import get_ident
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from freezethreads import (
    FreezeError,
    Freezer,
    FreezeTimeout,
    Hold,
    NotRegistered,
    Registration,
    State,
    ThreadBlocked,
    ThreadExited,
)
from helpers import WAIT
from model_threads import Actor, Asked, Call, covers

GROUPS = ["", "io", "io.disk", "cpu"]
NAMES = ["a", "b", "c"]


class Freezing(RuleBasedStateMachine):
    """The freezer and its model."""

    def __init__(self) -> None:
        super().__init__()
        self.freezer = Freezer()
        self.actors = {name: Actor(name) for name in NAMES}
        self.holds: list[tuple[str, Hold]] = []
        self.ran: list[Future[Any]] = []
        self.expected: list[Future[Any]] = []
        self.failed: list[Future[Any]] = []

    # The model.

    def held(self, actor: Actor) -> bool:
        return any(covers(group, actor.group) for group, _ in self.holds)

    def state(self, actor: Actor) -> State:
        if actor.parked or (actor.away and self.held(actor)):
            return State.FROZEN
        return State.BLOCKED if actor.away else State.RUNNING

    def runs(self, group: str) -> set[str]:
        """Who does not stop for a freeze of `group`."""
        return {
            actor.name
            for actor in self.actors.values()
            if actor.registered and covers(group, actor.group)
            if self.state(actor) is State.RUNNING
        }

    def visit(self, actor: Actor) -> None:
        """The todos are made."""
        order = sorted(actor.todos, key=lambda todo: -todo.priority)
        self.expected += [todo.future for todo in order if not todo.future.cancelled()]
        actor.todos.clear()

    def drop(self, actor: Actor) -> None:
        """The thread leaves the registry."""
        self.failed += [todo.future for todo in actor.todos if not todo.future.cancelled()]
        actor.todos.clear()
        actor.registered = False

    # Both together.

    def make(self, actor: Actor, call: Call, stops: bool, after: Callable[[], None]) -> None:
        """Have a thread make a call; `after` is what the model does when it has returned."""
        actor.calls.put(call)
        actor.after = after
        if stops:
            self.wait_until_parked(actor)
        else:
            self.finish(actor)

    def finish(self, actor: Actor) -> None:
        result = actor.acknowledge()
        assert not isinstance(result, Exception), result
        after, actor.after = actor.after, None
        assert after is not None
        after()

    def wait_until_parked(self, actor: Actor) -> None:
        """Wait until the thread stands for a freeze that is not done; it may come from another."""
        give_up = time.monotonic() + WAIT
        while not self._is_parked(actor.thread.ident or 0):
            assert time.monotonic() < give_up, f"{actor.name} does not stop"
            assert actor.results.empty(), f"{actor.name} went through"

    def _is_parked(self, ident: int) -> bool:
        record = self.freezer._registry.records.get(ident)
        return record is not None and record.parking.word.value.holder() is not None

    def refused(self, actor: Actor, call: Call, error: type[Exception]) -> None:
        actor.calls.put(call)
        assert isinstance(actor.acknowledge(), error)

    def idle(self, name: str, registered: bool = True) -> Actor | None:
        actor = self.actors[name]
        return actor if actor.registered is registered and not actor.parked else None

    # Membership.

    @initialize(groups=st.tuples(*[st.sampled_from(GROUPS)] * len(NAMES)))
    def register_all(self, groups: tuple[str, ...]) -> None:
        for name, group in zip(NAMES, groups, strict=True):
            self.register(name, group)

    @rule(name=st.sampled_from(NAMES), group=st.sampled_from(GROUPS))
    def register(self, name: str, group: str) -> None:
        if actor := self.idle(name, registered=False):
            actor.registered, actor.group = True, group
            register = self.freezer.register
            self.make(actor, lambda: register(name, group=group), self.held(actor), lambda: None)

    @rule(name=st.sampled_from(NAMES))
    def unregister(self, name: str) -> None:
        if (actor := self.idle(name)) and actor.away:
            self.refused(actor, self.freezer.unregister, FreezeError)
        elif actor and not actor.regions:
            self.make(actor, self.freezer.unregister, False, lambda: self.drop(actor))

    @rule(name=st.sampled_from(NAMES))
    def exit(self, name: str) -> None:
        actor = self.actors[name]
        if not actor.parked:
            actor.calls.put(None)
            actor.thread.finish()
            self.drop(actor)
            self.actors[name] = Actor(name)

    @rule(name=st.sampled_from(NAMES), group=st.sampled_from(GROUPS))
    def move(self, name: str, group: str) -> None:
        if (actor := self.idle(name)) is None:
            return
        ident = actor.thread.ident or 0
        record = self.freezer._registry.records[ident]
        registration = Registration(self.freezer._registry, record)
        if actor.away:
            self.refused(actor, lambda: registration.move(group), FreezeError)
        elif not actor.shut:
            actor.group = group
            self.make(actor, lambda: registration.move(group), self.held(actor), lambda: None)

    # The threads' side.

    @rule(name=st.sampled_from(NAMES))
    def safepoint(self, name: str) -> None:
        if actor := self.idle(name):
            stops = self.held(actor) and not actor.shut
            shut = actor.shut
            after = (lambda: None) if shut else (lambda: self.visit(actor))
            self.make(actor, self.freezer.safepoint, stops, after)

    @rule(name=st.sampled_from(NAMES), kind=st.sampled_from(["blocking", "no_freeze"]))
    def enter(self, name: str, kind: str) -> None:
        if (actor := self.idle(name)) and len(actor.regions) < 4:
            region: AbstractContextManager[None] = getattr(self.freezer, kind)()
            stops = kind == "no_freeze" and actor.away and self.held(actor)
            after = lambda: actor.regions.append((kind, region))  # noqa: E731
            self.make(actor, region.__enter__, stops, after)

    @rule(name=st.sampled_from(NAMES))
    def leave(self, name: str) -> None:
        actor = self.idle(name)
        if actor is None or not actor.regions:
            return
        kind, region = actor.regions.pop()
        door = kind == "blocking" and not actor.shut and not actor.away
        after = (lambda: self.visit(actor)) if door else (lambda: None)
        call = lambda: region.__exit__(None, None, None)  # noqa: E731
        self.make(actor, call, door and self.held(actor), after)

    # What is asked.

    @rule(name=st.sampled_from(NAMES), priorities=st.lists(st.integers(-1, 1), max_size=3))
    def todo(self, name: str, priorities: list[int]) -> None:
        actor = self.actors[name]
        if actor.registered:
            for priority in priorities:
                self.ask(actor, priority)
        else:
            with pytest.raises(NotRegistered):
                self.freezer.todo(actor.thread, int)

    def ask(self, actor: Actor, priority: int) -> None:
        made: list[Future[Any]] = []
        call = lambda: self.ran.append(made[0])  # noqa: E731
        made.append(self.freezer.todo(actor.thread, call, priority=priority))
        actor.todos.append(Asked(priority, made[0]))

    @rule(name=st.sampled_from(NAMES), data=st.data())
    def cancel(self, name: str, data: st.DataObject) -> None:
        if todos := self.actors[name].todos:
            assert data.draw(st.sampled_from(todos)).future.cancel()

    @rule(group=st.sampled_from(GROUPS))
    def hold(self, group: str) -> None:
        if late := self.runs(group):
            with pytest.raises(FreezeTimeout) as caught:
                self.freezer.hold(group=group, timeout=0)
            assert {straggler.name for straggler in caught.value.stragglers} == late
        else:
            self.holds.append((group, self.freezer.hold(group=group, timeout=0)))

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def thaw(self, data: st.DataObject) -> None:
        _, hold = self.holds.pop(data.draw(st.integers(0, len(self.holds) - 1)))
        hold.thaw()
        for actor in self.actors.values():
            if actor.parked and self.held(actor):
                self.wait_until_parked(actor)
            elif actor.parked:
                self.finish(actor)

    @rule(group=st.sampled_from(GROUPS))
    def freeze(self, group: str) -> None:
        if late := self.runs(group):
            with pytest.raises(FreezeTimeout) as caught:
                self.freezer.freeze(group=group, timeout=0)
            assert {straggler.name for straggler in caught.value.stragglers} == late
            return
        with self.freezer.freeze(group=group, timeout=0) as world:
            members = [actor for actor in self.actors.values() if actor.registered]
            members = [actor for actor in members if covers(group, actor.group)]
            assert {info.name for info in world.threads} == {actor.name for actor in members}
            for actor in members:
                self.call(world.call, actor)

    def call(self, call: Callable[..., int], actor: Actor) -> None:
        if actor.parked:
            assert call(actor.thread, get_ident) == actor.thread.ident
        else:
            with pytest.raises(ThreadBlocked):
                call(actor.thread, get_ident)

    # What holds after each step.

    @invariant()
    def states_are_the_models(self) -> None:
        shown = {i.name: (i.state, i.group, i.todo_pending) for i in self.freezer.threads()}
        assert shown == {
            actor.name: (self.state(actor), actor.group, len(actor.todos))
            for actor in self.actors.values()
            if actor.registered
        }

    @invariant()
    def armed_while_something_is_asked(self) -> None:
        pending = any(actor.todos for actor in self.actors.values())
        assert self.freezer.armed is (pending or bool(self.holds))

    @invariant()
    def todos_ran_in_order_and_once(self) -> None:
        assert self.ran == self.expected
        assert all(future.done() and future.exception() is None for future in self.ran)
        assert all(isinstance(future.exception(0), ThreadExited) for future in self.failed)
        waiting = [todo.future for actor in self.actors.values() for todo in actor.todos]
        assert not any(future.done() and not future.cancelled() for future in waiting)

    def teardown(self) -> None:
        while self.holds:
            self.holds.pop()[1].thaw()
        for actor in self.actors.values():
            actor.calls.put(None)
            actor.thread.finish()
        assert self.freezer.threads() == ()


TestFreezing = Freezing.TestCase
TestFreezing.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
