"""waiting: for the end of a process, deep in the standard library."""

import subprocess

import stage

child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)


def work() -> None:
    child.wait()  # here


stage.start(work)
stage.wait_to_end()
child.communicate()
