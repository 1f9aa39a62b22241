"""What is read from bytecode about locks, against what random functions do with them."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from freezethreads import World
from freezethreads.testing import Actor, Role, Scenario, Violation

if sys.version_info >= (3, 12):  # before, nothing is read
    from stress.sections import Module

    class Sections(Scenario):
        """Random functions that acquire locks in each form that there is, one after the other.

        At each instruction that finds one held its thread may not be stopped; where it waits, it
        may be if and only if it holds nothing, and what it holds is known. The freezes are those of
        nobody: in each one such module is looked at.
        """

        def setup(self) -> None:
            self.module: Module | None = None

        def actors(self) -> Iterable[Role]:
            return []

        def control(self, actor: Actor) -> None:
            self.module = Module(actor.random)
            self.module.run()
            with self.freezer.freeze() as world:
                actor.check(world)
            actor.step()

        def invariant(self, world: World) -> None:
            if self.module is not None and self.module.wrong:
                raise Violation("\n".join([*dict.fromkeys(self.module.wrong), self.module.text]))
