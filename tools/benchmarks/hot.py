"""A program that computes, with its hot functions marked or not, for `marks` to time.

``python tools/benchmarks/hot.py plain`` (or ``atomic``, or ``freezable``) reads lines of a word and
a number from its input. After ``time`` it calls its hot functions so often, a few times over, and
prints the least seconds of the processor that it took. After ``freeze`` it is frozen so often in
each way, with a thread in the midst of them, and prints how long that was.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from time import perf_counter, thread_time

_BATCHES = 40  # short ones: the least is of a moment when nobody else had the processor


class Account:
    """What a hot method works at."""

    def __init__(self) -> None:
        self.amount = 0

    def move(self, amount: int) -> None:
        """A method that does next to nothing."""
        self.amount += amount


def collatz(number: int) -> int:
    """A loop: how many steps it is to 1."""
    steps = 0
    while number != 1:
        number = 3 * number + 1 if number % 2 else number // 2
        steps += 1
    return steps


def fibonacci(number: int) -> int:
    """Calls."""
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


def squares(count: int) -> Iterator[int]:
    """A generator."""
    for number in range(count):
        yield number * number


HOT: tuple[Callable[..., object], ...] = (Account.move, collatz, fibonacci, squares)


def work(count: int) -> None:
    """All of them, so often. Not marked itself."""
    account = Account()
    for _ in range(count):
        for amount in range(100):
            account.move(amount)
        collatz(27)
        fibonacci(9)
        sum(squares(100))


def measure(count: int) -> float:
    """The least seconds of the processor that it takes."""
    seconds = []
    for _ in range(_BATCHES):
        began = thread_time()
        work(count)
        seconds.append(thread_time() - began)
    return min(seconds)


def mark(kind: str) -> None:
    """Mark the hot functions."""
    import freezethreads

    for function in HOT:
        getattr(freezethreads, kind)(function)


def be_frozen(times: int) -> float:
    """Be frozen so often at safepoints, outside sections and anywhere."""
    import freezethreads

    began, up, over = perf_counter(), threading.Event(), threading.Event()

    def run() -> None:
        with freezethreads.register():
            up.set()
            while not over.is_set():
                work(1)
                freezethreads.safepoint()

    thread = threading.Thread(target=run)
    thread.start()
    up.wait()
    for _ in range(times):
        with freezethreads.freeze():
            pass
        with freezethreads.freeze(where="unlocked"):
            pass
        with freezethreads.freeze(where="anywhere"):
            pass
    over.set()
    thread.join()
    return perf_counter() - began


def main(kind: str) -> None:
    """Answer each line of the input."""
    if kind != "plain":
        mark(kind)
    calls: dict[str, Callable[[int], float]] = {"time": measure, "freeze": be_frozen}
    for line in sys.stdin:
        word, number = line.split()
        print(calls[word](int(number)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
