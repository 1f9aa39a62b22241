"""Dataclasses as JSON and back: what may be missing, and what is refused, and where."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from freezethreads import Site
from freezethreads._ground.jsonable import Unfit, from_json, to_json


@dataclass(frozen=True)
class Inner:
    word: Literal["one", "two"]
    share: float | None

    def __post_init__(self) -> None:
        if self.share == 13:
            raise Unfit("is unlucky")


@dataclass(frozen=True)
class Outer:
    name: str
    count: int
    sure: bool
    inner: Inner
    many: tuple[Inner, ...]
    pair: tuple[str, int | None]
    more: tuple[int, ...] | None = None
    names: tuple[str, ...] = ()


ONE = Outer("x", 3, True, Inner("one", None), (Inner("two", 0.5),), ("y", None))
SENT = {
    "name": "x",
    "count": 3,
    "sure": True,
    "inner": {"word": "one", "share": None},
    "many": [{"word": "two", "share": 0.5}],
    "pair": ["y", None],
    "names": [],
}


def test_there_and_back() -> None:
    assert json.loads(json.dumps(to_json(ONE))) == SENT
    assert from_json(Outer, SENT) == ONE


def test_what_may_be_missing_comes_back_when_it_is_there() -> None:
    assert from_json(Outer, {**SENT, "more": [1, 2]}).more == (1, 2)
    assert to_json(from_json(Outer, {**SENT, "more": [1, 2]}))["more"] == [1, 2]


def test_what_an_older_version_does_not_say_is_as_if_it_were_nothing() -> None:
    older = {name: value for name, value in SENT.items() if name != "names"}
    assert from_json(Outer, older) == ONE
    with pytest.raises(Unfit, match="has no 'count'"):
        from_json(Outer, {name: value for name, value in SENT.items() if name != "count"})


def test_what_a_later_version_adds_is_ignored() -> None:
    later = {**SENT, "new": [], "inner": {"word": "three", "share": 1, "new": {}}}
    assert to_json(from_json(Outer, later).inner) == {"word": "three", "share": 1}


def test_a_public_class_is_read_by_the_names_where_it_was_made() -> None:
    """`Site` says that it is from `freezethreads`, which knows nothing of the type of its kind."""
    site = Site("poll", "wait", "f.py", 7, "f", 2, False)
    assert from_json(Site, to_json(site)) == site


REFUSED: dict[str, tuple[Any, str]] = {
    "no object": ([], "it is no object"),
    "missing": ({key: SENT[key] for key in SENT if key != "sure"}, "it has no 'sure'"),
    "a flag that counts": ({**SENT, "sure": 1}, "sure is neither true nor false"),
    "a count that is a flag": ({**SENT, "count": True}, "count is no whole number"),
    "a count too wide": ({**SENT, "count": 2**64}, "count is no whole number"),
    "a string": ({**SENT, "name": None}, "name is no string"),
    "a word": ({**SENT, "inner": {"word": 1, "share": 1}}, "inner.word is no string"),
    "a number too large": (
        {**SENT, "many": [{"word": "one", "share": 1e300}]},
        "many.0.share is no number",
    ),
    "no list": ({**SENT, "many": {}}, "many is no list"),
    "a row too long": ({**SENT, "pair": ["y", 1, 2]}, "pair is no list of 2"),
    "in a row": ({**SENT, "pair": ["y", "z"]}, "pair.1 is no whole number"),
    "by the class itself": (
        {**SENT, "many": [{"word": "one", "share": 13}]},
        "many.0 is unlucky",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_says_what_is_wrong_and_where(name: str) -> None:
    value, problem = REFUSED[name]
    with pytest.raises(Unfit) as refused:
        from_json(Outer, value)
    assert str(refused.value) == problem
