# /// script
# dependencies = ["apscheduler<4"]
# ///
"""APScheduler: jobs by the clock, in its pool."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler

JOBS = 60
done: list[int] = []
ready = threading.Semaphore(0)


def job(number: int) -> None:
    done.append(number)
    ready.release()


scheduler = BackgroundScheduler()
scheduler.start()
for number in range(JOBS):
    when = datetime.now() + timedelta(milliseconds=10 * number)
    scheduler.add_job(job, "date", [number], run_date=when, misfire_grace_time=None)
for _ in range(JOBS):
    ready.acquire()
scheduler.shutdown()
print("jobs", len(done), "sum", sum(done))
