"""todo: one that is not done, in a thread that passes safepoints otherwise."""

import threading

import stage

begun, over = threading.Event(), threading.Event()


def task() -> None:
    begun.set()
    over.wait()  # here


thread = stage.start(stage.pass_safepoints)
stage.freezer.todo(thread, task)
begun.wait()
stage.wait_to_end()
