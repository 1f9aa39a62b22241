"""A lock that is nearly always free: who loops over it never has to wait."""

from __future__ import annotations

import threading

TURNS = 150_000
lock, count = threading.Lock(), 0


def add() -> None:
    global count
    for _ in range(TURNS):
        with lock:
            count += 1


threads = [threading.Thread(target=add) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("counted", count)
