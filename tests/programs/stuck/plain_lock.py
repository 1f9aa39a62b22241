"""waiting: for a lock of the standard library, which a thread owns that has stopped."""

import threading

import stage

lock = threading.Lock()
owned = threading.Event()


def own() -> None:
    with lock:
        owned.set()
        stage.pass_safepoints()


def want() -> None:
    owned.wait()
    with lock:  # here
        print("never")


stage.start(own, name="owner")
stage.start(want)
stage.wait_to_end()
