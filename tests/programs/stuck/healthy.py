"""healthy: a thread at a safepoint, one in a region, one in a freezable wait."""

import time

import stage

from freezethreads import sync


def nap() -> None:
    with stage.freezer.blocking("nap"):
        time.sleep(3600)


stage.start(stage.pass_safepoints, name="walker")
stage.start(nap, name="sleeper")
items: sync.Queue[int] = sync.Queue()  # which whoever reaches this module may put one into
stage.start(items.get, name="consumer")
stage.wait_to_end()
