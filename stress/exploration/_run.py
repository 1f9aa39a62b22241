"""One run: the actors' threads, of which one runs at a time, as a schedule says.

No steps are made before the *curtain*, where all actors meet, nor after the *finale*, where they
meet again.

Each actor waits for its own turn at a raw lock. Who is to stop gives the turn to the next, before
an access or where it would wait; an actor that has ended gives it back to the thread that started
the run, which waits for the end of its thread, since that makes calls of its own.

Objects have names that do not depend on where they are in memory: who has touched the object first,
and as which of its objects. So a run is the same each time, and two runs that differ only in the
order of steps which have nothing to do with each other have the same names.
"""

from __future__ import annotations

import sys
import threading
import traceback
from _thread import allocate_lock, get_ident
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from stress.exploration._actor import OF_THE_RUN, Actor, Cell, Name, Step, Stretch, of_interest
from stress.exploration._schedule import Schedule
from stress.exploration._trace import Trace

if TYPE_CHECKING:
    from stress.exploration._interruption import Sites

MOST_STEPS = 20_000
"""Steps of a run that is taken for endless."""
MISFIT = "the schedule does not fit this program:"
PATIENCE = 20.0
"""Seconds in which an actor makes a step, or is taken for stuck outside of the explorer."""
NO_STEP: Final = Step(-1, (), False, 0)
"""Stands for an access that was not noted."""


_run: Run | None = None


def current_run() -> Run | None:
    """The run to which the calling thread belongs, if it is the one whose turn it is."""
    run = _run
    if run is None or run.ident != get_ident():
        return None
    return run


class Lost(BaseException):
    """Ends the thread of an actor that is lost, when the run is over."""


class Run:
    """One run of one schedule. `trace` and `finding` are what came of it.

    `known` is how it begins: these steps were made before, in another run, and are not noted again.
    """

    def __init__(self, schedule: Schedule, known: Trace) -> None:
        self.trace = known.until(len(known.stretches), len(known.steps))
        self.finding = ""
        self.stacks: dict[str, str] = {}
        self.leases: list[Any] = []
        self.sites: Sites | None = None
        self.interrupted_at = ""
        self.now = 1000.0
        self.ident = get_ident()
        self.acting = self._director = Actor(-1, "", lambda: None)
        self.actors: list[Actor] = []
        self._is_open = False
        self._waiting = 0
        self._made = 0
        self._known = len(known.steps)
        self._repeated = len(known.stretches)
        self._segments = list(schedule.segments)
        self._left = -1
        self._names: dict[int, Name | None] = {}
        self._named: list[object] = []
        self._mortal: dict[tuple[type, int], Name | None] = {}
        self._back = allocate_lock()
        self._back.acquire()
        self._over = False

    def add(self, name: str, act: Callable[[], object]) -> None:
        """Add an actor. Before `go`."""
        self.actors.append(Actor(len(self.actors), name, act))
        self.trace.actors.append(name)

    def go(self, set_stage: Callable[[], object]) -> None:
        """Add the actors, and run them all to their ends, or until something was found."""
        global _run
        _run = self
        try:
            set_stage()
            for actor in self.actors:
                actor.thread = threading.Thread(
                    target=self._main, args=(actor,), name=actor.name, daemon=True
                )
                actor.thread.start()
            while not self._over and not all(actor.over for actor in self.actors):
                following = self._choose(None)
                if following is None:
                    break
                self._begin(following)
                if not self._back.acquire(timeout=PATIENCE):
                    self.find("an actor waits where the explorer does not see it")
                    break
                ended = self.acting
                if not self._over and ended.thread is not None:
                    ended.thread.join()
        finally:
            self._over = True
            for actor in self.actors:
                if not actor.begun:
                    actor.turn.release()
            self.acting = self._director
            _run = None

    def lose(self, name: str) -> None:
        """That actor makes no step any more: it is not in the child of a fork. By another one."""
        for actor in self.actors:
            actor.lost = actor.lost or actor.name == name

    def dismiss(self) -> None:
        """End the threads of actors that are lost, each where it is. When all has been looked at.

        What they do on their way out nobody sees, and nobody is there who could mind it.
        """
        for actor in self.actors:
            if actor.lost and actor.begun and not actor.ended and actor.thread is not None:
                actor.turn.release()
                actor.thread.join()

    def forget(self) -> None:
        """It is over, and only its trace is wanted: so that not all of it is left to the collector
        of garbage, for what is in a circle."""
        for actor in self.actors:
            actor.act, actor.ready, actor.thread = str, None, None
        for kept in (self._names, self._named, self._mortal, self.leases):
            kept.clear()
        self.sites = None

    def touch(self, thing: object, part: str, writes: bool) -> Step:
        """The acting thread is about to touch that part. Another may come in before it does."""
        try:
            name = self._names[id(thing)]
        except KeyError:
            name = self.name(thing)
        if name is None or not self.acting.on_stage:
            return NO_STEP
        return self.step((name, part), writes=writes)

    def name(self, thing: object) -> Name | None:
        """Name an object, if it has no name; None if no other thread can touch it."""
        kind = type(thing)
        is_mortal = hasattr(kind, "__del__")
        if is_mortal and (kind, id(thing)) in self._mortal:
            return self._mortal[kind, id(thing)]
        if not is_mortal and id(thing) in self._names:
            return self._names[id(thing)]
        name = None
        if not isinstance(thing, threading.local):
            self.acting.named += 1
            name = (self.acting.index, self.acting.named)
        if is_mortal:  # its end is part of the program, and another may come to be in its place
            self._mortal[kind, id(thing)] = name
        else:
            self._names[id(thing)] = name
            self._named.append(thing)  # so that nothing else comes to be in its place
        return name

    def step(self, *cells: Cell, writes: bool = True) -> Step:
        """The acting thread is about to touch these. Another may come in before it does."""
        actor = self.acting
        if not actor.on_stage:
            return NO_STEP
        if self._left == 0:
            following = self._choose(actor)
            if following is None:
                self._stop(actor)
            elif following is not actor:
                self._switch(actor, following)
        self._left -= 1
        self._made += 1
        if self._made <= self._known:
            return NO_STEP
        if self._made > MOST_STEPS:
            self.find(f"no end after {MOST_STEPS} steps")
            self._stop(actor)
        step = Step(actor.index, cells, writes, self._enabled(actor))
        self.trace.steps.append(step)
        return step

    def wait(self, ready: Callable[[], bool], seconds: float | None = None) -> bool:
        """The acting thread waits until `ready()`, or until its time is up; whether it is ready."""
        actor = self.acting
        actor.expired = False
        while not ready() and not actor.expired:
            actor.ready, actor.seconds = ready, seconds
            following = self._choose(None)
            if following is None:
                self._stop(actor)
            elif following is not actor:
                self._switch(actor, following)
        actor.ready = None
        if self._is_open and not (actor.on_stage or actor.bowed or actor.has_left):
            self._enter(actor)
        self.step(((OF_THE_RUN, -1 if actor.expired else actor.index), "wait"))
        return ready()

    def curtain(self) -> None:
        """The acting thread is ready. When all are, the exploration begins."""
        self._waiting += 1
        everybody = len(self.actors)
        if self._waiting == everybody:
            self.rise()
        else:
            self.wait(lambda: self._waiting == everybody)

    def rise(self) -> None:
        """The exploration begins, wherever the other actors are."""
        self._is_open = True
        if not self._known:
            self.trace.opened = len(self.trace.stretches)
        self._enter(self.acting)
        self.pause()

    def leave(self) -> None:
        """The acting thread makes no steps any more, and goes on unseen."""
        self.acting.has_left = True
        self.acting.on_stage = False

    def finale(self) -> None:
        """The acting thread is at its end. When all are, the rest is done in one way, unseen."""
        actor = self.acting
        actor.bowed = True
        self.wait(lambda: all(one.bowed or one.over for one in self.actors))
        actor.on_stage = False
        sys.settrace(None)

    def pause(self) -> None:
        """The acting thread may take its time here: others can come in, which is no preemption."""
        actor = self.acting
        # A step, or the state would be the same before and after.
        self.step(((OF_THE_RUN, actor.index), "pause"))
        following = self._choose(None)
        if following is not None and following is not actor:
            self._switch(actor, following)

    def find(self, what: str) -> None:
        """Note what is wrong, if it is the first thing, with everybody's stack."""
        if not self.finding:
            self.finding = what
            frames = sys._current_frames()
            for actor in self.actors:
                if not actor.ended and actor.thread is not None and actor.thread.ident in frames:
                    stack = traceback.format_stack(frames[actor.thread.ident])
                    self.stacks[actor.name] = "".join(of_interest(stack))

    def _main(self, actor: Actor) -> None:
        actor.turn.acquire()
        if self._over:
            return
        try:
            actor.act()
        except BaseException as error:  # noqa: BLE001 - the scenario says which are expected
            actor.error = error
        finally:
            sys.settrace(None)
            actor.ended = True
            actor.on_stage = False
            if actor.error is not None and not actor.lost:
                what = "".join(traceback.format_exception(actor.error))
                self.find(f"{actor.name} ended in {actor.error!r}")
                self.stacks[actor.name] = what
            if not actor.lost:
                self._back.release()

    def _enter(self, actor: Actor) -> None:
        """From now on it makes steps."""
        actor.on_stage = True
        if self.sites is not None and actor.name == self.sites.target:
            self.sites.watch()

    def _enabled(self, actor: Actor) -> int:
        bits = 0
        for other in self.actors:
            if other is not actor and (other.can_go_on() or other.can_expire()):
                bits |= 1 << other.index
        return bits

    def _choose(self, preempted: Actor | None) -> Actor | None:
        """Who is next; None, and a finding, if nobody can go on."""
        able = [actor for actor in self.actors if actor.can_go_on()]
        late = [actor for actor in self.actors if actor.can_expire() and actor not in able]
        if self._segments:
            segment = self._segments.pop(0)
            chosen = next((one for one in able + late if one.name == segment.actor), None)
            if chosen is None:
                self.find(f"{MISFIT} {segment.actor} cannot go on there")
            self._left = -1 if segment.steps is None else segment.steps
        else:
            chosen = next(iter(able or late), None)
            self._left = -1
        if self._repeated:
            self._repeated -= 1
        elif self._made < self._known:
            self.find(f"{MISFIT} it came there by another way")
            chosen = None
        elif chosen is not None:
            choices = 0
            for actor in (able or late) if preempted is None else able + late:
                choices |= 1 << actor.index
            stretch = Stretch(chosen.index, len(self.trace.steps), choices, preempted is None)
            self.trace.stretches.append(stretch)
        if chosen is None:
            self._over = True
            self.find("a deadlock: nobody can go on")
            return None
        if chosen in late:
            chosen.expired = True
            self.now += chosen.seconds or 0.0
        return chosen

    def _begin(self, actor: Actor) -> None:
        actor.begun = True
        self.acting = actor
        assert actor.thread is not None
        assert actor.thread.ident is not None
        self.ident = actor.thread.ident
        actor.turn.release()

    def _switch(self, actor: Actor, following: Actor) -> None:
        self._begin(following)
        actor.turn.acquire()
        if actor.lost:
            raise Lost

    def _stop(self, actor: Actor) -> None:
        """Something was found: this run goes no further, and its threads stay where they are."""
        self._over = True
        self._back.release()
        actor.turn.acquire()
