"""`input()`, in a thread, from a terminal that is slow."""

from __future__ import annotations

import os
import sys
import threading
import time

reader, writer = os.pipe()
sys.stdin = open(reader)  # noqa: SIM115 - it is that of the process from here on
answers: list[str] = []


def ask() -> None:
    while (answer := input()) != "quit":
        answers.append(answer)


thread = threading.Thread(target=ask)
thread.start()
for number in range(150):
    os.write(writer, f"answer {number}\n".encode())
    time.sleep(0.005)
os.write(writer, b"quit\n")
thread.join()
os.close(writer)
print("answers", len(answers), "the last one:", answers[-1])
