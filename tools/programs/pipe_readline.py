"""`for line in process.stdout`: a wait in C, in a method of a file object."""

from __future__ import annotations

import subprocess
import sys
import threading

CHILD = """
import time
for number in range(150):
    print(number, flush=True)
    time.sleep(0.005)
"""
totals: list[int] = []


def read() -> None:
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        totals.append(sum(int(line) for line in process.stdout))


threads = [threading.Thread(target=read) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("read", totals)
