"""world: a thread that has stopped all others, and does not let them go."""

import threading
import time

import stage

stopped = threading.Event()


def work() -> None:
    with stage.freezer.freeze(reason="backup"):
        stopped.set()
        time.sleep(3600)  # here


stage.start(work)
stopped.wait()
stage.wait_to_end()
