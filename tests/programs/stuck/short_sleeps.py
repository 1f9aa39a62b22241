"""waiting: asleep for a moment, again and again, which takes a little processor time as well."""

import time

import stage


def work() -> None:
    while True:
        time.sleep(0.005)  # here


stage.start(work)
stage.wait_to_end()
