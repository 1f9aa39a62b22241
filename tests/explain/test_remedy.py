"""What would help, in the message of a freeze whose time ran out."""

from __future__ import annotations

import asyncio
import pickle
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from freezethreads import Freezer, FreezeTimeout, LeaseExpired
from freezethreads.integrations import asyncio_loop
from freezing import Puppet, actor, puppet
from helpers import WAIT, run_python

Region = Callable[[Freezer], object]


# Each is to be left at a line of its own.
def one(freezer: Freezer) -> None:
    freezer.no_freeze().__enter__()


def two(freezer: Freezer) -> None:
    freezer.no_freeze().__enter__()


def three(freezer: Freezer) -> None:
    freezer.no_freeze().__enter__()


def four(freezer: Freezer) -> None:
    freezer.no_freeze().__enter__()


@contextmanager
def late(freezer: Freezer, *regions: Region) -> Iterator[list[Puppet]]:
    """A thread for each, which does not stop since it is in there."""
    with ExitStack() as stack:
        threads = [stack.enter_context(puppet(freezer)) for _ in regions]
        for thread, enter in zip(threads, regions, strict=True):
            thread.do(enter, freezer)
        yield threads


def freeze_in_a_loop(freezer: Freezer, timeout: float) -> None:
    async def main() -> None:
        async with asyncio_loop.freeze(freezer, timeout=timeout):
            pass

    asyncio.run(main())


def freeze_in_a_loop_when_a_lease_is_over(freezer: Freezer, timeout: float) -> None:
    async def main() -> None:
        async with asyncio_loop.freeze(freezer, group="nobody", lease=0.01):
            while freezer.armed:
                await asyncio.sleep(0.001)
            async with asyncio_loop.freeze(freezer, timeout=timeout):
                pass

    with pytest.raises(LeaseExpired) as caught:
        asyncio.run(main())
    assert caught.value.__context__ is not None
    raise caught.value.__context__


FREEZES: dict[str, Callable[..., object]] = {
    "freeze": Freezer.freeze,
    "hold": Freezer.hold,
    "run_frozen": lambda freezer, timeout: freezer.run_frozen(int, timeout=timeout),
    "asyncio": freeze_in_a_loop,
    "asyncio, a lease over": freeze_in_a_loop_when_a_lease_is_over,
}


def remedies_of(error: FreezeTimeout) -> list[str]:
    return str(error).partition("\nWhat would help:\n  ")[2].split("\n  ")


@pytest.mark.parametrize("freeze", FREEZES)
def test_the_error_says_what_would_help(freeze: str) -> None:
    freezer = Freezer()
    with late(freezer, one) as (thread,), pytest.raises(FreezeTimeout) as caught:
        FREEZES[freeze](freezer, timeout=0.05)
    error = caught.value
    assert str(error).startswith("1 of 1 threads did not stop within")
    (told,) = remedies_of(error)
    assert told.startswith(f"{thread.worker.name} is inside no_freeze(), which it entered at ")
    where = f"{__file__}:{one.__code__.co_firstlineno + 1}"
    assert told.endswith(f"Make the no_freeze() region at {where} shorter.")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_helps_many_is_said_once_and_at_most_three_things_are() -> None:
    freezer = Freezer()
    with late(freezer, one, one, two), pytest.raises(FreezeTimeout) as caught:
        freezer.freeze(timeout=0.05)
    assert len(caught.value.stragglers) == 3
    assert len(remedies_of(caught.value)) == 2
    with late(freezer, one, two, three, four), pytest.raises(FreezeTimeout) as caught:
        freezer.freeze(timeout=0.05)
    assert len(caught.value.stragglers) == 4
    assert len(remedies_of(caught.value)) == 3


def test_a_time_out_of_what_the_callback_does_is_left_as_it_is() -> None:
    freezer, other = Freezer(), Freezer()
    with late(other, one), pytest.raises(FreezeTimeout) as caught:
        freezer.run_frozen(lambda: other.freeze(timeout=0.05))
    assert str(caught.value).count("What would help") == 1


def test_while_another_controller_has_the_freezer_its_line_is_named() -> None:
    freezer = Freezer()
    with actor() as controller:
        world = controller.do(freezer.freeze, timeout=WAIT)
        with pytest.raises(FreezeTimeout, match=r"nothing was frozen\n") as caught:
            freezer.freeze(timeout=0)
        (told,) = remedies_of(caught.value)
        made_at = r"Have that .* give its freeze a lease; it was made at \S+:\d+ in .*"
        assert re.fullmatch(made_at, told)
        assert caught.value.stragglers == ()
        controller.do(world.thaw)


def test_hooks_for_which_there_is_no_time() -> None:
    freezer = Freezer()
    with freezer.hook(lambda: time.sleep(0.05)), freezer.hook(int):
        with pytest.raises(FreezeTimeout, match=r"the time ran out before .* was called") as caught:
            freezer.freeze(timeout=0.01)
        assert remedies_of(caught.value) == [
            "Give the freeze a longer timeout, or have its hooks take less."
        ]


# A thread that stands in the middle of the first import of what explains would keep others from it.
#
# 1. the first is late, and begins that import; what finds modules calls a safepoint
# 2. the second holds the first, and asks for a freeze, for which "late" is late too
# 3. the second has its error, and thaws
IMPORT = """
import sys, threading
import freezethreads
from freezethreads import FreezeTimeout

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "freezethreads._explain._remedy" and not begun.is_set():
            begun.set()
            while not freezethreads.default_freezer.armed:
                pass
            freezethreads.safepoint("in the import")

def late():
    with freezethreads.register(group="late"), freezethreads.no_freeze():
        entered.set()
        over.wait()

def freeze_in_vain():
    try:
        freezethreads.freeze(group="late", timeout=0.01)
    except FreezeTimeout as error:
        assert "What would help" in str(error)

def first():
    with freezethreads.register(group="first"):
        freeze_in_vain()
        while not over.is_set():
            freezethreads.safepoint()

entered, begun, over = threading.Event(), threading.Event(), threading.Event()
threads = [threading.Thread(target=work) for work in (late, first)]
threads[0].start()
entered.wait()
sys.meta_path.insert(0, Finder())
threads[1].start()
begun.wait()
with freezethreads.hold(group="first"):
    freeze_in_vain()
over.set()
for thread in threads:
    thread.join()
print("told")
"""


def test_nobody_stands_in_the_import_of_what_explains() -> None:
    assert run_python(IMPORT).stdout == "told\n"
