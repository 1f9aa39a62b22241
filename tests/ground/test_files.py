"""How paths are shortened for people, and what is left alone."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from freezethreads._ground.files import PACKAGE, relative, short_path, short_paths


def test_a_path_is_from_where_its_reader_looks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    venv = f"{tmp_path}/.venv/lib/python3.13"
    expected = {
        f"{tmp_path}/jobs/work.py": "jobs/work.py",
        f"{venv}/site-packages/waitress/task.py": "waitress/task.py",
        "/usr/lib/python3/dist-packages/six.py": "six.py",
        f"{venv}t/http/server.py": "http/server.py",
        threading.__file__: "threading.py",
        f"{PACKAGE}/demo/_work.py": "freezethreads/demo/_work.py",
        f"{tmp_path}x/work.py": f"{tmp_path}x/work.py",
        "/elsewhere/work.py": "/elsewhere/work.py",
        "work.py": "work.py",
        "<string>": "<string>",
    }
    assert {path: short_path(path) for path in expected} == expected


def test_what_is_to_be_opened_is_cut_at_the_working_directory_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert relative(f"{tmp_path}/lib/python3.13/x.py") == "lib/python3.13/x.py"
    assert relative("/usr/lib/python3.13/x.py") == "/usr/lib/python3.13/x.py"
    assert relative(str(tmp_path)) == str(tmp_path)


def test_files_in_a_text_are_those_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    text = f"one at {folder}/work.py:3 in work, two (/x/site-packages/a/b.py:7), {folder}/log"
    assert short_paths(text) == f"one at work.py:3 in work, two (a/b.py:7), {folder}/log"
    assert short_paths(f"wait '{folder}/work.py:3'") == f"wait '{folder}/work.py:3'"
    assert short_paths("http://x/site-packages/y:80") == "http://x/site-packages/y:80"


def test_a_working_directory_that_is_gone_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert short_path(f"{gone}/work.py") == f"{gone}/work.py"
    assert short_paths("/usr/lib/python3.13/x.py:1") == "x.py:1"
    os.chdir(tmp_path)
