"""computing: in a loop so short that every look finds it at the same instruction."""

import stage

over: list[int] = []


def work() -> None:
    stage.freezer.safepoint("before the loop")
    while not over:  # here
        pass


stage.start(work)
stage.wait_to_end()
