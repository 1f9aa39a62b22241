"""``freezethreads run --guard-forks``: each fork of the program happens while no lock is held."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard_helpers import HAS_ENGINE
from running import run

PROGRAM = """
import multiprocessing, os, sys, threading, time

lock = threading.Lock()

def hold():
    while True:
        with lock:
            time.sleep(0.001)
        time.sleep(0.001)

def use():
    sys.exit(not lock.acquire(timeout=0))

def main():
    threading.Thread(target=hold, daemon=True).start()
    for _ in range(10):
        process = multiprocessing.get_context("fork").Process(target=use)
        process.start()
        process.join()
        assert process.exitcode == 0
    started = multiprocessing.get_context("spawn").Process(target=report)
    started.start()
    started.join()
    report()

def report():
    print(type(os.fork).__name__, flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, where the program is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text(PROGRAM)
    return tmp_path


@pytest.mark.parametrize("options", [(), ("--unpatched",)], ids=["patched", "unpatched"])
def test_forks_are_guarded_here_and_in_children(options: tuple[str, ...]) -> None:
    if options and not HAS_ENGINE:
        pytest.skip("needs sys.monitoring")
    assert run("--guard-forks", *options, "script.py") == "function\nfunction\n"


def test_they_are_not_without_it(folder: Path) -> None:
    (folder / "script.py").write_text("import os\nprint(type(os.fork).__name__)\n")
    assert run("script.py") == "builtin_function_or_method\n"
