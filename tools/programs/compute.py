"""Threads that compute, recurse and generate, and never wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator

found: dict[int, int] = {}


def primes(below: int) -> Iterator[int]:
    for number in range(2, below):
        if all(number % divisor for divisor in range(2, int(number**0.5) + 1)):
            yield number


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def compute(index: int) -> None:
    found[index] = sum(primes(20_000 + index)) + fibonacci(20 + index)


threads = [threading.Thread(target=compute, args=(index,)) for index in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for index, number in sorted(found.items()):
    print("thread", index, "found", number)
