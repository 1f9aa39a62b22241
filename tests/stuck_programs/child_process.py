"""waiting: for the end of a process, deep in the standard library."""

import subprocess
import sys

import stage

child = subprocess.Popen(
    [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
)


def work() -> None:
    child.wait()  # here


stage.start(work)
stage.wait_to_end()
child.communicate()
