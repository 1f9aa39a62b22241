"""What a person sees while the demo runs: lines, and a bar on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from freezethreads._ground.text import encodable

__all__ = ["View"]


class View:
    """Prints what happens to standard output, with `quiet` nothing. For one thread.

    The bar is drawn on standard error, and only if that is a terminal.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._quiet = quiet
        self._verbose = verbose

    def say(self, text: str) -> None:
        """Print a line. What cannot be encoded is escaped."""
        if not self._quiet:
            print(encodable(text, sys.stdout), flush=True)

    def detail(self, text: str) -> None:
        """Print a line that only `verbose` asks for."""
        if self._verbose:
            self.say(text)

    @contextmanager
    def bar(self, title: str, done: int, total: int) -> Iterator[Callable[[int], object]]:
        """Show how much of `total` is done, for as long as the block lasts.

        The block gets a function to call with the amount that is done by then.
        """
        if not sys.stderr.isatty():
            yield _ignore
            return
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress
        except ModuleNotFoundError:
            print("no progress bar: pip install rich", file=sys.stderr)
            yield _ignore
            return
        clock = "{task.elapsed:.0f} s so far"
        columns = "{task.description}", BarColumn(), MofNCompleteColumn(), clock
        # Without a thread of its own, which would be one more for everybody to wait for.
        with Progress(
            *columns,
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        ) as progress:
            task = progress.add_task(title, completed=done, total=total)
            yield lambda done: progress.update(task, completed=done, refresh=True)


def _ignore(done: int) -> None:
    pass
