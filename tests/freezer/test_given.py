"""What the library gives, and nobody makes by hand: whoever tries is told what to write."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import freezethreads
from freezethreads import World, control
from freezethreads._ground.unique import Given
from freezethreads.integrations import asyncio_loop

GIVEN = {
    asyncio_loop.Enrolment: "asyncio_loop.enrol()",
    control.Client: "freezethreads.control.connect(pid)",
    control.Serving: "freezethreads.serve()",
    freezethreads.ForkGuard: "freezethreads.guard_forks()",
    freezethreads.Hold: "freezethreads.hold()",
    freezethreads.Hook: "freezethreads.hook(before, after)",
    freezethreads.Outstanding: "freezethreads.outstanding(kind)",
    freezethreads.Installation: "freezethreads.install()",
    freezethreads.Registration: "freezethreads.register()",
    freezethreads.World: "freezethreads.freeze()",
}


@pytest.mark.parametrize(("made", "instead"), GIVEN.items())
def test_what_is_made_by_hand_says_what_to_write(made: Callable[..., object], instead: str) -> None:
    for given, named in (((), {}), ((freezethreads.default_freezer,), {}), ((), {"group": "io"})):
        with pytest.raises(TypeError, match=rf"is not made by hand: .*{re.escape(instead)}"):
            made(*given, **named)


def test_these_are_all_that_are_not_made_by_hand() -> None:
    below = {*Given.__subclasses__(), World, freezethreads.Hold}
    assert set(GIVEN) == {cls for cls in below if not cls.__name__.startswith("_")}
