"""Objects that are found as long as they live: by what happens at a fork, or at the end."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

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

    def clear(self) -> None:
        """Refer to none of them any more."""
        self._references.clear()

    def _forget(self, reference: weakref.ref[T]) -> None:
        self._references.pop(reference, None)
