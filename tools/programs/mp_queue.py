"""Two threads in `get()` of one multiprocessing.Queue: one has its readers' lock meanwhile."""

from __future__ import annotations

import multiprocessing
import threading
import time

items: multiprocessing.Queue[int | None] = multiprocessing.Queue()
got: list[int] = []


def get() -> None:
    while (item := items.get()) is not None:
        got.append(item)


threads = [threading.Thread(target=get) for _ in range(2)]
for thread in threads:
    thread.start()
for number in range(150):
    items.put(number)
    time.sleep(0.005)
for _ in threads:
    items.put(None)
for thread in threads:
    thread.join()
items.close()
items.join_thread()
print("got", len(got), "sum", sum(got))
