"""What the tests of the freezer share: threads that loop, threads that obey, and rigged steps.

A race is forced by a `Pause` or a hook at one step of the core: `before` and `after` put it around
a function, `RiggedDict` around an operation on a list of requests. The thread that comes there
waits until the test, which has brought the other party where it wants it, lets it go on.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar

import pytest

from freezethreads import Freezer, Outstanding
from freezethreads._controller import controller, turns
from freezethreads._ground.completion import Bell
from freezethreads._refrigerator import refrigerator
from freezethreads._registry.places import Place
from freezethreads._registry.record import Record
from freezethreads._registry.registry import Registry
from helpers import WAIT, Worker, start, wait_for

T = TypeVar("T")
Region = AbstractContextManager[None]


class Loops:
    """Registered threads that do nothing but count and pass safepoints."""

    def __init__(
        self, freezer: Freezer, count: int, start: Callable[..., Worker[None]] = start
    ) -> None:
        self.freezer = freezer
        self._start = start
        self.counts = [0] * count
        self.threads: list[Worker[None]] = []
        self._go, self._stop = threading.Event(), threading.Event()
        self._ran = [threading.Event() for _ in range(count)]

    def __enter__(self) -> Loops:
        return self

    def start(self, group: str) -> None:
        """Start them all; returns when all are registered and have run."""
        for index in range(len(self.counts)):
            self.threads.append(self._start(self._loop, index, group, name=f"loop-{index}"))
        self._go.set()  # not before: threads that compute let others start slowly
        self.progress()

    def progress(self) -> None:
        """Wait until every thread has gone through a safepoint once more, from begin to end."""
        for _ in range(2):  # the first time it may have come from the safepoint before
            for ran in self._ran:
                ran.clear()
            for ran in self._ran:
                wait_for(ran)

    def finish(self) -> None:
        """Stop them, and raise what one of them raised."""
        self._stop.set()
        self._go.set()
        for thread in self.threads:
            thread.finish()

    def _loop(self, index: int, group: str) -> None:
        wait_for(self._go)
        with self.freezer.register(group=group):
            while not self._stop.is_set():
                self.counts[index] += 1
                if not self._ran[index].is_set():
                    self._ran[index].set()
                self.freezer.safepoint("loop")
                time.sleep(0)  # where processors are few, the others need one too


@contextmanager
def left_at_rest() -> Iterator[Freezer]:
    """A freezer that asks nobody for anything at the end, and of which nobody wants anything."""
    freezer = Freezer()
    yield freezer
    assert not freezer.armed
    assert not freezer._registry.active
    assert not freezer._registry.settling
    assert freezer._controller._turns.current is None


@contextmanager
def looping(
    freezer: Freezer, count: int, group: str = "", start: Callable[..., Worker[None]] = start
) -> Iterator[Loops]:
    """`count` threads of `group` that loop, from when all run until the block is left."""
    loops = Loops(freezer, count, start)
    try:
        loops.start(group)
        yield loops
    finally:
        loops.finish()


class Actor:
    """A thread that makes the calls it is told to, one after the other. Not registered."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.worker = start(self._obey, name=type(self).__name__.lower())

    def tell(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
        """Have the thread call `fn`, after what it was told before."""
        future: Future[T] = Future()

        def order() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - the future's reader raises it
                future.set_exception(error)

        self._orders.put(order)
        return future

    def do(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """The same, and wait for the result."""
        return self.tell(fn, *args, **kwargs).result(WAIT)

    def finish(self) -> None:
        """End the thread."""
        self._orders.put(None)
        self.worker.finish()

    def _obey(self) -> None:
        while (order := self._orders.get()) is not None:
            order()
            del order  # it refers to what the call returned: a world, perhaps


class Puppet(Actor):
    """The same, registered. Between two calls it is RUNNING, and passes no safepoint."""

    def __init__(self, freezer: Freezer, group: str, waker: Callable[[], object] | None) -> None:
        super().__init__()
        self.freezer = freezer
        self.registration = self.do(freezer.register, group=group, waker=waker)

    @property
    def record(self) -> Record:
        """What the core knows of the thread."""
        return self.freezer._registry.find(self.worker)

    def pass_safepoints(self, until: threading.Event) -> Future[None]:
        """Have it pass safepoints, and nothing else, until the event is set."""

        def loop() -> None:
            while not until.is_set():
                self.freezer.safepoint("puppet")

        return self.tell(loop)

    def block(self, until: threading.Event, label: str = "puppet") -> Future[None]:
        """Have it wait in a blocking region; returns when it is there."""
        return self.wait_in(self.freezer.blocking(label), until)

    def wait_in(self, region: Region, until: threading.Event) -> Future[None]:
        """Have it wait in that region; returns when it is there."""
        inside = threading.Event()
        future = self.tell(self.pass_through, region, until, inside)
        wait_for(inside)
        return future

    def pass_through(self, region: Region, until: threading.Event, inside: threading.Event) -> None:
        """What `wait_in` has the thread do."""
        with region:
            inside.set()
            wait_for(until)


@contextmanager
def actor() -> Iterator[Actor]:
    """An actor that ends with the block."""
    thread = Actor()
    try:
        yield thread
    finally:
        thread.finish()


@contextmanager
def puppet(
    freezer: Freezer, group: str = "", waker: Callable[[], object] | None = None
) -> Iterator[Puppet]:
    """A puppet that ends with the block."""
    thread = Puppet(freezer, group, waker)
    try:
        yield thread
    finally:
        thread.finish()


@contextmanager
def puppets(freezer: Freezer, *groups: str) -> Iterator[list[Puppet]]:
    """One puppet for each group."""
    with ExitStack() as stack:
        yield [stack.enter_context(puppet(freezer, group)) for group in groups]


class Line:
    """Two threads, of which one makes jobs, and the other finishes them. Never waits for them."""

    def __init__(self, freezer: Freezer, jobs: Outstanding) -> None:
        self.made = self.finished = 0
        self.over = threading.Event()
        self._freezer, self._jobs = freezer, jobs

    def make(self) -> None:
        """One of them, until it is over."""
        while not self.over.is_set():
            self._jobs.add()
            self.made += 1
            self._freezer.safepoint()

    def finish(self) -> None:
        """The other one."""
        while not self.over.is_set():
            if self._jobs.count:
                self.finished += 1
                self._jobs.done()
            self._freezer.safepoint()


@contextmanager
def handing_on(freezer: Freezer, jobs: Outstanding, makers: str, workers: str) -> Iterator[Line]:
    """A line of threads of these groups, which runs as long as the block."""
    line = Line(freezer, jobs)
    with puppets(freezer, makers, workers) as (maker, worker):
        both = maker.tell(line.make), worker.tell(line.finish)
        yield line
        line.over.set()
        for done in both:
            done.result(WAIT)


class Pause:
    """A step at which one thread waits until the test lets it go on. Further passes do not wait."""

    def __init__(self, who: threading.Thread | None = None) -> None:
        self.reached = threading.Event()
        self._who = who
        self._over = threading.Event()
        self._once = threading.Lock()

    def __call__(self, *_: object) -> object:
        mine = self._who is None or self._who is threading.current_thread()
        if mine and self._once.acquire(False):
            self.reached.set()
            wait_for(self._over)
        return None

    def wait(self) -> None:
        """Wait until the thread is there."""
        wait_for(self.reached)

    def go(self) -> None:
        """Let it go on."""
        self._over.set()


def before(
    patch: pytest.MonkeyPatch, owner: object, name: str, hook: Callable[..., object]
) -> None:
    """Have `hook` called, with the same arguments, before each call of `owner.name`."""
    real = getattr(owner, name)

    def rigged(*args: Any, **kwargs: Any) -> Any:
        hook(*args)
        return real(*args, **kwargs)

    patch.setattr(owner, name, rigged)


def before_it_comes_back(patch: pytest.MonkeyPatch, hook: Callable[[], object]) -> None:
    """Have `hook` called when a controller has waited and is still marked as away."""
    real = refrigerator.wait_away

    def rigged(registry: Registry, place: Place, wait: Callable[[], None]) -> None:
        def wait_and_call() -> None:
            wait()
            hook()

        real(registry, place, wait_and_call)

    patch.setattr(controller, "wait_away", rigged)
    patch.setattr(turns, "wait_away", rigged)


def after(patch: pytest.MonkeyPatch, owner: object, name: str, hook: Callable[..., object]) -> None:
    """The same after each call that returned."""
    real = getattr(owner, name)

    def rigged(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        hook(*args)
        return result

    patch.setattr(owner, name, rigged)


def at_bell(patch: pytest.MonkeyPatch, thread: threading.Thread) -> threading.Event:
    """An event that tells when `thread` next comes to wait for its bell, or for its turn's."""
    there = threading.Event()

    def note(*_: object) -> None:
        if threading.current_thread() is thread:
            there.set()

    before(patch, Bell, "wait", note)
    return there


class RiggedDict(dict[Any, Any]):
    """A dict that calls hooks with the key: after `pop`, after `get`, when set, when listed."""

    def __init__(
        self,
        content: dict[Any, Any],
        *,
        after_pop: Callable[[object], object] | None = None,
        after_set: Callable[[object], object] | None = None,
        after_get: Callable[[object], object] | None = None,
        after_list: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(content)
        self._after_pop = after_pop
        self._after_set = after_set
        self._after_get = after_get
        self._after_list = after_list

    def pop(self, key: Any, *default: Any) -> Any:
        value = super().pop(key, *default)
        if self._after_pop is not None:
            self._after_pop(key)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        value = super().get(key, default)
        if self._after_get is not None:
            self._after_get(key)
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if self._after_set is not None:
            self._after_set(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._listed(list(super().keys())))

    def values(self) -> Any:
        return self._listed(list(super().values()))

    def _listed(self, content: list[Any]) -> list[Any]:
        if self._after_list is not None:
            self._after_list()
        return content


def rig_todo(thread: Puppet, **hooks: Callable[..., object]) -> None:
    """Replace a puppet's todo list by a `RiggedDict`, while it is asked for nothing."""
    thread.record.todo = RiggedDict(thread.record.todo, **hooks)
