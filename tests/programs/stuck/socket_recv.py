"""waiting: for bytes that do not come, in a system call."""

import socket

import stage

ours, theirs = socket.socketpair()


def work() -> None:
    while data := ours.recv(1024):  # here
        print(data)
        stage.freezer.safepoint()


stage.start(work)
stage.wait_to_end()
