"""join: for the end of a thread that has stopped."""

import threading

import stage

worker = stage.start(stage.pass_safepoints, name="worker")


def gather(thread: threading.Thread) -> None:
    thread.join()  # here


stage.start(lambda: gather(worker))
stage.wait_to_end()
