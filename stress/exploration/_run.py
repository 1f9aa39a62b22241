"""One run: the actors' threads, of which one runs at a time, as a schedule says.

Nothing is traced before the *curtain*, where all actors meet, nor after the *finale*, where they
meet again.

Each actor waits for its own turn at a raw lock. Who is to stop gives the turn to the next, in
its own trace function or where it would wait; an actor that has ended gives it back to the thread
that started the run, which waits for the end of its thread, since that makes calls of its own.
"""

from __future__ import annotations

import sys
import threading
import traceback
from _thread import allocate_lock
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from stress.exploration._actor import Actor, Step, Stretch, of_interest, tracer_of
from stress.exploration._interruption import Sites
from stress.exploration._points import Cell, Points, Table
from stress.exploration._schedule import Schedule, Segment

MOST_STEPS = 20_000
"""Steps of a run that is taken for endless."""
MISFIT = "the schedule does not fit this program:"
PATIENCE = 20.0
"""Seconds in which an actor makes a step, or is taken for stuck outside of the explorer."""


_run: Run | None = None


def current_run() -> Run | None:
    """The run to which the calling thread belongs, if it is the actor whose turn it is."""
    run = _run
    if run is None or run.acting is None or run.acting.thread is not threading.current_thread():
        return None
    return run


class Run:
    """One run of one schedule. `steps`, `stretches` and `finding` are what came of it."""

    def __init__(
        self,
        points: Points,
        tables: dict[CodeType, Table],
        schedule: Schedule,
        sites: Sites | None = None,
    ) -> None:
        self.steps: list[Step] = []
        self.stretches: list[Stretch] = []
        self.finding = ""
        self.stacks: dict[str, str] = {}
        self.leases: list[Any] = []
        self.now = 1000.0
        self.opened = 0
        self._waiting = 0
        self.acting: Actor | None = None
        self.sites = sites
        self._points = points
        self._tables = tables
        self._segments = list(schedule.segments)
        self._left = -1
        self.actors: list[Actor] = []
        self._tracers: dict[CodeType, Any] = {}
        self._back = allocate_lock()
        self._back.acquire()
        self._over = False

    def add(self, name: str, act: Callable[[], object]) -> None:
        """Add an actor. Before `go`."""
        self.actors.append(Actor(len(self.actors), name, act))

    def go(self) -> None:
        """Run all actors to their ends, or until something was found."""
        global _run
        _run = self
        try:
            for actor in self.actors:
                actor.thread = threading.Thread(
                    target=self._main, args=(actor,), name=actor.name, daemon=True
                )
                actor.thread.start()
            while not self._over and not all(actor.ended for actor in self.actors):
                following = self._choose(None)
                if following is None:
                    break
                self._begin(following)
                if not self._back.acquire(timeout=PATIENCE):
                    self.find("an actor waits where the explorer does not see it")
                ended = self.acting
                if not self._over and ended is not None and ended.thread is not None:
                    ended.thread.join()
        finally:
            for actor in self.actors:
                if not actor.begun:
                    actor.turn.release()
            self.acting = None
            _run = None

    def step(self, *cells: tuple[Cell, bool]) -> None:
        """The acting thread is about to touch these. Another may come in before it does."""
        actor = self.acting
        assert actor is not None
        if self._left == 0:
            following = self._choose(actor)
            if following is None:
                self._stop(actor)
            elif following is not actor:
                self._switch(actor, following)
        if len(self.steps) > MOST_STEPS:
            self.find(f"no end after {MOST_STEPS} steps")
            self._stop(actor)
        self._left -= 1
        self.steps.append(Step(actor.index, cells, self._enabled(actor)))

    def wait(self, ready: Callable[[], bool], seconds: float | None = None) -> bool:
        """The acting thread waits until `ready()`, or until its time is up; whether it is ready."""
        actor = self.acting
        assert actor is not None
        actor.expired = False
        while not ready() and not actor.expired:
            actor.ready, actor.seconds = ready, seconds
            following = self._choose(None)
            if following is None:
                self._stop(actor)
            elif following is not actor:
                self._switch(actor, following)
        actor.ready = None
        if self.opened and not actor.traced:
            self._trace_from_here()
        self.step(((id(self if actor.expired else actor), "wait"), True))
        return ready()

    def curtain(self) -> None:
        """The acting thread is ready. When all are, the exploration begins."""
        actor = self.acting
        assert actor is not None
        self._waiting += 1
        everybody = len(self.actors)
        if self._waiting == everybody:
            self.rise()
        else:
            self.wait(lambda: self._waiting == everybody)

    def rise(self) -> None:
        """The exploration begins, wherever the other actors are."""
        self.opened = len(self.stretches)
        self._trace_from_here()
        self.pause()

    def finale(self) -> None:
        """The acting thread is at its end. When all are, the rest is done in one way, untraced."""
        actor = self.acting
        assert actor is not None
        actor.bowed = True
        self.wait(lambda: all(one.bowed or one.ended for one in self.actors))
        sys.settrace(None)

    def pause(self) -> None:
        """The acting thread may take its time here: others can come in, which is no preemption."""
        actor = self.acting
        assert actor is not None
        self.step(((id(actor), "pause"), True))  # or the state would be the same before and after
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

    def schedule(self, until: int | None = None) -> tuple[Segment, ...]:
        """The segments as they were run, those that begin before that step."""
        segments = []
        for number, stretch in enumerate(self.stretches):
            if until is not None and number and stretch.start >= until:
                break
            following = self.stretches[number + 1 : number + 2]
            preempted = bool(following) and not following[0].forced
            steps = following[0].start - stretch.start if preempted else None
            segments.append(Segment(self.actors[stretch.actor].name, steps))
        return tuple(segments)

    def name_of(self, index: int) -> str:
        """The name of an actor."""
        return self.actors[index].name

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
            if actor.error is not None:
                what = "".join(traceback.format_exception(actor.error))
                self.find(f"{actor.name} ended in {actor.error!r}")
                self.stacks[actor.name] = what
            self._back.release()

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:
        code = frame.f_code
        if self.sites is not None and self.sites.covers(self.acting, code, self._points):
            return self.sites.enter(frame, self, self._table(code))
        tracer = self._tracers.get(code)
        if tracer is None:
            table = self._table(code)
            self._tracers[code] = tracer = tracer_of(self.touch, table) if table else False
        if tracer:
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True
            return tracer
        return None

    def _trace_from_here(self) -> None:
        """Trace the acting thread, in the frames that it is in as well."""
        assert self.acting is not None
        self.acting.traced = True
        frame = sys._getframe(1).f_back
        while frame is not None:
            frame.f_trace = self._trace(frame, "call", None)
            frame = frame.f_back
        sys.settrace(self._trace)

    def _table(self, code: CodeType) -> Table:
        table = self._tables.get(code)
        if table is None:
            table = self._points.table(code) if self._points.covers(code) else {}
            self._tables[code] = table
        return table

    def touch(self, frame: FrameType, accesses: tuple[Any, ...]) -> None:
        """The acting thread's frame is about to make these accesses."""
        cells = [(access.cell(frame), access.writes) for access in accesses]
        shared = tuple((cell, writes) for cell, writes in cells if cell is not None)
        if shared:
            self.step(*shared)

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
        choices = 0
        for actor in (able or late) if preempted is None else able + late:
            choices |= 1 << actor.index
        if self._segments:
            segment = self._segments.pop(0)
            chosen = next((one for one in able + late if one.name == segment.actor), None)
            if chosen is None:
                self.find(f"{MISFIT} {segment.actor} cannot go on there")
            self._left = -1 if segment.steps is None else segment.steps
        else:
            chosen = next(iter(able or late), None)
            self._left = -1
        if chosen is None:
            self._over = True
            self.find("a deadlock: nobody can go on")
            return None
        self.stretches.append(Stretch(chosen.index, len(self.steps), choices, preempted is None))
        if chosen in late:
            chosen.expired = True
            self.now += chosen.seconds or 0.0
        return chosen

    def _begin(self, actor: Actor) -> None:
        actor.begun = True
        self.acting = actor
        actor.turn.release()

    def _switch(self, actor: Actor, following: Actor) -> None:
        self._begin(following)
        actor.turn.acquire()

    def _stop(self, actor: Actor) -> None:
        """Something was found: this run goes no further, and its threads stay where they are."""
        self._over = True
        self._back.release()
        actor.turn.acquire()
