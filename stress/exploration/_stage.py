"""What a scenario is made of: actors, their application's steps, and the promises kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import get_ident

from freezethreads import Freezer, LeaseExpired, World, sync
from stress.exploration._core import left_over
from stress.exploration._interruption import Interruption
from stress.exploration._run import Run


class Gate:
    """Shut, and then open for good. An actor that waits for it can go on when it is open."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.is_open = False

    def open(self) -> None:
        """Let everybody through."""
        self._run.touch(self, "open", True)
        self.is_open = True

    def wait(self) -> None:
        """Wait until it is open."""
        self._run.wait(lambda: self.is_open)
        self._run.touch(self, "open", False)


class Stage:
    """One run of a scenario. Its methods are called by the actors, but for those that say so."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.handler: Callable[[], object] | None = None
        self._checks: list[Callable[[], str]] = []
        self._freezers: list[Freezer] = []
        self.freezer = self.new_freezer("freezer")
        self._still: dict[str, list[World]] = {}
        self._worlds: list[World] = []
        self._idents: dict[str, int] = {}

    # To set it, by the scenario.

    def new_freezer(self, name: str) -> Freezer:
        """Another freezer, which has to be at rest when all is over."""
        freezer = Freezer(name)
        self._freezers.append(freezer)
        self.at_end(lambda: left_over(freezer))
        return freezer

    def actor(self, name: str, act: Callable[[], object], *, begins: bool = True) -> None:
        """Add a thread that makes this call. The first one added is preferred.

        `begins` is whether the exploration may begin with it, else `act` has to call `begin`.
        """

        def play() -> None:
            self._idents[name] = get_ident()
            if begins:
                self.run.curtain()
            act()

        self.run.add(name, play)

    def member(self, name: str, act: Callable[[], object], *freezers: Freezer) -> None:
        """Add a thread that is registered with these (none: with the stage's) while it does so."""

        def play() -> None:
            with ExitStack() as stack:
                for freezer in freezers or (self.freezer,):
                    stack.enter_context(freezer.register(name))
                self.begin()
                act()
                self.bow()

        self.actor(name, play, begins=False)

    def taken_lock(self) -> sync.Lock:
        """A freezable lock that somebody has."""
        lock = sync.Lock()
        lock.acquire()
        return lock

    def gate(self) -> Gate:
        """What actors can wait for."""
        return Gate(self.run)

    def at_end(self, check: Callable[[], str]) -> None:
        """Have it called when all is over: what it returns, if anything, was found."""
        self._checks.append(check)

    # To play it.

    def begin(self) -> None:
        """Begin when all are ready. By an actor that was added so, once."""
        self.run.curtain()

    def rise(self) -> None:
        """Begin, wherever the other actors are; all were added so. By one of them."""
        self.run.rise()

    def leave(self) -> None:
        """What the actor does from here on is not what the scenario is about: do not explore it."""
        self.run.leave()

    def ident(self, name: str) -> int:
        """The ident of the thread that plays this actor."""
        return self._idents[name]

    def bow(self) -> None:
        """At the end of a registered actor: wait in a region until all have come to their ends."""
        self.close_sites()
        with ExitStack() as stack:
            for freezer in self._freezers:
                stack.enter_context(freezer.blocking("the end"))
            self.run.finale()

    def close_sites(self) -> None:
        """The acting thread is interrupted no more."""
        sites = self.run.sites
        if sites is not None and sites.target == self.run.acting.name:
            sites.closed = True

    def until_armed(self) -> None:
        """Wait until somebody is asked for something by the stage's freezer."""
        self.run.wait(lambda: self.freezer.armed)
        self.run.touch(self.freezer, "armed", False)

    def play_main(self) -> None:
        """For the library, the acting thread is the main thread. By one actor."""
        self.run.acting.is_main = True

    def pause(self) -> None:
        """Take some time, in which others may go on."""
        self.run.pause()

    def work(self, name: str) -> None:
        """A step of the code of that actor, which runs in its thread and while no world stands."""
        self.run.touch(self, name, True)
        if self.run.acting.name != name:
            self.find(f"{self.run.acting.name} runs the code of {name}")
        if not all(world.expired for world in self._still.get(name, ())):
            self.find(f"{name} runs the application's code while a world stands over it")

    def visit(self, name: str, visits: int = 1) -> None:
        """Work, and pass a safepoint after each step, in the thread that plays `name`."""
        for _ in range(visits):
            self.work(name)
            self.freezer.safepoint()
        self.work(name)

    @contextmanager
    def freeze(
        self,
        *names: str,
        freezer: Freezer | None = None,
        timeout: float | None = None,
        lease: float | None = None,
        group: str | tuple[str, ...] = "",
        settled: str = "",
    ) -> Iterator[World]:
        """Freeze them, by the stage's freezer unless told otherwise.

        Within this block the actors of these names make no step.
        """
        chosen = freezer or self.freezer
        kinds = [settled] if settled else []
        with (
            chosen.freeze(timeout=timeout, lease=lease, group=group, settled=kinds) as world,
            self.still(world, *names),
        ):
            yield world

    def freeze_with_lease(self, name: str) -> None:
        """Freeze, and thaw, with a lease that an actor may let run out before."""
        try:
            with self.freeze(name, lease=1):
                pass
        except LeaseExpired:
            pass

    @contextmanager
    def still(self, world: World, *names: str) -> Iterator[None]:
        """Within this block the actors of these names make no step."""
        self.over(world, *names)
        self.run.pause()
        yield
        self.let_go(world, *names)

    def over(self, world: World, *names: str) -> None:
        """From now on they make no step, if the world has not been thawed."""
        self._step(names)
        for standing in self._worlds:
            if standing._registry is world._registry and not (standing.expired or world.expired):
                self.find("two worlds of one freezer stand at once")
        self._worlds.append(world)
        for name in names if not world.expired else ():
            self._still.setdefault(name, []).append(world)

    def let_go(self, world: World, *names: str) -> None:
        """They may make steps again, since somebody is about to thaw that world."""
        self._step(names)
        if world in self._worlds:
            self._worlds.remove(world)
        for name in names:
            if world in self._still.get(name, ()):
                self._still[name].remove(world)

    def _step(self, names: tuple[str, ...]) -> None:
        at = self.run.name(self)
        assert at is not None
        self.run.step(*((at, name) for name in names))

    def waits(self, name: str) -> bool:
        """Whether the actor of that name has ended, or waits for what has not come."""
        actors = (actor for actor in self.run.actors if actor.name == name)
        return not any(actor.can_go_on() for actor in actors)

    def fork(self, *names: str) -> None:
        """Go on as the child of a fork that the acting thread makes, without the actors of these
        names. Those that are left have yet to begin: they are threads of the child."""
        for name in names:
            self.run.lose(name)
        self.freezer._controller.reset()

    def expire(self) -> None:
        """Wait until there is a lease, and let it run out, as its timer does."""
        run = self.run
        run.wait(lambda: bool(run.leases))
        run.touch(run.leases, "", True)
        lease = run.leases.pop(0)
        for worlds in self._still.values():
            worlds.clear()
        lease.run_out()

    def expire_after(self, gate: Gate) -> None:
        """The same, once the gate is open."""
        gate.wait()
        self.expire()

    def interrupt(self) -> None:
        """What comes to the scenario's target: its handler, or an exception if it has none."""
        if self.handler is None:
            raise Interruption
        self.handler()

    def check_left_over(self) -> None:
        """By somebody who knows that nobody asks for anything of the stage's freezer now."""
        what = left_over(self.freezer)
        if what:
            self.find(what)

    def find(self, what: str) -> None:
        """Say what is wrong."""
        self.run.find(what)

    def check_end(self) -> None:
        """When all is over. By the explorer."""
        for check in self._checks:
            what = check()
            if what:
                self.find(what)


@dataclass(frozen=True)
class Scenario:
    """A few actors and what they do. `set_stage` is called for each run.

    `target` is the actor that is interrupted, by an exception or by the stage's handler: once, or
    by two `interruptions` of which the second comes as the first one is handled. Each counts as a
    preemption, and there are `preemptions` at most unless asked for more. If `preempted` names any
    actors, only those are preempted.
    """

    name: str
    promise: str
    set_stage: Callable[[Stage], None]
    target: str = ""
    preemptions: int = 2
    preempted: tuple[str, ...] = ()
    interruptions: int = 1


SCENARIOS: dict[str, Scenario] = {}
"""All of them, by name, in the order of their definition."""


def scenario(
    promise: str,
    *,
    target: str = "",
    preemptions: int = 2,
    preempted: tuple[str, ...] = (),
    interruptions: int = 1,
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Add the function to `SCENARIOS`, under its own name, as one that tests `promise`."""

    def add(set_stage: Callable[[Stage], None]) -> Callable[[Stage], None]:
        name = set_stage.__name__.replace("_", "-")
        SCENARIOS[name] = Scenario(
            name, promise, set_stage, target, preemptions, preempted, interruptions
        )
        return set_stage

    return add
