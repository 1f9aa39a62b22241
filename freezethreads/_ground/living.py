"""Objects that are found as long as they live: by what happens at a fork, or at the end."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

from freezethreads._ground import inherited

T = TypeVar("T")


class Living(Generic[T]):
    """Refers to objects without keeping them alive. From any thread, and while others add to it.

    A dict, since listing one is atomic; a WeakSet cannot be walked while another thread adds to it.
    """

    def __init__(self) -> None:
        self._references: dict[weakref.ref[T], None] = {}

    def add(self, one: T) -> None:
        """Refer to it from now on."""
        self._references[weakref.ref(one, self._forget)] = None

    def __iter__(self) -> Iterator[T]:
        for reference in list(self._references):
            one = reference()
            if one is not None:
                yield one

    def share(self) -> None:
        """Before a fork: see `inherited`."""
        inherited.share(self._references)

    def reset(self) -> None:
        """In the child of a fork: refer to the same ones, in a dict of its own."""
        while True:
            try:
                self._references = {ref: None for ref in self._references if ref() is not None}
                return
            except RuntimeError:  # one of them has been collected just now
                pass

    def clear(self) -> None:
        """Refer to none of them any more."""
        self._references.clear()

    def _forget(self, reference: weakref.ref[T]) -> None:
        self._references.pop(reference, None)
