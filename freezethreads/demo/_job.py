"""The controller: it starts the workers, has snapshots taken, and sees to the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from signal import Signals
from time import monotonic

from freezethreads.demo._camera import Camera, Freeze
from freezethreads.demo._work import Work

__all__ = ["Event", "Job", "Result"]

Event = Signals | BaseException | None
"""What happens to a job: somebody wants it to end, or a worker ended, with an error or without."""

TICK = 0.1
"""Seconds between two looks at how far it is."""
PATIENCE = 5.0
"""Seconds to wait for a worker's end. None takes so long, unless it hangs in a read."""


@dataclass(frozen=True)
class Result:
    """What became of one run over the documents. Durations are in seconds."""

    seconds: float
    """From the start to the end of the last worker."""
    finished_at: list[float]
    """When each document was finished, since the start."""
    snapshots: int
    torn: list[str]
    """What was wrong with each snapshot that was torn."""
    freezes: list[Freeze]
    stopped_by: Signals | None
    """The signal that ended it early, if any."""

    @property
    def documents(self) -> int:
        """How many were finished."""
        return len(self.finished_at)

    def rate(self, documents: int) -> float | None:
        """Documents per second, over the first `documents` finished; None if there were none."""
        if not documents or documents > self.documents:
            return None
        return documents / sorted(self.finished_at)[documents - 1]


class Job:
    """One run: `work` with a snapshot by `camera` every `every` seconds. For one thread, once.

    `watch` is called now and then. A signal among `events` ends the run early, and so does `limit`,
    in seconds (None: there is none).
    """

    def __init__(
        self,
        work: Work,
        camera: Camera,
        events: SimpleQueue[Event],
        watch: Callable[[], object],
        *,
        every: float,
        limit: float | None = None,
    ) -> None:
        self._work = work
        self._camera = camera
        self._events = events
        self._watch = watch
        self._every = every
        self._limit = float("inf") if limit is None else limit
        self._stopped_by: Signals | None = None

    def run(self, threads: int) -> Result:
        """Do the work with `threads` threads.

        When this returns or raises no worker will change the index any more. Raises what a
        worker raises, or the camera.
        """
        self._start = monotonic()
        self._due = self._every
        self._running = threads
        try:
            self._work.start(threads)
            while self._goes_on():
                self._wait()
                if self._goes_on() and self._now() >= self._due:
                    self._camera.snap(self._now())
                    self._due = max(self._due + self._every, self._now())
        finally:
            self._work.stop(PATIENCE)
        return self._result(self._now())

    def _goes_on(self) -> bool:
        return self._running > 0 and self._stopped_by is None and self._now() < self._limit

    def _now(self) -> float:
        return monotonic() - self._start

    def _wait(self) -> None:
        """Wait for an event, until a snapshot is due, or for a tick."""
        left = min(self._due, self._limit) - self._now()
        try:
            event = self._events.get(timeout=max(0.0, min(TICK, left)))
        except Empty:
            self._watch()
            return
        if isinstance(event, Signals):
            self._stopped_by = event
        elif event is not None:
            raise event
        else:
            self._running -= 1

    def _result(self, seconds: float) -> Result:
        return Result(
            seconds=seconds,
            finished_at=[at - self._start for at in self._work.finished_at],
            snapshots=self._camera.snapshots,
            torn=self._camera.torn,
            freezes=self._camera.freezes,
            stopped_by=self._stopped_by,
        )
