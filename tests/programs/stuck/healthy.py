"""healthy: a thread at a safepoint, one in a region, one in a freezable wait."""

import time

import stage

from freezethreads import sync


def nap() -> None:
    with stage.freezer.blocking("nap"):
        time.sleep(3600)


stage.start(stage.pass_safepoints, name="walker")
stage.start(nap, name="sleeper")
stage.start(sync.Queue().get, name="consumer")
stage.wait_to_end()
