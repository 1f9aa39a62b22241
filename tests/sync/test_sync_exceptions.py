"""An exception at every bytecode of a thread that waits in `freezethreads.sync`."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

import freezethreads
import injection
from freezethreads import Freezer, ThreadBlocked, World
from freezethreads.sync._waitable import own
from freezing import Actor, Puppet, actor, at_bell, puppet
from helpers import WAIT, wait_for
from injection import Boom, watching
from sync_interruption import until
from sync_scenes import (
    Getting,
    Mutex,
    Notified,
    NotifiedForeign,
    NotifiedForeignReentrant,
    NotifiedReentrant,
    Putting,
    ReentrantMutex,
    Releasing,
    ReleasingReentrant,
    Scene,
    Sleeping,
    WithMutex,
)

FOREIGN = (NotifiedForeign, NotifiedForeignReentrant)
FROZEN = (WithMutex, ReentrantMutex, Notified, *FOREIGN, Getting, Sleeping)
ACTS = (Releasing, ReleasingReentrant, Putting)
SCENES = [
    *((kind, True) for kind in FROZEN),
    *((kind, False) for kind in (*FROZEN, Mutex, NotifiedReentrant, *ACTS)),
]


def check_subject(subject: Puppet) -> None:
    """Its thread is in no wait any more."""
    record = subject.record
    assert not record.is_asked
    assert (record.depth, record.shut, record.parking.waiter) == (0, 0, None)
    assert subject.do(lambda: own.waiter) is None


def name_of(value: type[Scene] | bool) -> str:
    """A test's parameter."""
    if isinstance(value, bool):
        return "frozen" if value else "running"
    return value.__name__


def wake(world: World, subject: Puppet) -> None:
    """Have it look, if it is in a wait."""
    try:
        world.call(subject.worker, int)
    except ThreadBlocked:
        pass  # it was hit, and waits until the run is over
    except Boom:
        pass  # it is hit in this very call


def play(scene: Scene, freezer: Freezer, subject: Puppet, bystander: Actor, at: int) -> None:
    """One run, with the subject interrupted at its bytecode number `at`."""
    through, over = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def act() -> None:
        try:
            scene.interrupt(at)
        except BaseException as error:  # noqa: BLE001 - raised by the test
            errors.append(error)
        through.set()
        with freezer.blocking("through"):
            assert over.wait(WAIT)

    try:
        acting = subject.tell(act)
        wait_for(scene.prepared)
        until(
            lambda: through.is_set() or isinstance(scene, ACTS) or subject.record.place is not None
        )
        waiting = watch(bystander, scene)
        if scene.frozen:
            with freezer.freeze(timeout=WAIT) as world:
                scene.give()
                wake(world, subject)
        else:
            scene.give()
        assert through.wait(WAIT), "the subject is stuck"
        if errors:
            raise errors[0]
        scene.end(lambda: not waiting.done())
        waiting.result(WAIT)
    finally:
        over.set()
    acting.result(WAIT)
    check_subject(subject)
    scene.check()


def watch(bystander: Actor, scene: Scene) -> Future[object]:
    """Have the bystander wait; returns when it sleeps, or needs not."""
    with pytest.MonkeyPatch.context() as patch:
        asleep = at_bell(patch, bystander.worker)
        waiting: Future[object] = bystander.tell(scene.use_as_well)
        until(lambda: asleep.is_set() or waiting.done())
    return waiting


# Python reports an exception in `__del__`, and goes on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(100)
@pytest.mark.parametrize(("kind", "frozen"), SCENES, ids=name_of)
def test_an_exception_anywhere_keeps_nobody_from_anything(
    monkeypatch: pytest.MonkeyPatch, kind: type[Scene], frozen: bool
) -> None:
    # What is interrupted is the library's code, that of `sync` too.
    monkeypatch.setattr(injection, "CORE", str(Path(freezethreads.__file__).parent / ""))
    freezer = Freezer("exceptions")
    with puppet(freezer) as subject, actor() as bystander, watching():
        for at in itertools.count():
            scene = kind(frozen)
            try:
                play(scene, freezer, subject, bystander, at)
            except BaseException as error:
                error.add_note(f"after an exception at bytecode {at}: {scene.hit}")
                raise
            finally:
                scene.close()
            if scene.hit is None:
                break
    assert at > 3
