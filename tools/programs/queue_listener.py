"""logging's QueueListener: a thread that writes what others log."""

from __future__ import annotations

import io
import logging
import logging.handlers
import queue
import threading

records: queue.SimpleQueue[object] = queue.SimpleQueue()
stream = io.StringIO()
listener = logging.handlers.QueueListener(records, logging.StreamHandler(stream))
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(logging.handlers.QueueHandler(records))
listener.start()


def log(index: int) -> None:
    for number in range(2000):
        logger.info("%d %d", index, number)


threads = [threading.Thread(target=log, args=(index,)) for index in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
listener.stop()
lines = stream.getvalue().splitlines()
print("written", len(lines), "different", len(set(lines)))
