"""One run of one scenario: its threads, what they find, and what came of it."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
import traceback
from collections.abc import Callable
from time import monotonic

from freezethreads import FreezeTimeout
from freezethreads.testing._actor import Actor
from freezethreads.testing._events import RecordingFreezer, Rings
from freezethreads.testing._freezes import Freezes
from freezethreads.testing._plan import Plan
from freezethreads.testing._result import Finding, Result, stacks
from freezethreads.testing._scenario import Role, Scenario
from freezethreads.testing._watchdog import Progress, Watchdog

MOST_FINDINGS = 20
MOST_SITES = 50
JOIN = 5.0
"""Seconds that a thread has to end when its actor has returned."""


class Run:
    """A scenario being run. `over` goes up once, and is read by everybody.

    The actors begin together, when all who are to be registered are.
    """

    def __init__(self, scenario: type[Scenario], plan: Plan) -> None:
        self.plan = plan
        self.over = False
        self.rings: Rings = Rings()
        self.scenario: Scenario = scenario(plan, self.rings)
        self.roster: list[Actor] = []
        """The actors that are there from the beginning."""
        self.actors: dict[Actor, None] = {}
        """Those who play now."""
        self.freezes: Freezes = Freezes(self)
        self.result: Result = Result(
            self.scenario.name, plan.seed, plan.threads, plan.interval_of(self.scenario.name)
        )
        self._errors: list[BaseException] = []
        self._gone_steps = 0
        self._missing = 0
        self._go = threading.Event()
        self._was_armed = self.scenario.freezer.armed
        # Guards what findings and ends write together. Nothing else is done under it.
        self._lock = threading.Lock()

    def execute(
        self,
        on_progress: Callable[[Progress], object] | None = None,
        on_hang: Callable[[Result], object] | None = None,
    ) -> Result:
        """Run it to its end. Once, by the thread that plays the main role, if there is one.

        `on_progress` is called from another thread, a few times a second; so is `on_hang`, if the
        main role does not return.
        """
        interval = sys.getswitchinterval()
        sys.setswitchinterval(self.result.switch_interval)
        self.result.began = monotonic()
        try:
            if self._try("setup", self.scenario.setup):
                self._perform(Watchdog(self, on_progress, on_hang))
            if not self.result.hung and self._try("teardown", self.scenario.teardown):
                self._check_end()
        finally:
            sys.setswitchinterval(interval)
        return self.conclude()

    def interrupt(self) -> None:
        """End the run early. From any thread."""
        self.result.interrupted = True
        self.over = True

    def fail(self, who: str, what: str | BaseException) -> None:
        """Note what went wrong, and end the run. From any thread, where it was found.

        An error that goes on its way through several hands is noted once.
        """
        trace = ""
        if isinstance(what, BaseException):
            if any(error is what for error in self._errors):
                return
            self._errors.append(what)
            trace = _trace_of(what)
            what = f"{type(what).__name__}: {what}".partition("\n")[0]
        finding = Finding(what, who, monotonic() - self.result.began, trace)
        with self._lock:
            first = not self.result.findings
            if len(self.result.findings) < MOST_FINDINGS:
                self.result.findings.append(finding)
        if first:
            self.result.stacks = stacks()
            self.result.events = {ring.name: ring.copy() for ring in self.rings.all()}
        self.over = True
        self._go.set()

    def start(self, actor: Actor) -> None:
        """Start a thread that plays `actor`. From any thread."""
        thread = threading.Thread(target=self._play, args=(actor,), name=actor.name, daemon=True)
        actor.thread = thread
        self.actors[actor] = None
        thread.start()

    def conclude(self) -> Result:
        """What came of the run so far."""
        self.freezes.finish()
        result, scenario = self.result, self.scenario
        statistics = scenario.freezer.statistics()
        playing = list(self.actors)
        result.seconds = monotonic() - result.began
        result.freezes, result.timeouts = statistics.freezes, statistics.timeouts
        result.checks = sum(actor.checks for actor in self.roster)
        result.steps = {actor.name: actor.steps for actor in self.roster}
        result.all_steps = self._gone_steps + sum(actor.steps for actor in playing)
        if isinstance(scenario.freezer, RecordingFreezer):
            result.safepoints = self.rings.passed()
        result.statistics = dataclasses.asdict(statistics)
        result.sites = [dataclasses.asdict(site) for site in scenario.freezer.sites()[:MOST_SITES]]
        result.recent = list(self.freezes.recent)
        worst = self.freezes.worst
        result.worst = None if worst is None else dataclasses.asdict(worst)
        return result

    def progress(self, left: float) -> Progress:
        """How far the run is, with `left` seconds to go."""
        freezer = self.scenario.freezer
        states: dict[str, int] = {}
        for info in freezer.threads():
            states[info.state.name] = states.get(info.state.name, 0) + 1
        steps = self._gone_steps + sum(actor.steps for actor in list(self.actors))
        checks = sum(actor.checks for actor in self.roster)
        freezes = freezer.statistics().freezes
        return Progress(self.scenario.name, left, freezes, checks, steps, states)

    def _perform(self, watchdog: Watchdog) -> None:
        if not self._try("actors", self._cast):
            return
        main = [actor for actor in self.roster if actor.role.main]
        self.actors.update(dict.fromkeys(main))
        self._try("the start", self._start_all)
        watchdog.start()
        for actor in main:
            self._play(actor)
        watchdog.wait()
        self._join()

    def _cast(self) -> None:
        """Fill the roster."""
        control = Role(self._control, self.scenario.controllers, registered=False)
        roles = [role for role in [*self.scenario.actors(), control] for _ in range(role.count)]
        if sum(role.main for role in roles) > 1:
            raise ValueError("only one thread can play the main role")
        self.roster += [Actor(self, role, str(number)) for number, role in enumerate(roles)]

    def _start_all(self) -> None:
        self._missing = len(self.roster)
        for actor in self.roster:
            if not actor.role.main:
                self.start(actor)

    def _line_up(self) -> None:
        """Wait until all are there. Who fails before lets the others go, and the run is over."""
        with self._lock:
            self._missing -= 1
            if not self._missing:
                self._go.set()
        self._go.wait()

    def _control(self, actor: Actor) -> None:
        while not actor.over:
            self.scenario.control(actor)

    def _play(self, actor: Actor) -> None:
        """Play one part, from its thread's first line to its last."""
        role, freezer = actor.role, self.scenario.freezer
        self.rings.own().name = actor.name
        try:
            with contextlib.ExitStack() as stack:
                if role.registered:
                    stack.enter_context(freezer.register(actor.name, group=role.group))
                self._line_up()
                role.play(actor)
        except KeyboardInterrupt:
            self.interrupt()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            self.fail(actor.name, error)
        finally:
            actor.note("ended")
            with self._lock:
                self._gone_steps += actor.steps
                self.actors.pop(actor, None)

    def _join(self) -> None:
        current = threading.current_thread()
        for actor in self.roster:
            if not self.result.hung and actor.thread is not current:
                actor.thread.join(JOIN)

    def _try(self, name: str, step: Callable[[], object]) -> bool:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - it is in the scenario, and what is looked for
            self.fail(name, error)
        return not self.result.findings

    def _check_end(self) -> None:
        """What has to hold after each run that nothing was found in."""
        freezer = self.scenario.freezer
        names = {actor.name for actor in self.roster}
        left = [info.name for info in freezer.threads() if info.name in names]
        if left:
            self.fail("the end", f"these have ended, but are registered still: {', '.join(left)}")
        if freezer.armed != self._was_armed:
            self.fail("the end", "nobody asks for anything any more, but the freezer is armed")
        if not self.result.interrupted:
            self._check_progress()

    def _check_progress(self) -> None:
        if not self.scenario.freezer.statistics().freezes:
            self.fail("the end", "no freeze stood")
        if not any(actor.checks for actor in self.roster):
            self.fail("the end", "the invariant was not checked once")
        for actor in self.roster:
            if not (actor.steps or actor.role.idle):
                self.fail("the end", f"{actor.name} has not made a step")


def _trace_of(error: BaseException) -> str:
    trace = "".join(traceback.format_exception(error))
    for straggler in error.stragglers if isinstance(error, FreezeTimeout) else ():
        trace += f"the stack of {straggler.name} at the deadline:\n"
        trace += "".join(straggler.stack.format())
    return trace
