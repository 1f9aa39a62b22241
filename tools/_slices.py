"""Short slices of the processors' time, without which a free-threaded CPython 3.13 starves.

A thread that waits for a lock there first gives its processor away forty times (`MAX_SPIN_COUNT` in
CPython's lock.c, 0 where there is a GIL). So does one that comes to a lock of an object which it
has itself: when it flushes a file, makes a class with a metaclass, or is the first to call a dict's
`get` that another thread has made. That costs nothing while nobody else wants the processor, and
otherwise up to a slice each time.

`import freezethreads` gives it away ten thousand times. With two others on the same processor that
took 34 and 13 seconds on Linux 6.18, whose slices are 1.4 ms on two processors; with slices of
0.1 ms it took 5 and 3, and with a GIL 1.1 and 1.4.

A slice says how long a turn is, and not how many there are: nobody gets more or less of the time.
"""

from __future__ import annotations

import ctypes
import os
import platform

SHORTEST = 100_000
"""Nanoseconds. Linux makes no shorter ones."""

SYSTEM_CALLS = {"x86_64": 314, "aarch64": 274}
"""The number of sched_setattr(2), which few C libraries have a function for."""


class Attributes(ctypes.Structure):
    """The first `struct sched_attr`."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def shorten_slices() -> None:
    """Ask for the shortest slices, for the calling thread and all that it starts from now on.

    Linux gives them from 6.12 on. Anywhere else this changes nothing.
    """
    system_call = SYSTEM_CALLS.get(platform.machine())
    if platform.system() != "Linux" or system_call is None:
        return
    wanted = Attributes(
        size=ctypes.sizeof(Attributes),
        policy=os.sched_getscheduler(0),
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        runtime=SHORTEST,
    )
    ctypes.CDLL(None).syscall(system_call, 0, ctypes.byref(wanted), 0)
