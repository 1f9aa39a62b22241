"""unregistered: healthy, but for a thread that no freeze covers and that goes on."""

import threading

import stage


def count() -> None:
    total = 0
    while True:  # here
        total += 1


threading.Thread(target=count, name="culprit", daemon=True).start()
stage.wait_to_end()
