"""computing: in the inner one of two loops, through a function that has none."""

import stage


def weigh(number: int) -> int:
    return sum(range(number % 7))


def work() -> None:
    total = 0
    while True:
        for number in range(100_000_000):  # here
            total += weigh(number)


stage.start(work)
stage.wait_to_end()
