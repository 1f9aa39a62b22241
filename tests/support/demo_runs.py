"""What the tests of the demo share: sources to index, and the demo run here or in a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from shutil import copytree, ignore_patterns
from typing import Any

from freezethreads.demo import Demo, Event, Settings, View, list_documents, standard_library
from helpers import ROOT

LONG = 40.0
"""Seconds that a whole run may last. On a busy machine many threads take their time."""
PACKAGES = ("asyncio", "concurrent", "email", "http", "importlib", "json", "unittest", "xml")
FEW = ("email", "http")


def copy_sources(folder: Path, packages: Sequence[str] = PACKAGES) -> Path:
    """Copy some of the standard library, and return where it is: by default enough for a second's
    work, and `FEW` for a quarter of that."""
    for name in packages:
        source = standard_library() / name
        copytree(source, folder / name, ignore=ignore_patterns("__pycache__", "test*"))
    (folder / "broken.py").write_bytes(b"def f():\n    return (\n")
    (folder / "mistaken.py").write_bytes(b"# coding: no-such-codec\n")
    (folder / "empty.py").write_bytes(b"")
    return folder


def write_long_sources(folder: Path) -> Path:
    """Write eight documents that take so long that nobody waits for the end; return where they are.

    At nearly every moment a worker is in the middle of one. With short ones a GIL build mostly
    switches threads while they open files, where the index happens to be whole.
    """
    for number in range(8):
        (folder / f"{number}.py").write_text("x = 1\n" * 500_000)
    return folder


class Recording(View):
    """A view that keeps its lines and prints nothing."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []
        self.details: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def detail(self, text: str) -> None:
        self.details.append(text)


def make_demo(
    root: Path,
    out: Path,
    *,
    threads: int = 4,
    every: float = 60.0,
    view: View | None = None,
    events: SimpleQueue[Event] | None = None,
) -> Demo:
    """A demo, which makes no snapshots but the last one unless told how often."""
    settings = Settings(root.resolve(), out, threads, every)
    return Demo(
        settings, list_documents(root.resolve()), view or Recording(), events or SimpleQueue()
    )


@contextmanager
def started_demo(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process ``python -m freezethreads demo``, which does not outlive the block."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "freezethreads", "demo", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run_demo(*arguments: object) -> str:
    """Run the demo in a process; return what it printed. It must succeed and say no more."""
    with started_demo(*arguments) as process:
        stdout, stderr = process.communicate(timeout=LONG)
    assert (process.returncode, stderr) == (0, "")
    return stdout


def run_json(*arguments: object) -> dict[str, Any]:
    """Run the demo with ``--json`` and return what it printed."""
    found: dict[str, Any] = json.loads(run_demo("--json", *arguments))
    return found
