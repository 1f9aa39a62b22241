"""ended: one that an exception has ended, while its program looks alive."""

import threading

import stage


def work() -> None:
    raise LookupError("no such row")  # here


threading.excepthook = lambda arguments: None  # the program writes it where nobody reads it
with stage.freezer.serve():
    stage.start(stage.pass_safepoints, name="another")
    stage.start(work).join()
    stage.wait_to_end()
