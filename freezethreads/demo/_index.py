"""The shared index: several structures, which agree only between two steps of a worker.

No lock is held over a whole step. What keeps each single change whole is this, on builds with and
without the GIL:

* one document is one worker's. So ``words[path]``, ``lengths[path]`` and the keys ``path`` of every
  dict in `postings` have one writer each, and adding to one is safe;
* reading, setting and `setdefault` of a dict are atomic for keys that are strings;
* the two totals belong to everybody, and have a lock.

So nothing is ever lost. But a reader that comes between two changes finds, for example, a token in
the postings which the totals do not have yet.

In dicts that several threads use, a value is looked up as ``d[key]`` and not with ``d.get``. On the
free-threaded Python 3.13 the latter takes 9 µs, fifty times as long, the first time that a
thread comes upon something that another one has made.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable

__all__ = ["Index"]


class Index:
    """An inverted index of documents, which go by their paths."""

    def __init__(self) -> None:
        self.words: dict[str, dict[str, int]] = {}
        """Of each document begun, how often each token is in it."""
        self.postings: dict[str, dict[str, int]] = {}
        """The same by token: the documents it is in, and how often."""
        self.lengths: dict[str, int] = {}
        """Of each document begun, how many tokens of it were counted so far."""
        self.finished: dict[str, str] = {}
        """The documents that were counted to their end, and what made that end an early one."""
        self.tokens = 0
        """The sum of all lengths."""
        self.documents = 0
        """The number of finished documents."""
        self._lock = threading.Lock()  # guards the two totals; nothing else is taken under it

    # The workers' side: a document's methods are called by one thread.

    def begin(self, path: str) -> None:
        """Begin a document with no tokens."""
        self.words[path] = {}
        self.lengths[path] = 0

    def add(self, path: str, tokens: Iterable[str]) -> int:
        """Count the next `tokens` of a document, and return how many they were.

        While this runs the structures disagree.
        """
        words = self.words[path]
        number = 0
        for token in tokens:
            words[token] = words.get(token, 0) + 1
            try:
                documents = self.postings[token]
            except KeyError:
                documents = self.postings.setdefault(token, {})
            documents[path] = documents[path] + 1 if path in documents else 1
            number += 1
        self.lengths[path] += number
        with self._lock:
            self.tokens += number
        return number

    def finish(self, path: str, problem: str) -> None:
        """End a document. `problem` says why it ends early, and is empty if it does not.

        While this runs the structures disagree.
        """
        self.finished[path] = problem
        with self._lock:
            self.documents += 1

    # For one thread, while nobody works.

    def restore(self, path: str, words: dict[str, int], length: int, problem: str | None) -> None:
        """Put a document in as it was saved, the totals apart. `problem` of None: unfinished."""
        self.words[path] = words
        for token, number in words.items():
            self.postings.setdefault(token, {})[path] = number
        self.lengths[path] = length
        if problem is not None:
            self.finished[path] = problem

    def drop(self, path: str) -> None:
        """Forget a document."""
        for token in self.words.pop(path):
            del self.postings[token][path]
            if not self.postings[token]:
                del self.postings[token]
        self.tokens -= self.lengths.pop(path)
        if self.finished.pop(path, None) is not None:
            self.documents -= 1

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all that the index says, in whatever order it came to be."""
        digest = hashlib.sha256()
        for token in sorted(self.postings):
            digest.update(ascii((token, sorted(self.postings[token].items()))).encode())
        for path in sorted(self.lengths):
            digest.update(ascii((path, self.lengths[path], self.finished.get(path))).encode())
        digest.update(ascii((self.tokens, self.documents)).encode())
        return digest.hexdigest()
