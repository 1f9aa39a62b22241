"""What the index said at one moment, if it was one: taken from all structures, and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from freezethreads.demo._documents import Document
from freezethreads.demo._index import Index

__all__ = ["Part", "Recorder", "Snapshot", "TornSnapshot", "take_snapshot"]


class TornSnapshot(Exception):
    """The structures disagree. The message says in what."""


@dataclass(frozen=True, slots=True)
class Part:
    """What was found of one document."""

    words: dict[str, int]
    """Its tokens, by the document."""
    postings: dict[str, int]
    """Its tokens, by the postings."""
    length: int
    problem: str | None
    """None: it is not finished."""


@dataclass(frozen=True)
class Snapshot:
    """Copies, which nobody changes any more; any thread may read them."""

    parts: dict[str, Part]
    """By path, the documents that were asked for."""
    lengths: dict[str, int]
    finished: dict[str, str]
    tokens: int
    documents: int
    words: int
    """How many pairs of a document and a token there are, by the documents."""
    postings: int
    """How many there are by the postings."""
    catalogue: Mapping[str, Document]
    """Every document of this run."""
    gone: frozenset[str]
    """Documents of an earlier run which are gone, or were begun anew."""

    def disagreements(self) -> Iterator[str]:
        """Yield a sentence for each way in which the structures disagree.

        A snapshot with only the parts that have changed proves it of the whole index, if it was
        true before: all pairs of the words are then among the postings, and there are as many.
        """
        for path, part in self.parts.items():
            if part.words != part.postings:
                yield f"{path}: its words and their postings differ"
            if sum(part.words.values()) != part.length:
                yield f"{path}: its words say {sum(part.words.values())} tokens, not {part.length}"
        if self.words != self.postings:
            yield f"there are {self.words} words in documents, but {self.postings} postings"
        if sum(self.lengths.values()) != self.tokens:
            yield f"the documents have {sum(self.lengths.values())} tokens, not {self.tokens}"
        if not self.finished.keys() <= self.lengths.keys():
            yield "a document is finished that was never begun"
        if len(self.finished) != self.documents:
            yield f"{len(self.finished)} documents are finished, not {self.documents}"

    def check(self) -> None:
        """Raise `TornSnapshot` if the structures disagree."""
        found = list(self.disagreements())
        if found:
            raise TornSnapshot(f"{found[0]} (and {len(found) - 1} more)" if found[1:] else found[0])


def take_snapshot(
    index: Index,
    kept: Mapping[str, tuple[int, bool]],
    catalogue: Mapping[str, Document],
    gone: frozenset[str] = frozenset(),
) -> Snapshot:
    """Copy from all structures of `index`, and of the documents only what is not in `kept`.

    May be called while others work, and is what it is then; it may also find a dict that changes
    while it goes through it, and raise RuntimeError.
    """
    lengths = dict(index.lengths)
    finished = dict(index.finished)
    now = _state(lengths, finished)
    changed = [path for path, state in now.items() if kept.get(path) != state]
    return Snapshot(
        parts={path: _part(index, path, lengths, finished) for path in changed},
        lengths=lengths,
        finished=finished,
        tokens=index.tokens,
        documents=index.documents,
        words=sum(map(len, index.words.values())),
        postings=sum(map(len, index.postings.values())),
        catalogue=catalogue,
        gone=gone,
    )


def _part(index: Index, path: str, lengths: dict[str, int], finished: dict[str, str]) -> Part:
    words = dict(index.words[path])
    postings = {}
    for token in words:
        try:
            postings[token] = index.postings[token][path]
        except KeyError:
            pass  # it is missing, which is to be found when they are compared
    return Part(words, postings, lengths[path], finished.get(path))


class Recorder:
    """Takes snapshots of what has changed since the last one that was kept. For one thread.

    What is in `index` to begin with counts as kept, `gone` does not.
    """

    def __init__(
        self, index: Index, catalogue: Mapping[str, Document], gone: frozenset[str] = frozenset()
    ) -> None:
        self._index = index
        self._catalogue = catalogue
        self._gone = gone
        self._latest: Snapshot | None = None
        self._kept = _state(index.lengths, index.finished)

    def take(self) -> Snapshot:
        """Take a snapshot, checked or not: `Snapshot.check` is the caller's."""
        self._latest = take_snapshot(self._index, self._kept, self._catalogue, self._gone)
        return self._latest

    def take_whole(self) -> Snapshot:
        """Take one and check it. Raises `TornSnapshot`."""
        snapshot = self.take()
        snapshot.check()
        return snapshot

    def keep(self) -> None:
        """Count the latest snapshot as saved: the next one has only what has changed since."""
        assert self._latest is not None
        self._kept = _state(self._latest.lengths, self._latest.finished)
        self._gone = frozenset()


def _state(lengths: Mapping[str, int], finished: Mapping[str, str]) -> dict[str, tuple[int, bool]]:
    """What tells whether a document has changed: it only ever grows, and is finished once."""
    return {path: (length, path in finished) for path, length in lengths.items()}
