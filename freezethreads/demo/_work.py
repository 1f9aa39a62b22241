"""What a worker does, and where it may be stopped."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import monotonic

from freezethreads import Freezer
from freezethreads.demo._documents import Document, Tokens
from freezethreads.demo._index import Index

__all__ = ["SLICE", "Work"]

SLICE = 400
"""Tokens between two safepoints of a document: about a millisecond's work."""


@dataclass
class Work:
    """Documents to index, and the threads that do it."""

    freezer: Freezer
    index: Index
    todo: deque[Document]
    """What nobody has begun yet. Document after document is popped by whoever is free."""
    ended: Callable[[BaseException | None], None]
    """Called by each worker as the last thing that it does, with its error or None."""
    finished_at: list[float] = field(default_factory=list)
    """When each document was finished, on the monotonic clock."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, number: int) -> None:
        """Start `number` workers.

        They are daemons: one that hangs in a read from a dead disk does not keep the process.
        """
        for count in range(number):
            name = f"indexer-{count + 1}"
            self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
            self._threads[-1].start()

    def stop(self, timeout: float) -> None:
        """Let the workers end at their next safepoints, and wait up to `timeout` seconds for each.

        One that reads a file for longer than that will touch nothing when the read ends.
        """
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with self.freezer.register():
                for document in self._documents():
                    self._index_document(document)
        except BaseException as found:  # noqa: BLE001 - whatever it is, ended() passes it on
            error = found
        self.ended(error)

    def _documents(self) -> Iterator[Document]:
        while not self._stop.is_set():
            self.freezer.safepoint("between two documents")
            try:
                document = self.todo.popleft()
            except IndexError:
                return
            yield document

    def _index_document(self, document: Document) -> None:
        """Index a document from where an earlier run has left it, up to its end or a stop.

        At each safepoint the structures agree, also on a document that is not finished.
        """
        path = document.path
        with self.freezer.blocking("reading a file"):
            source, problem = _read(document.file)
        if self._stop.is_set():
            return
        tokens = Tokens(source)
        stream = iter(tokens)
        if path in self.index.lengths:
            self._skip(stream, self.index.lengths[path])
        else:
            self.index.begin(path)
        while self.index.add(path, islice(stream, SLICE)):
            self.freezer.safepoint("within a document")
            if self._stop.is_set():
                return
        self.index.finish(path, problem or tokens.problem)
        self.finished_at.append(monotonic())

    def _skip(self, stream: Iterator[str], number: int) -> None:
        for begun in range(0, number, SLICE):
            self.freezer.safepoint("skipping what was counted before")
            deque(islice(stream, min(SLICE, number - begun)), maxlen=0)


def _read(file: str) -> tuple[bytes, str]:
    """Return what is in a file, and why that is nothing, if it cannot be read."""
    try:
        return Path(file).read_bytes(), ""
    except OSError as error:
        return b"", f"{type(error).__name__}: {error.strerror}"
