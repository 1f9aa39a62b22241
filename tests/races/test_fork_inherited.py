"""A fork while other threads change dicts that all share: the child takes no lock of these.

Without a GIL each dict has one, and CPython may have handed it to a thread that the child has not.
That cannot be forced. So here a dict takes part that raises, in the child, where its lock would be
taken.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fork_helpers import Fork, check_alone, forked, in_child
from freezethreads import Freezer
from freezethreads._controller.fork import controllers
from freezethreads._ground import inherited
from freezethreads._ground.completion import Bell, Completion
from freezethreads._registry import registry as registry_module
from freezethreads._registry.record import here
from freezethreads._registry.registry import armed, registries
from freezethreads._registry.requests import Freeze
from freezethreads._report import ownership
from freezing import actor, left_at_rest, puppets
from helpers import WAIT, wait_until
from in_steps import passing, wait_until_asked

LOCKING = (
    *("__contains__", "__delitem__", "__getitem__", "__len__", "__setitem__"),
    *("clear", "copy", "get", "keys", "pop", "popitem", "setdefault", "update"),
)


def refuse(name: str) -> Callable[..., Any]:
    real = getattr(dict, name)

    def method(self: Left, *args: Any) -> Any:
        if in_child():
            raise AssertionError(f"{name}() waits for ever in the child")
        return real(self, *args)

    return method


class Left(dict[Any, Any]):
    """A dict whose lock nobody releases in the child. There one may walk over it."""


class Unwalked(Left):
    """One over which nobody has walked before the fork."""


for name in LOCKING:
    setattr(Left, name, refuse(name))
for name in ("__iter__", "items", "values"):
    setattr(Unwalked, name, refuse(name))


left: list[tuple[object, str]] = []


def leave(owner: object, *names: str, kind: type[Left] = Left) -> None:
    """Have these dicts of `owner` be such ones, until the end of the test."""
    for name in names:
        setattr(owner, name, kind(getattr(owner, name)))
        left.append((owner, name))


@pytest.fixture(autouse=True)
def nobody_keeps_one() -> Iterator[None]:
    """Other tests in this process list them, which is atomic for a dict, and not for such ones."""
    yield
    while left:
        owner, name = left.pop()
        setattr(owner, name, dict(getattr(owner, name)))
    here.parking.word._last = (here.parking.word._last[0], dict(here.parking.word._last[1]))
    assert not [one for one in gc.get_objects() if isinstance(one, Left)]


def leave_all(freezer: Freezer) -> None:
    """Have all dicts be such ones that other threads may change."""
    registry = freezer._registry
    for freeze in [one for one in registry.pending if isinstance(one, Freeze)]:
        names = "members", "awaited", "newcomers", "gathered", "leases"
        leave(freeze, *names, kind=Unwalked)
        leave(freeze.completion, "_waiting", kind=Unwalked)
    leave(registry, "active", "records", "settling", kind=Unwalked)
    leave(registry, "pending", "outstanding")
    for turns in registry.turns.values():
        leave(turns, "queue")
    for record in registry.records.values():
        leave(record, "todo")
    for outstanding in registry.outstanding.values():
        leave(outstanding, "_blocks", kind=Unwalked)
    leave(armed, "registries", kind=Unwalked)
    leave(ownership, "_acquired", "_awaited")
    for living in (ownership._made, controllers, registries):
        leave(living, "_references")
    status, after = here.parking.word._last
    here.parking.word._last = (status, Unwalked(after))
    leave(here.parking, "calls")


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    with left_at_rest() as freezer:
        yield freezer


def test_the_child_takes_no_lock_of_a_dict_that_others_change(freezer: Freezer) -> None:
    """While one is held, one freezes, one waits for its turn, and todos are there."""

    def body(fork: Fork) -> None:
        leave_all(freezer)
        fork()

    over = threading.Event()
    with (
        freezer.register("forks", group="forks"),
        puppets(freezer, "held", "late") as (held, late),
        actor() as controller,
        actor() as second,
    ):
        blocked = held.block(over)
        hold = freezer.hold(group="held", timeout=WAIT)
        freezer.outstanding("job").add()
        frozen = controller.tell(freezer.run_frozen, int, group="late", timeout=WAIT)
        wait_until_asked(late)
        queued = second.tell(freezer.run_frozen, int, group="late", timeout=WAIT)
        wait_until(lambda: len(freezer._controller._turns.queue) == 2)
        todos = freezer.todo_all(int)
        forked(body, lambda: check_alone(freezer, True))
        over.set()
        hold.thaw()
        blocked.result(WAIT)
        with passing(freezer, late), passing(freezer, held):
            frozen.result(WAIT)
            queued.result(WAIT)
        freezer.safepoint()
        for todo in todos:
            todo.result(WAIT)


def test_who_stands_and_forks_in_a_call_leaves_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    completion, bell = Completion(), Bell()
    completion.enter(bell)
    leave(completion, "_waiting", kind=Unwalked)
    monkeypatch.setitem(globals(), "in_child", lambda: True)
    completion.end_in_child()
    completion.leave(bell)


def test_no_lock_of_one_that_is_walked_over_is_taken(freezer: Freezer) -> None:
    """What the other test allows, the walk, is one that a free-threaded build makes without."""
    walked: list[object] = []
    registry = freezer._registry
    before = freezer._controller.share
    queues = [turns.queue for turns in registry.turns.values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry_module, "share", walked.append)
        patch.setattr(inherited, "share", walked.append)
        before()
        ownership.share()
    expected = [registry.pending, registry.outstanding, *queues]
    expected += [ownership._made._references, ownership._acquired, ownership._awaited]
    assert [id(one) for one in walked] == [id(one) for one in expected]


def test_one_that_changes_is_walked_over_anew() -> None:
    class Changing(dict[int, int]):
        tries = 0

        def __iter__(self) -> Iterator[int]:
            self.tries += 1
            walk = super().__iter__()
            self[self.tries] = 0 if self.tries < 3 else self.pop(1)
            return walk

    changing = Changing({0: 0})
    inherited.share(changing)
    assert changing.tries == 3
