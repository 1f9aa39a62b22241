# /// script
# dependencies = ["twisted"]
# ///
"""Twisted: a reactor in the main thread, and its pool of threads."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet import defer, reactor, threads

done: list[int] = []
loop: Any = reactor


def work(number: int) -> int:
    time.sleep(0.002)
    return sum(range(number))


async def run() -> None:
    for turn in range(15):
        deferreds = [threads.deferToThread(work, number + turn) for number in range(8)]
        done.extend(result for _, result in await defer.DeferredList(deferreds))
        await defer.Deferred.fromCoroutine(pause())
    loop.stop()


async def pause() -> None:
    later: defer.Deferred[None] = defer.Deferred()
    loop.callLater(0.01, later.callback, None)
    await later


loop.callWhenRunning(lambda: defer.ensureDeferred(run()))
loop.run()
print("done", len(done), "sum", sum(done))
