"""A crawler that can be looked at while it runs: a queue, a pool, and a snapshot twice a second.

The network is a dictionary, so that it runs anywhere. Each address is in one of three books, and in
a snapshot none is missing. It prints::

    ... known, ... to visit, ... being fetched, ... done
    ...
    999 pages, and nothing was missing from any snapshot
"""

from __future__ import annotations

import random

import freezethreads
from freezethreads import ThreadPoolExecutor, World, sync

LINKS = {f"/{n}": [f"/{2 * n}", f"/{2 * n + 1}"] for n in range(1, 500)}

to_visit: sync.Queue[str | None] = sync.Queue()
fetching: set[str] = set()
pages: dict[str, list[str]] = {}


def fetch(address: str) -> list[str]:
    """Ask the network. A thread may be frozen in here: its address is in `fetching`."""
    sync.sleep(random.uniform(0.001, 0.01))
    return LINKS.get(address, [])


def visit(address: str) -> None:
    """Fetch one page, in a worker of the pool."""
    links = fetch(address)
    with freezethreads.no_freeze():  # put() might stop: nobody is to stop between two books
        for link in links:
            to_visit.put(link)
        pages[address] = links
        fetching.discard(address)


def crawl(pool: ThreadPoolExecutor) -> None:
    """Give each address to the pool."""
    while (address := to_visit.get()) is not None:
        fetching.add(address)
        pool.submit(visit, address)


def missing(world: World) -> set[str]:
    """Which addresses are in none of the books, in a world."""
    known = {"/1"}.union(*pages.values())
    waiting = set(to_visit.queue)
    print(
        f"{len(known)} known, {len(waiting)} to visit, {len(fetching)} being fetched,"
        f" {len(pages)} done"
    )
    return {str(address) for address in known - waiting - fetching - pages.keys()}


def main() -> None:
    """Crawl, and look twice a second."""
    lost: set[str] = set()
    with ThreadPoolExecutor(4, "fetcher") as pool:
        crawler = freezethreads.Thread(target=crawl, args=(pool,), name="crawler")
        crawler.start()
        to_visit.put("/1")
        while len(pages) < 999:
            sync.sleep(0.5)
            with freezethreads.freeze(reason="snapshot") as world:
                lost |= missing(world)
        to_visit.put(None)
        crawler.join()
    print(f"{len(pages)} pages, and {sorted(lost) or 'nothing'} was missing from any snapshot")


if __name__ == "__main__":
    main()
