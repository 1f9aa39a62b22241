"""What there is one of cannot be copied or pickled, and says so; the attempt lets nobody go."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

import freezethreads
from freezethreads import Freezer, State, default_freezer
from freezethreads.checkpoint import Checkpointer, FileStore, SQLiteStore
from freezing import looping

Way = Callable[[Any], object]


@pytest.fixture(params=["copy", "deepcopy", "pickle", "oldest pickle"])
def way(request: pytest.FixtureRequest) -> Way:
    ways: dict[str, Way] = {
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
        "pickle": pickle.dumps,
        "oldest pickle": lambda one: pickle.dumps(one, protocol=0),
    }
    return ways[request.param]


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    made = Freezer()
    with looping(made, 1):
        yield made


def check_refused(way: Way, one: object, name: str) -> None:
    with pytest.raises(TypeError, match=f"^cannot copy or pickle a {name}: it is "):
        way(one)


# Whatever `__del__` raises fails the test.
@pytest.mark.parametrize("name", ["World", "Hold"])
def test_what_keeps_threads_stopped(way: Way, freezer: Freezer, name: str) -> None:
    with freezer.freeze() if name == "World" else freezer.hold() as stopped:
        check_refused(way, stopped, name)
        if way is not copy.copy:
            check_refused(way, [stopped], name)
        assert stopped.threads[0].state is State.FROZEN


def test_a_freezer_and_a_registration(way: Way, freezer: Freezer) -> None:
    check_refused(way, freezer, "Freezer")
    check_refused(way, default_freezer, "Freezer")
    with freezer.register() as registration:
        check_refused(way, registration, "Registration")
        assert len(freezer.threads()) == 2


def test_the_rest(way: Way, freezer: Freezer, tmp_path: Path) -> None:
    with ExitStack() as stack:
        check_refused(way, stack.enter_context(freezethreads.install(freezer)), "Installation")
        check_refused(way, stack.enter_context(freezer.serve()), "Serving")
        store = stack.enter_context(closing(FileStore(tmp_path / "f")))
        check_refused(way, store, "FileStore")
        check_refused(way, Checkpointer(freezer, store, int), "Checkpointer")


def test_an_enrolment_of_asyncio(way: Way, freezer: Freezer) -> None:
    import asyncio

    from freezethreads.integrations import asyncio_loop

    async def main() -> None:
        with asyncio_loop.enrol(freezer) as enrolment:
            check_refused(way, enrolment, "Enrolment")

    asyncio.run(main())


def test_what_describes_can_be_copied(way: Way, freezer: Freezer) -> None:
    way(freezer.threads())
    way(freezer.statistics())


def test_a_store_that_others_may_open_can_be_copied(way: Way, tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s")
    store.save(1)
    made = way(store)
    other: Any = pickle.loads(made) if isinstance(made, bytes) else made
    assert other.load() == 1
    other.save(2)
    assert store.load() == 2
