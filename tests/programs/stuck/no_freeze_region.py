"""no_freeze: a region that takes long, and calls what has safepoints."""

import threading

import stage


def update() -> None:
    with stage.freezer.no_freeze():  # here
        stage.pass_safepoints()


entered = threading.Event()
stage.start(update)
stage.wait_to_end()
