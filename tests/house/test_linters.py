"""Where tools/test has the linters, which are not to be had for every Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

import _check
from _pythons import Interpreter

GIL = Interpreter("/opt/python3.12", "cpython", "3.12.9", "3.12", False, [])


@pytest.mark.parametrize("options", [[], ["--all"]])
def test_linters_take_a_python_with_a_gil(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: Sequence[str]
) -> None:
    free = replace(GIL, free_threaded=True)
    made: list[tuple[Interpreter, Sequence[str]]] = []

    @contextmanager
    def note(interpreter: Interpreter, extras: Sequence[str]) -> Iterator[str]:
        made.append((interpreter, extras))
        yield "its python"

    for name in ("begin_once", "begin_linters", "try_all"):
        monkeypatch.setattr(_check, name, lambda *_: [])
    monkeypatch.setattr(_check, "ready", note)
    for found in ([free], [free, GIL]):
        _check.run_all(found, _check.parse(options)[0])
    assert [one for one, _ in made] == [free, GIL]
    assert ["lint" in extras for _, extras in made] == [False, True]
    assert ["docs" in extras for _, extras in made] == [bool(options)] * 2
    assert capsys.readouterr().out.count("mypy, pyright and ruff were not run") == 1
