"""world: a thread that has stopped all others, and waits in a blocking region meanwhile."""

import threading
import time

import stage

stopped = threading.Event()


def work() -> None:
    with stage.freezer.freeze(reason="backup"), stage.freezer.blocking("disk"):
        stopped.set()
        time.sleep(3600)  # here


stage.start(work)
stopped.wait()
stage.wait_to_end()
