"""Threads that start processes and wait for them."""

from __future__ import annotations

import subprocess
import threading

outputs: list[str] = []


def start_some() -> None:
    for number in range(15):
        command = ["sh", "-c", f"sleep 0.02; echo {number}"]
        outputs.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


threads = [threading.Thread(target=start_some) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("outputs", len(outputs), "sum", sum(map(int, outputs)))
