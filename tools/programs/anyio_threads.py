# /// script
# dependencies = ["anyio"]
# ///
"""anyio: tasks, and threads that they wait for."""

from __future__ import annotations

import time

import anyio
import anyio.to_thread

totals: list[int] = []


def work(number: int) -> int:
    time.sleep(0.002)
    return sum(range(number))


async def ask(client: int) -> None:
    total = client
    for number in range(60):
        total += await anyio.to_thread.run_sync(work, number)
        await anyio.sleep(0.002)
    totals.append(total)


async def main() -> None:
    async with anyio.create_task_group() as group:
        for client in range(4):
            group.start_soon(ask, client)


anyio.run(main)
print("totals", sorted(totals))
