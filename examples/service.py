"""An asyncio service that another thread stops and looks at, and that a process outside can.

Clients draw numbers, and the loop books each. Twice a second a thread freezes the loop between two
callbacks and compares the books. Meanwhile ``freezethreads ps`` finds the process. It runs for as
many seconds as its argument says, or for ten. It prints::

    ... drawn, the books agree
    ...
    in the end: the books agree
"""

from __future__ import annotations

import asyncio
import sys

import freezethreads
from freezethreads import sync
from freezethreads.integrations import asyncio_loop

drawn = 0
booked: dict[str, int] = {}


async def draw(client: str) -> None:
    """One client, which draws for ever."""
    global drawn
    while True:
        drawn += 1
        booked[client] = booked.get(client, 0) + 1  # no await between the two: no freeze either
        await asyncio.sleep(0.001)


def verdict() -> str:
    """What there is to say in a world."""
    return "the books agree" if sum(booked.values()) == drawn else "the books differ"


def look(over: sync.Event) -> None:
    """Stop the loop twice a second."""
    while not over.wait(0.5):
        with freezethreads.freeze(reason="to compare the books"):
            print(f"{drawn} drawn, {verdict()}")


async def main(seconds: float) -> None:
    """Serve for so many seconds."""
    over = sync.Event()
    looker = freezethreads.Thread(target=look, args=(over,), name="looker")
    with freezethreads.serve(), asyncio_loop.enrol(name="loop"):
        looker.start()
        clients = [asyncio.create_task(draw(f"client-{number}")) for number in range(10)]
        await asyncio.sleep(seconds)
        for client in clients:
            client.cancel()
        over.set()
        await asyncio.to_thread(looker.join)
    print("in the end:", verdict())


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if sys.argv[1:] else 10.0))
