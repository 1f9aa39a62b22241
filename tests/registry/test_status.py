"""The word of a thread, by itself: what it is while others change it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from freezethreads import Freezer
from freezethreads._registry.requests import Asked, Freeze
from freezethreads._registry.status import Link, Status, Word, settled
from freezing import puppet
from helpers import WAIT


class Counted(dict[int, Link]):
    """A dict into which somebody is just putting something: it counts that, and does not show it.

    As in CPython 3.13 without a GIL, where a reader needs no lock, for a moment.
    """

    def __len__(self) -> int:
        return 1


class Race:
    """Another thread, which makes one change whenever the one that walks along the chain moves."""

    MOST = 100

    def __init__(self, word: Word) -> None:
        self.word = word
        self.last = word._last
        self.changes = 0

    def change(self) -> None:
        """Put one more value at the end, and note it."""
        self.changes += 1
        assert self.changes < self.MOST, "it never comes to the end"
        new: Link = (Status(), Followed(self))
        self.last[1][0] = new
        self.last = self.word._last = new

    def begin(self, ahead: int) -> None:
        """Be so far ahead of the hint that somebody else has found."""
        hint = self.last = (Status(), Followed(self))
        for _ in range(ahead):
            self.change()
        self.word._last = hint


class Followed(dict[int, Link]):
    """Where one who walks looks for what came next."""

    def __init__(self, race: Race) -> None:
        super().__init__()
        self._race = race

    def get(self, key: int, default: Any = None) -> Any:
        self._race.change()
        return super().get(key, default)


@pytest.mark.parametrize("walk", [lambda word: word.value, lambda word: word.change(settled)])
def test_who_walks_catches_up_with_one_that_is_as_fast(walk: Callable[[Word], Status]) -> None:
    """
    1. A thread has a hint that is some changes old, and follows the chain from there.
    2. For each step that it takes another one changes the word once more.
    """
    word = Word()
    race = Race(word)
    race.begin(10)
    assert walk(word) is race.last[0]


def test_what_is_counted_and_not_shown_yet_has_not_happened() -> None:
    word = Word()
    first = word.value
    word._last = (first, Counted())
    assert word._last[1]
    assert word.value is first
    assert not word.is_quiet()
    assert word.change(settled) is first
    freeze = Freeze(Freezer("words")._registry, Asked("freeze"))
    asked = word.ask(Status((freeze,)))
    assert asked.freezes == (freeze,)
    assert word.value is asked


def test_the_end_of_a_region_drops_what_is_done_and_the_next_need_not_look() -> None:
    freezer = Freezer("words")
    with puppet(freezer) as thread:
        region = freezer.blocking()
        thread.do(region.__enter__)
        freezer.freeze(timeout=WAIT).thaw()
        word = thread.record.parking.word
        assert word._last[0].freezes
        thread.do(region.__exit__, None, None, None)
        assert not word._last[0].freezes


def test_a_change_that_changes_nothing_mends_the_hint() -> None:
    """An exception, or a thread that was slow, has left it behind: whoever asks whether anything is
    asked would take the long way for ever."""
    word = Word()
    freeze = Freeze(Freezer("words")._registry, Asked("freeze"))
    word.ask(Status((freeze,)))
    behind = word._last
    freeze.done = True
    word.change(settled)
    assert word.is_quiet()
    word._last = behind
    assert not word.is_quiet()
    assert word.change(settled) is word.value
    assert word.is_quiet()
