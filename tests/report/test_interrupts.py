"""What somebody is told who interrupts a frozen program."""

from __future__ import annotations

import os

import pytest

from freezethreads import Freezer
from freezethreads._ground.original import OwnThread
from freezethreads._registry.requests import Asked, Freeze
from freezethreads._report.interrupts import tell_interrupted


@pytest.fixture
def outside() -> Freeze:
    """A hold that somebody has asked for through the socket."""
    made: list[Asked] = []
    thread = OwnThread(
        target=lambda: made.append(Asked("hold", reason="\x1b[2J\udc80")), name="control"
    )
    thread.start()
    thread.join()
    return Freeze(Freezer("x")._registry, made[0])


def test_where_nobody_reads_it_nothing_is_said(
    outside: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said in the refrigerator, which would begin again, for ever."""

    def write(descriptor: int, text: bytes) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "write", write)
    tell_interrupted([outside])


def test_what_others_have_chosen_is_escaped(
    outside: Freeze, capfd: pytest.CaptureFixture[str]
) -> None:
    tell_interrupted([outside, outside])
    (told,) = capfd.readouterr().err.splitlines()
    assert told.startswith("freezethreads: interrupted, but <hold by control for ")
    assert told.isprintable()
