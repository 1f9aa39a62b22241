"""The clock of time-outs and leases, which stands while a picture of the whole process is taken.

A process that is restored from a picture (of a virtual machine, or by CRIU) may find the monotonic
clock anywhere: hours later, or earlier than before. What is right for a lease or a time-out that
was running? It was given for the program's own time: so long as it runs, a controller may stop
it, or a thread may wait. Between the picture and the restoration nothing ran that it could have
been waiting for. So that time does not count: whoever had five seconds left has five seconds left.
If it counted, all leases and time-outs would run out at once, before the program has done a step.

Nobody can tell how far the clock has jumped, as the picture is taken somewhere between the last
step before it and the first one after it. So the whole time between these is left out. It is real
time as well, in which a program that is not restored waits a little longer: a moment.

The clock is stopped and started by a hook. So it starts again exactly once, however the freeze
ends, before any thread runs, and before the other hooks are undone (see `hooks`). Until it starts
no lease runs out that began before; that of the picture's own freeze would be for nothing.
"""

from __future__ import annotations

from freezethreads._controller.fork import controllers
from freezethreads._ground import deadline
from freezethreads._ground.uninterruptible import covered

stop_clock = deadline.stop_clock


@covered
def start_clock(why: object) -> None:
    """Let what `stop_clock(why)` has stopped go on. From any thread; may be repeated."""
    try:
        _start(why)
    except BaseException:
        _start(why)
        raise


def _start(why: object) -> None:
    """Everybody who waits looks anew: where the clock has jumped backwards, it would for too long.

    But for threads that are not registered, in a wait of `freezethreads.sync`: of these nobody
    knows.
    """
    deadline.start_clock(why)
    for controller in controllers:
        controller.ring_all()
