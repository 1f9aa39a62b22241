"""Threads that live for a moment, and pools that do."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

total, lock = 0, threading.Lock()


def add(number: int) -> None:
    global total
    with lock:
        total += number


for _ in range(30):
    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(20)))
print("total", total)
