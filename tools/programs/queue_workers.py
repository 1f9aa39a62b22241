"""A producer, a queue, and workers that put what they find into a second one."""

from __future__ import annotations

import queue
import threading

ITEMS, WORKERS = 10_000, 4
tasks: queue.Queue[int | None] = queue.Queue(maxsize=20)
results: queue.SimpleQueue[int] = queue.SimpleQueue()


def work() -> None:
    while (item := tasks.get()) is not None:
        results.put(sum(range(item % 100)))


threads = [threading.Thread(target=work) for _ in range(WORKERS)]
for thread in threads:
    thread.start()
for item in range(ITEMS):
    tasks.put(item)
for _ in threads:
    tasks.put(None)
for thread in threads:
    thread.join()
print("results", results.qsize(), "sum", sum(results.get() for _ in range(ITEMS)))
