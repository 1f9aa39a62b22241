# /// script
# dependencies = ["celery"]
# ///
"""Celery: its pool of threads, on the broker in memory."""

from __future__ import annotations

import logging

from celery import Celery
from celery.contrib.testing.worker import start_worker

app = Celery("shop", broker="memory://", backend="cache+memory://")
logging.disable(logging.CRITICAL)


@app.task
def total(number: int) -> int:
    return sum(range(number))


with start_worker(
    app, pool="threads", concurrency=3, perform_ping_check=False, shutdown_timeout=60
):
    results = [total.delay(number) for number in range(60)]
    print("results", len(results), "sum", sum(result.get(timeout=60) for result in results))
