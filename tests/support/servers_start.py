"""What the process of a server begins with."""

from __future__ import annotations

import os
import sys

import freezethreads

INSTALL = "SERVERS_INSTALL"
"""The variable of the environment that says to install; without it, `freezethreads run` has."""

THREADS = 6
"""For the requests, in the servers that are told how many."""


def prepare() -> None:
    """Make this process freezable, unless it is: by its main thread, which is enrolled as well.

    Before the application and the server's own modules are imported.
    """
    if os.environ.get(INSTALL):
        freezethreads.install().enrol()
    # With a GIL, threads that compute take turns in the middle of things this often.
    sys.setswitchinterval(0.0001)


def announce(port: int) -> None:
    """Tell the test where the server is."""
    print(port, flush=True)
