"""Lazy imports (PEP 810): of this library, and of a program that is frozen in the middle of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ROOT

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 15), reason="before, CPython had no lazy imports"
)

# The originals have to be those from before, whenever they are used first.
INSTALLED = """
import queue, threading, time
import freezethreads
freezethreads.install()
jobs, done = queue.Queue(), []
def work():
    while (job := jobs.get()) is not None:
        done.append(job)
        time.sleep(0.001)
thread = threading.Thread(target=work)
thread.start()
for number in range(20):
    jobs.put(number)
with freezethreads.freeze(timeout=10):
    pass
jobs.put(None)
thread.join()
print(len(done), freezethreads.sync.Queue.__module__)
"""

SHARED = "import freezethreads, threading; begun, over = threading.Event(), threading.Event()"
SLOW = """
import shared
shared.begun.set()
while not shared.over.wait(0.001):
    shared.freezethreads.safepoint("in an import")
value = 1
"""
MIDDLE = """
import threading
import freezethreads, shared
lazy import slow
lazy import other
def work():
    with freezethreads.register("importer"):
        found.append(slow.value)
found = []
thread = threading.Thread(target=work)
thread.start()
shared.begun.wait()
with freezethreads.freeze(timeout=10) as world:
    print(world.threads[0].site.label, other.value)
shared.over.set()
thread.join()
print(found)
"""


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={"PYTHONPATH": str(ROOT)},
        cwd=folder,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("mode", ["normal", "all"])
def test_the_library_works_where_all_imports_are_lazy(tmp_path: Path, mode: str) -> None:
    out = run(tmp_path, "-X", f"lazy_imports={mode}", "-c", INSTALLED)
    assert out == "20 freezethreads.sync\n"


def test_who_is_frozen_in_a_lazy_import_keeps_nobody_from_another(tmp_path: Path) -> None:
    """It has the lock of the module that it imports, and no other."""
    texts = {"shared": SHARED, "slow": SLOW, "other": "value = 2", "program": MIDDLE}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    assert run(tmp_path, "program.py") == "in an import 2\n[1]\n"
