"""waiting: asleep outside a blocking region."""

import time

import stage


def work() -> None:
    while True:
        time.sleep(3600)  # here
        stage.freezer.safepoint()


stage.start(work)
stage.wait_to_end()
