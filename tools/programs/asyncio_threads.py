"""An event loop, tasks, and threads that they wait for."""

from __future__ import annotations

import asyncio
import time


def work(number: int) -> int:
    time.sleep(0.002)
    return sum(range(number))


async def ask(client: int) -> int:
    total = 0
    for number in range(60):
        total += await asyncio.to_thread(work, number)
        await asyncio.sleep(0.002)
    return total + client


async def main() -> list[int]:
    return await asyncio.gather(*(ask(client) for client in range(4)))


print("totals", asyncio.run(main()))
