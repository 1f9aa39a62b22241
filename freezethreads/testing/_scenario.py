"""The base of a scenario: what is tortured, by whom, and what has to hold whenever all stand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from freezethreads import Freezer, FreezeTimeout, World
from freezethreads.testing._events import RecordingFreezer

if TYPE_CHECKING:
    from freezethreads.testing._actor import Actor
    from freezethreads.testing._events import Rings
    from freezethreads.testing._plan import Plan


class Violation(AssertionError):
    """Something that has to hold does not. The message says what, and what was found instead."""


@dataclass(frozen=True)
class Role:
    """A part in a scenario, and how many threads play it.

    ``play`` is called in each of them with the thread's `Actor`, and returns when `Actor.over`.
    ``registered``: whether the thread is enrolled with the scenario's freezer, in ``group``,
    while it plays. ``idle``: whether it may make no step for long, or none at all, without that
    being a fault. ``main``: whether the thread that runs the scenario plays it itself, which only
    one role may; in a process of its own, as the runner makes, that is the main thread.
    """

    play: Callable[[Actor], object]
    count: int = 1
    group: str = ""
    registered: bool = True
    idle: bool = False
    main: bool = False


class Scenario:
    """One way to torture a freezer, or a program that has one. Subclass it::

        class Bank(Scenario):
            \"\"\"Transfers between accounts; the sum is the same in each world.\"\"\"

            def setup(self):
                self.accounts = [100] * 10

            def actors(self):
                return [Role(self.transfer, self.threads)]

            def transfer(self, actor):
                while not actor.over:
                    ...                         # breaks the invariant, and mends it
                    self.freezer.safepoint()
                    actor.step()

            def invariant(self, world):
                if sum(self.accounts) != 1000:
                    raise Violation(f"the sum is {sum(self.accounts)}, not 1000")

    What any of these methods raises, in whichever thread, is a violation. Each run makes an
    instance of its own.

    Set before `setup`: ``freezer``; ``threads``, how many the user asked for; ``random``, the
    source of all choices that are made before the actors begin; ``freeze_timeout`` in seconds.
    """

    name: ClassVar[str] = ""
    """For the command line and the reports; by default the class's name in lower case."""
    controllers: ClassVar[int] = 1
    """How many threads call `control`. They are not registered."""
    may_time_out: ClassVar[bool] = False
    """Whether a freeze that times out is no violation: for scenarios that hold threads back."""
    pause: ClassVar[float] = 0.001
    """Seconds from a thaw to the next freeze, on average."""
    stand: ClassVar[float] = 0.0002
    """Seconds for which all stand, on average."""

    freezer: Freezer
    threads: int
    random: random.Random
    freeze_timeout: float

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = cls.__name__.lower()

    def __init__(self, plan: Plan, rings: Rings) -> None:
        self.threads = plan.threads
        self.freeze_timeout = plan.freeze_timeout
        self.random = plan.random_of(self.name, "setup")
        self.freezer = self.make_freezer(rings)

    def make_freezer(self, rings: Rings) -> Freezer:
        """The freezer that is tortured. By default one that notes what its threads do.

        A program that has a freezer of its own returns that one. The runner does without the notes
        then: it still knows where each thread stood in each freeze, and since when.
        """
        return RecordingFreezer(self.name, rings)

    def setup(self) -> None:
        """Make the state. By the thread that runs the scenario, before any actor begins."""

    def actors(self) -> Iterable[Role]:
        """Who plays. Their numbers, and so their seeds, follow from the order."""
        raise NotImplementedError(f"{type(self).__name__} has no actors()")

    def control(self, actor: Actor) -> None:
        """What a controller does over and over: by default one freeze, at random.

        All stand, the invariant holds, and it does so still when they have stood for a while.
        """
        actor.pause(self.pause)
        try:
            with actor.freeze() as world:
                actor.check(world)
                actor.pause(self.stand)
                actor.check(world)
        except FreezeTimeout:
            if not self.may_time_out:
                raise
        actor.step()

    def invariant(self, world: World) -> None:
        """Raise `Violation` unless all is in order. By a controller, while all stand."""
        raise NotImplementedError(f"{type(self).__name__} has no invariant()")

    def teardown(self) -> None:
        """Look once more, and clear away, when all actors have ended."""
