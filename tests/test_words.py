"""The word of a thread, by itself: what it is while others change it."""

from __future__ import annotations

from freezethreads import Freezer
from freezethreads._status import Status, Word, listed, settled
from freezethreads._todo import Freeze


class Counted(dict[int, Status]):
    """A dict into which somebody is just putting something: it counts that, and does not show it.

    As in CPython 3.13 without a GIL, where a reader needs no lock, for a moment.
    """

    def __len__(self) -> int:
        return 1


def test_what_is_counted_and_not_shown_yet_has_not_happened() -> None:
    word = Word()
    first = word.value
    first.next = Counted()
    assert first.next
    assert word.value is first
    assert not word.is_quiet()
    assert word.change(settled) is first
    freeze = Freeze(Freezer("words")._registry, "freeze", "", "")
    asked = word.change(listed, freeze)
    assert asked.freezes == (freeze,)
    assert word.value is asked
