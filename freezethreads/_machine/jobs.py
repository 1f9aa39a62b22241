"""Jobs of a pool: who waits for the result of one, who works at one, and in which queue it is."""

from __future__ import annotations

import gc
from collections import deque
from concurrent.futures import _base as futures
from concurrent.futures import thread as pools
from types import FrameType
from typing import Any, Final

from freezethreads._ground.files import is_own
from freezethreads._ground.original import Condition

__all__ = ["has_job", "jobs_in"]

_WAITS: Final = (futures.Future.result.__code__, futures.Future.exception.__code__)
_WAIT: Final = Condition.wait.__code__
_RUN: Final = pools._WorkItem.run.__code__
_WORKER: Final = pools._worker.__code__


def jobs_in(frame: FrameType) -> tuple[tuple[Any, bool] | None, Any, Any]:
    """Of a thread with this innermost frame: the future that it waits for, if it does not move, and
    whether that has no time-out; the future of the job that it works at; and the queue of the pool
    whose worker it is. Each is None if there is none."""
    awaited = job = queue = None
    at: FrameType | None = frame
    in_wait = True
    while at is not None:
        code = at.f_code
        if in_wait and code in _WAITS:
            names = at.f_locals
            awaited = names.get("self"), names.get("timeout") is None
        in_wait = in_wait and (code is _WAIT or is_own(code.co_filename))
        if code is _RUN and job is None:
            job = getattr(at.f_locals.get("self"), "future", None)
        if code is _WORKER:
            queue = at.f_locals.get("work_queue")
        at = at.f_back
    return awaited, job, queue


def has_job(queue: Any, future: Any) -> bool:
    """Whether the job with that future is in the queue of a pool. (What is in a queue, the garbage
    collector tells, whose queue it may be.)"""
    if queue is None:
        return False
    inside = gc.get_referents(queue)
    for one in inside:
        if type(one) in (list, deque):
            inside.extend(gc.get_referents(one))
    return any(type(one) is pools._WorkItem and one.future is future for one in inside)
