# /// script
# dependencies = ["trio"]
# ///
"""trio: tasks, and threads that they wait for."""

from __future__ import annotations

import time

import trio

totals: list[int] = []


def work(number: int) -> int:
    time.sleep(0.002)
    return sum(range(number))


async def ask(client: int) -> None:
    total = client
    for number in range(60):
        total += await trio.to_thread.run_sync(work, number)
        await trio.sleep(0.002)
    totals.append(total)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        for client in range(4):
            nursery.start_soon(ask, client)


trio.run(main)
print("totals", sorted(totals))
