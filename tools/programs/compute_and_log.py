"""Threads that compute and log, each record under the lock of its handler."""

from __future__ import annotations

import io
import logging
import threading

stream = io.StringIO()
logging.basicConfig(stream=stream, level=logging.INFO, format="%(message)s")


def compute(index: int) -> None:
    for turn in range(1500):
        logging.info("%d %d %d", index, turn, sum(number * number for number in range(200)))


threads = [threading.Thread(target=compute, args=(index,)) for index in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
lines = stream.getvalue().splitlines()
print(
    "records",
    len(lines),
    "different",
    len(set(lines)),
    "words",
    {len(line.split()) for line in lines},
)
