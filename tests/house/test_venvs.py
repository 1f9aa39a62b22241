"""How the scripts in tools/ set their environments up. No environment is really made here."""

from __future__ import annotations

import fcntl
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

import _venv
from _pythons import Interpreter
from helpers import WAIT, start, wait_for

FAKE = Interpreter("/opt/python3.12", "cpython", "3.12.9", "3.12", False, [])


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A checkout in `tmp_path`, and the steps of set-ups there, which are noted and not done."""
    noted: list[str] = []

    def note(command: Sequence[str], locks: Sequence[object]) -> None:
        if "venv" in command:
            Path(command[-1]).mkdir(exist_ok=True)
        noted.append(" ".join(command).partition(" -m ")[2].partition(str(tmp_path))[0].strip())

    monkeypatch.setattr(_venv, "ROOT", tmp_path)
    monkeypatch.setattr(_venv, "VENVS", tmp_path / ".venvs")
    monkeypatch.setattr(_venv, "_run_silently", note)
    (tmp_path / "setup.cfg").touch()
    (tmp_path / "pyproject.toml").touch()
    return noted


INSTALL = "pip install --prefer-binary --config-settings editable_mode=compat --editable"
ALL_STEPS = ["venv --clear", INSTALL]


def set_up(*extras: str, interpreter: Interpreter = FAKE) -> None:
    with _venv.prepared(interpreter, extras) as environment:
        assert environment.is_ready()


def test_set_up_is_done_once(steps: list[str]) -> None:
    set_up("test")
    set_up("test")
    assert steps == ALL_STEPS


@pytest.mark.parametrize("name", ["setup.cfg", "pyproject.toml"])
def test_set_up_is_renewed_after_a_change(steps: list[str], tmp_path: Path, name: str) -> None:
    set_up("test")
    (tmp_path / name).write_text("# changed")
    set_up("test")
    assert steps == ALL_STEPS * 2


def test_scripts_do_not_undo_each_others_extras(steps: list[str]) -> None:
    for extra in ("demo", "test", "demo", "test"):
        set_up(extra)
    assert steps == ALL_STEPS * 2


# What setup.cfg holds afterwards: what it held when a set-up was last complete, or interrupted.
@pytest.mark.parametrize("text", ["", "# changed"])
def test_interrupted_set_up_is_done_again(
    steps: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    set_up("test")
    (tmp_path / "setup.cfg").write_text("# changed")
    with monkeypatch.context() as patch:
        patch.setattr(_venv.Environment, "_install", raise_interrupt)
        with pytest.raises(KeyboardInterrupt):
            set_up("test")
    (tmp_path / "setup.cfg").write_text(text)
    steps.clear()
    set_up("test")
    assert steps == ALL_STEPS


def raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_set_ups_at_once(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two scripts find nothing there.

    1. The first starts to set up, and stands in the middle of it.
    2. The second comes, and finds the lock taken.
    3. The first goes on to the end; the second has nothing left to do.
    """
    inside, refused, go_on = threading.Event(), threading.Event(), threading.Event()
    create, flock = _venv.Environment._create, fcntl.flock

    def create_slowly(environment: _venv.Environment) -> None:
        inside.set()
        wait_for(go_on)
        create(environment)

    def flock_observed(lock: IO[str], kind: int) -> None:
        try:
            flock(lock, kind)
        except BlockingIOError:
            refused.set()
            raise

    monkeypatch.setattr(_venv.Environment, "_create", create_slowly)
    monkeypatch.setattr(fcntl, "flock", flock_observed)
    first = start(set_up, "test")
    wait_for(inside)
    second = start(set_up, "test")
    wait_for(refused)
    go_on.set()
    first.finish()
    second.finish()
    assert steps == ALL_STEPS


def test_set_ups_that_saw_the_same(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two scripts look before either has begun.

    1. Both find that nothing is there, each with the shared lock.
    2. One gets the exclusive lock, and sets up.
    3. The other gets it afterwards, looks again, and has nothing left to do.
    """
    both = threading.Barrier(2)
    is_ready = _venv.Environment.is_ready
    looked: set[_venv.Environment] = set()

    def is_ready_to_both(environment: _venv.Environment) -> bool:
        ready = is_ready(environment)
        if environment not in looked:
            looked.add(environment)
            both.wait(WAIT)
        return ready

    monkeypatch.setattr(_venv.Environment, "is_ready", is_ready_to_both)
    first, second = start(set_up, "test"), start(set_up, "test")
    first.finish()
    second.finish()
    assert steps == ALL_STEPS


def test_a_python_that_makes_no_environment(steps: list[str]) -> None:
    with pytest.raises(_venv.SetUpError, match=r"ensurepip.*apt install python3\.12-venv"):
        set_up("test", interpreter=replace(FAKE, missing=["ensurepip"]))
    assert steps == []


def test_a_step_is_silent_unless_it_fails(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    code = "import os, sys; print('noise', os.environ.get('PYTHONPATH')); sys.exit({})"
    _venv._run_silently([sys.executable, "-c", code.format(0)], [])
    assert capfd.readouterr() == ("", "")
    with pytest.raises(_venv.SetUpError, match="status 3"):
        _venv._run_silently([sys.executable, "-c", code.format(3)], [])
    assert "noise None" in capfd.readouterr().err
