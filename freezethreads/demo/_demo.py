"""The demo: an index of real source code, checkpointed, and the same without freezing."""

from __future__ import annotations

import platform
import shlex
import tempfile
from collections import deque
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from freezethreads import Freezer
from freezethreads._ground.files import relative
from freezethreads.demo._camera import Camera, FreezingCamera, LooseCamera
from freezethreads.demo._documents import Document
from freezethreads.demo._index import Index
from freezethreads.demo._job import Event, Job, Result
from freezethreads.demo._report import Outcome
from freezethreads.demo._resume import Beginning, open_index
from freezethreads.demo._snapshot import Recorder, take_snapshot
from freezethreads.demo._store import IndexStore
from freezethreads.demo._view import View
from freezethreads.demo._work import Work

__all__ = ["INDEX", "Demo", "Settings"]

INDEX = "freezethreads-demo.sqlite3"
"""The name of the file with the index, in the directory `out`."""


@dataclass(frozen=True)
class Settings:
    """What to do. Checked by whoever makes it."""

    root: Path
    """Resolved."""
    out: Path
    """An existing directory."""
    threads: int
    every: float
    """Seconds between two snapshots."""
    served: bool = False
    """Whether other processes may look at the run with freezing, and freeze it."""


class Demo:
    """One go at the `documents`, with freezing and without. For one thread.

    A signal that is put among `events` ends it early. What is known is in `outcome`.
    """

    def __init__(
        self,
        settings: Settings,
        documents: list[Document],
        view: View,
        events: SimpleQueue[Event],
    ) -> None:
        self._settings = settings
        self._documents = documents
        self._todo = documents
        self._view = view
        self._events = events
        self.outcome = Outcome(
            root=str(settings.root),
            python=platform.python_version(),
            threads=settings.threads,
            every=settings.every,
            documents=len(documents),
        )

    def run_freezing(self) -> None:
        """Index what is not in the index yet, with a checkpoint every so often and one at the end.

        Raises `WrongIndex`, `StoreError`, `FreezeTimeout`, and `TornSnapshot` if, of all
        things, the index is not whole in the end.
        """
        file = self._settings.out / INDEX
        beginning = open_index(file, self._settings.root, self._documents)
        self._todo = beginning.todo
        self.outcome.out = str(self._settings.out)
        self._say_beginning(beginning, file)
        if beginning.todo or beginning.gone:
            self._index(beginning)
        else:
            self._view.say("the index is complete already; --fresh begins again")
        self._conclude(beginning)
        self._say_end()

    def run_unfrozen(self, limit: float | None = None) -> None:
        """Index the same documents for up to `limit` seconds without freezing, and keep nothing."""
        index = Index()
        recorder = Recorder(index, {document.path: document for document in self._documents})
        with tempfile.TemporaryDirectory(dir=self._settings.out) as folder:
            # On the same disk, and written in the same way, so that it costs the same.
            store = IndexStore(Path(folder) / INDEX, self._settings.root)
            camera = LooseCamera(store, recorder, self._view.detail)
            self.outcome.no_freeze = self._run(Freezer("no freezing"), index, camera, limit)

    def _index(self, beginning: Beginning) -> None:
        freezer = Freezer("freezing")
        camera = FreezingCamera(beginning.store, beginning.recorder, self._view.detail, freezer)
        with freezer.serve() if self._settings.served else nullcontext():
            self.outcome.freezing = self._run(freezer, beginning.index, camera, None)
        camera.save()

    def _run(self, freezer: Freezer, index: Index, camera: Camera, limit: float | None) -> Result:
        work = Work(freezer, index, deque(self._todo), self._events.put)
        before = len(index.finished)
        with self._view.bar(freezer.name, before, before + len(self._todo)) as show:
            job = Job(
                work,
                camera,
                self._events,
                lambda: show(len(index.finished)),
                every=self._settings.every,
                limit=limit,
            )
            return job.run(self._settings.threads)

    def _conclude(self, beginning: Beginning) -> None:
        """Look at the whole index once more, and note what is in it."""
        index, outcome = beginning.index, self.outcome
        take_snapshot(index, {}, {}).check()
        outcome.finished = len(index.finished)
        outcome.unreadable = sum(map(bool, index.finished.values()))
        outcome.tokens = index.tokens
        outcome.checkpoint = beginning.store.checkpoint
        if outcome.finished == outcome.documents:
            outcome.digest = index.digest()

    def _say_beginning(self, beginning: Beginning, file: Path) -> None:
        outcome, say = self.outcome, self._view.say
        root, out = relative(outcome.root), relative(str(file.parent))
        say(f"{outcome.documents} files below {root}, {outcome.threads} threads")
        say(f"index: {relative(str(file))}")
        say(f"after a kill -9, --out {shlex.quote(out)} goes on from there")
        if not beginning.checkpoint:
            return
        outcome.resumed = {
            "checkpoint": beginning.checkpoint,
            "finished": beginning.finished,
            "begun": beginning.begun,
            "changed": len(beginning.gone),
        }
        say(
            f"resumed: {beginning.finished} of {outcome.documents} documents from checkpoint "
            f"{beginning.checkpoint}, and {beginning.begun} more in part"
        )
        if beginning.gone:
            say(f"{len(beginning.gone)} of them have changed since, or are gone")

    def _say_end(self) -> None:
        outcome, say = self.outcome, self._view.say
        if outcome.digest:
            say(
                f"complete: {outcome.tokens} tokens in checkpoint {outcome.checkpoint}; "
                f"{outcome.unreadable} documents could not be tokenized to their end"
            )
            say(f"digest: {outcome.digest}")
        elif outcome.freezing and outcome.freezing.stopped_by:
            say(
                f"ended by {outcome.freezing.stopped_by.name}: {outcome.finished} of "
                f"{outcome.documents} documents are in checkpoint {outcome.checkpoint}"
            )
            root, out = relative(outcome.root), relative(str(outcome.out))
            command = ["freezethreads", "demo", "--root", root, "--out", out]
            say(f"go on with: {shlex.join(command)}")
