"""lock: one of freezethreads.sync, wanted where no wait counts, and owned by who has stopped."""

import threading

import stage

from freezethreads import sync

lock = sync.Lock()
owned = threading.Event()


def own() -> None:
    with lock:
        owned.set()
        stage.pass_safepoints()


def want() -> None:
    owned.wait()
    with stage.freezer.no_freeze():
        lock.acquire()  # here


stage.start(own, name="owner")
stage.start(want)
stage.wait_to_end()
