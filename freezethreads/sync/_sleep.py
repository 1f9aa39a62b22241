"""`sleep`: the standard one, during which a thread counts as stopped and can make its todos."""

from __future__ import annotations

from freezethreads._ground import original
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import TIMEOUT_MAX
from freezethreads._ground.uninterruptible import need_depth
from freezethreads._refrigerator.waits import Waiter, Waiting, plumbing

plumbing.add(__file__)


def sleep(seconds: float, /) -> None:
    """`time.sleep`, freezably. From any thread. Its errors are those of `time.sleep`."""
    if isinstance(seconds, (int, float)) and 0 < seconds <= TIMEOUT_MAX:
        need_depth()
        Waiter("sleep").wait(Deadline(seconds))
    else:
        with Waiting("sleep", fork_safe=True):
            original.sleep(seconds)
