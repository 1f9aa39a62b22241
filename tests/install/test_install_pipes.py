"""The file objects of `subprocess`: where nobody is frozen they are what they are without us."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import freezethreads
from freezethreads import Freezer, Installation
from freezethreads._install import _pipes
from helpers import WAIT, start

SAYS = [sys.executable, "-c", "print('ab'); print('cd' * 100_000)"]
SAID = b"ab\n" + b"cd" * 100_000 + b"\n"


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture
def installation(freezer: Freezer) -> Iterator[Installation]:
    with freezethreads.install(freezer) as installation:
        installation.enrol()
        yield installation


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("size", [-1, 0, 7, 100_000])
def test_all_of_it_arrives(size: int) -> None:
    with subprocess.Popen(SAYS, stdout=subprocess.PIPE, bufsize=size) as process:
        assert process.stdout is not None
        assert process.stdout.readline() + process.stdout.read() == SAID
    assert subprocess.check_output(SAYS, bufsize=size) == SAID
    assert subprocess.run(SAYS, capture_output=True, text=True, check=True).stdout == SAID.decode()


def test_it_shows_what_the_original_shows(installation: Installation) -> None:
    def seen() -> list[object]:
        with subprocess.Popen(SAYS, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            raw: Any = process.stdout.raw  # type: ignore[attr-defined]
            read, written = type(raw), process.stdin.raw  # type: ignore[attr-defined]
            process.communicate()
            with pytest.raises(ValueError, match="closed file"):
                raw.read()
            kinds = [type(process.stdout), type(process.stdin), type(written)]
            return [*kinds, read.__name__, read.__module__, read.__qualname__, raw.mode]

    ours = seen()
    installation.uninstall()
    assert ours == seen()


def test_it_warns_as_the_original_warns(installation: Installation) -> None:
    def warned() -> list[tuple[str, type[Warning], str]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with subprocess.Popen(SAYS, stdout=subprocess.PIPE, bufsize=1) as process:
                process.communicate()
        return [(str(one.message), one.category, one.filename) for one in caught]

    ours = warned()
    installation.uninstall()
    assert ours == warned()
    assert [kind for _, kind, _ in ours] == [RuntimeWarning]


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("size", [-1, 0])
def test_who_always_finds_something_there_stops(freezer: Freezer, size: int) -> None:
    over = False
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE, bufsize=size) as process:

        def take() -> None:
            while not over:
                assert process.stdout is not None
                process.stdout.read(2)

        reader = start(take)
        try:
            for _ in range(10):
                with freezer.freeze(timeout=WAIT) as world:
                    assert [info.name for info in world.threads] == [reader.name]
        finally:
            over = True
            reader.finish()
            process.kill()


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("size", [None, 3])
def test_a_pipe_that_never_waits_is_no_place_to_stop_at(
    monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    monkeypatch.delattr(_pipes, "Waiting")
    with subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        assert process.stdout.read(*[] if size is None else [size]) is None
        process.communicate()


def test_after_the_end_it_is_read_as_ever(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a thread that registers by itself, and what somebody has kept makes no more."""
    module: Any = vars(subprocess)["io"]
    with subprocess.Popen(SAYS, stdout=subprocess.PIPE) as process:
        installation.uninstall()
        monkeypatch.delattr(_pipes, "Waiting")
        assert process.stdout is not None
        with Freezer("another").register():
            assert process.stdout.read() == SAID
        with module.open(os.dup(process.stdout.fileno()), "rb") as file:
            assert type(file.raw) is io.FileIO


@pytest.mark.usefixtures("installation")
def test_what_is_no_pipe_to_read_from_is_opened_as_ever(tmp_path: Any) -> None:
    module: Any = vars(subprocess)["io"]
    (tmp_path / "file").write_text("xy")
    with module.open(tmp_path / "file", encoding="utf-8") as file:
        assert file.read() == "xy"
    with pytest.raises(FileNotFoundError):
        module.open(tmp_path / "nowhere", "rb")
    with open(tmp_path / "file", "rb") as file:
        module.open(file.fileno(), "rb", closefd=False).close()
        assert file.read() == b"xy"
