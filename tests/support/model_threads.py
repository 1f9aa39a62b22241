"""The threads of the state machine's model: what each is, and the real one that follows it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import Any

from helpers import WAIT, Worker, start

Call = Callable[[], object]


class Asked:
    """A todo in the model."""

    def __init__(self, priority: int, future: Future[Any]) -> None:
        self.priority = priority
        self.future = future


class Actor:
    """A thread of the model, and the real one that does what the model says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: SimpleQueue[Call | None] = SimpleQueue()
        self.results: SimpleQueue[object] = SimpleQueue()
        self.thread: Worker[None] = start(self._work, name=name)
        self.registered = False
        self.group = ""
        self.regions: list[tuple[str, AbstractContextManager[None]]] = []
        self.todos: list[Asked] = []
        self.after: Callable[[], None] | None = None

    def _work(self) -> None:
        while (call := self.calls.get(timeout=6 * WAIT)) is not None:
            try:
                self.results.put(call())
            except Exception as error:  # noqa: BLE001 - the model says which it should be
                self.results.put(error)

    def acknowledge(self) -> object:
        """What the call returned or raised."""
        return self.results.get(timeout=WAIT)

    @property
    def shut(self) -> bool:
        return any(kind == "no_freeze" for kind, _ in self.regions)

    @property
    def away(self) -> bool:
        return not self.shut and any(kind == "blocking" for kind, _ in self.regions)

    @property
    def parked(self) -> bool:
        return self.after is not None


def covers(group: str, other: str) -> bool:
    return not group or (other + ".").startswith(group + ".")
