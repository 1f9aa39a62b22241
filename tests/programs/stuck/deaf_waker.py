"""waker: it is called, and does not end the wait."""

import select
import socket

import stage

ours, theirs = socket.socketpair()


def work() -> None:
    while True:
        select.select([ours], [], [])  # here
        stage.freezer.safepoint()


stage.start(work, waker=lambda: None)
stage.wait_to_end()
