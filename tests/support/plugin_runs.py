"""What the tests of the plugin of pytest share: runs of pytest, with suites of their own."""

from __future__ import annotations

import pytest

INI = """
[pytest]
filterwarnings = error
freezethreads_timeout = 0.2
addopts = -p no:cacheprovider --assert=plain
"""

# What the suites import. `Threads` pass safepoints until the block is left.
APP = """
import threading
import time
import freezethreads

def start(work, name="worker", freezer=freezethreads.default_freezer):
    def run():
        with freezer.register(name):
            registered.set()
            work()
    registered = threading.Event()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert registered.wait(10)
    return thread

class Threads:
    def __init__(self, number, freezer=freezethreads.default_freezer):
        self.over = threading.Event()
        self.rounds = 0
        self.freezer = freezer
        self.threads = [start(self.work, freezer=freezer) for _ in range(number)]
    def work(self):
        while not self.over.is_set():
            time.sleep(0.001)
            self.rounds += 1
            self.freezer.safepoint()
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive(), "it stands frozen"

def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
"""


def run(pytester: pytest.Pytester, suite: str, *arguments: str, **files: str) -> pytest.RunResult:
    """Run a suite in a process of its own, with its other files beside it.

    Other plugins take their time, so only ours is loaded.
    """
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(app=APP, test_it=suite, **files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        ours = ("-p", "freezethreads.testing.pytest_plugin")
        return pytester.runpytest_subprocess(*ours, *arguments, timeout=50)
