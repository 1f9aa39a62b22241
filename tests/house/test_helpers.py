"""The rules of `conftest.py` and the helpers: they have to fail the tests that they are to fail."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from helpers import ROOT, run_python, start, wait_for

HARMLESS = """
import _thread, threading
import pytest
from helpers import start

def test_finished():
    assert start(int, "5").finish() == 5

def test_on_its_way_out(request):
    go = threading.Event()
    start(go.wait)
    request.addfinalizer(go.set)

def test_raised():
    with pytest.raises(ZeroDivisionError):
        start(divmod, 1, 0).finish()

def test_raw_thread_that_is_gone():
    seen = threading.Event()
    _thread.start_new_thread(lambda: (threading.current_thread(), seen.set()), ())
    assert seen.wait(10)
"""

HARMFUL = """
import threading, warnings
from helpers import start

def test_left():
    start(threading.Event().wait, 30.0, name="left behind")

def test_unseen():
    start(divmod, 1, 0, name="unseen").join()

def test_warned():
    warnings.warn("old", DeprecationWarning)
"""


INTERRUPTED = """
import signal, subprocess, sys

def test_an_interrupt_arrives_in_a_child():
    child = [sys.executable, "-c", "import signal; signal.raise_signal(signal.SIGINT)"]
    assert subprocess.run(child, stderr=subprocess.DEVNULL).returncode in (-2, 130)
"""

SUITES = {"interrupted": INTERRUPTED, "good": HARMLESS, "bad": HARMFUL}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of these tests under the project's own rules.

    In one process, whose start takes most of the time, and which has been started as a shell does
    that in the background.
    """
    folder = tmp_path_factory.mktemp("suites")
    support = ("tests/support/helpers.py", "tests/support/machine.py")
    for name in ("tests/conftest.py", *support, "setup.cfg"):
        shutil.copy(ROOT / name, folder)
    for name, text in SUITES.items():
        (folder / f"test_{name}.py").write_text(text)
    files = [f"test_{name}.py" for name in SUITES]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *files]
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=50, check=False
        )
    finally:
        signal.signal(signal.SIGINT, previous)
    return result.stdout + result.stderr


def outcomes(output: str, suite: str) -> list[str]:
    """How the tests of one of them came out, as the last lines say."""
    return sorted(re.findall(rf"^([A-Z]+) test_{suite}\.py::", output, re.MULTILINE))


def test_good_tests_pass(output: str) -> None:
    assert outcomes(output, "good") == ["PASSED"] * 4, output


def test_bad_tests_fail(output: str) -> None:
    assert outcomes(output, "bad") == ["ERROR", "ERROR", "FAILED", "PASSED", "PASSED"], output
    for reason in ("left behind", "unseen failed unseen", "DeprecationWarning: old"):
        assert reason in output


def test_in_the_background_of_a_shell_interrupts_arrive(output: str) -> None:
    """Where whoever starts the tests has ignored them."""
    assert outcomes(output, "interrupted") == ["PASSED"], output


def test_finish_tells_where_the_thread_is() -> None:
    go_on = threading.Event()
    worker = start(wait_for, go_on, name="stuck")
    try:
        with pytest.raises(AssertionError, match=r"stuck is still running:(.|\n)*in wait_for"):
            worker.finish(timeout=0)
    finally:
        go_on.set()
    worker.finish()


def test_run_python_shows_what_failed() -> None:
    with pytest.raises(AssertionError, match=r"status 3(.|\n)*said this"):
        run_python("print('said this'); raise SystemExit(3)")


def test_run_python_passes_things_on() -> None:
    code = "import os, sys, freezethreads; print(sys.argv[1:], os.environ['EXTRA'])"
    assert run_python(code, "a", "b", env={"EXTRA": "c"}).stdout == "['a', 'b'] c\n"
    result = run_python("import warnings; warnings.warn('w')", check=False)
    assert result.returncode == 1
    assert "UserWarning: w" in result.stderr
