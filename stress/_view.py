"""What a person sees while the scenarios run: a live view on a terminal, else lines."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from freezethreads.testing import Progress, Result
from stress import _rows

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

TELL_EVERY = 2.0
"""Seconds between two lines of progress, where there is no live view."""
RECENT = 2.0
"""Seconds in which the freezes are counted that the live view shows as so many a second."""
NO_RICH = "no live view: pip install rich"


class Lines:
    """Prints lines to standard output. For one thread."""

    def __init__(self) -> None:
        self._told = monotonic()

    def begin(self, what: str, patience: float) -> None:
        """Say what is going to happen, and how to read what comes."""
        meanings = (f"  {title:<14}{meaning}" for title, meaning in _rows.MEANINGS)
        how = _rows.HOW_TO_READ.format(patience=patience)
        self._say("\n".join([what, "", how, *meanings, "", _rows.titles()]))

    def progress(self, progress: Progress) -> None:
        """Print a line now and then."""
        if monotonic() - self._told >= TELL_EVERY:
            self._told = monotonic()
            self._say(
                f"{progress.scenario}: {progress.left:.0f} s left, {progress.freezes} freezes, "
                f"{progress.checks} checks, {progress.steps} steps; "
                f"threads: {_rows.states(progress)}"
            )

    def result(self, result: Result, load: str | None) -> None:
        """A scenario has ended: its row, and all that is known if it has failed."""
        self._say(_rows.row(result))
        if not result.passed:
            self._say(_rows.report(result, load))

    def end(self, text: str) -> None:
        """The verdict on all."""
        self._say(text)

    def _say(self, text: str) -> None:
        print(text, flush=True)


class Screen:
    """The same on a terminal of any width, with the running scenario below. For one thread."""

    def __init__(self, console: Console, live: Live, of: int) -> None:
        self._console = console
        self._live = live
        self._of = of
        self._ended = 0
        self._looks: deque[tuple[float, int]] = deque()

    def begin(self, what: str, patience: float) -> None:
        from rich.table import Table

        meanings = Table.grid(padding=(0, 2))
        for title, meaning in _rows.MEANINGS:
            meanings.add_row(f"  {title}", meaning)
        how = _rows.HOW_TO_READ.format(patience=patience).replace("\n", " ")
        self._say(what, "", how, meanings, "", _rows.titles(self._columns()))

    def progress(self, progress: Progress) -> None:
        """Show how far it is."""
        self._looks.append((monotonic(), progress.freezes))
        while self._looks[-1][0] - self._looks[0][0] > RECENT:
            self._looks.popleft()
        self._live.update(self._table(progress), refresh=True)

    def result(self, result: Result, load: str | None) -> None:
        from rich.text import Text

        self._ended += 1
        self._looks.clear()
        self._live.update("", refresh=True)
        style = "" if result.passed else "bold red"
        self._say(Text(_rows.row(result, self._columns()), style))
        if not result.passed:
            # Its lines are wrapped by the terminal, so that a command can be copied.
            self._say(_rows.report(result, load), soft_wrap=True)

    def end(self, text: str) -> None:
        self._say(text)

    def _rate(self) -> str:
        """How many freezes a second there were lately; empty while that is not known."""
        (began, before), (now, freezes) = self._looks[0], self._looks[-1]
        return f", {(freezes - before) / (now - began):.0f}/s now" if now > began else ""

    def _table(self, progress: Progress) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        title = f"{progress.scenario}, {self._ended + 1} of {self._of}"
        table.add_row("scenario", Text(title, "bold"))
        table.add_row("left", f"{progress.left:.0f} s")
        table.add_row("freezes", f"{progress.freezes}{self._rate()}")
        table.add_row("checks passed", f"{progress.checks}")
        table.add_row("threads", _rows.states(progress))
        return table

    def _columns(self) -> tuple[_rows.Column, ...]:
        return _rows.columns_in(self._console.width)

    def _say(self, *what: RenderableType, soft_wrap: bool = False) -> None:
        self._console.print(*what, sep="\n", highlight=False, markup=False, soft_wrap=soft_wrap)


View = Lines | Screen


@contextmanager
def view(of: int) -> Iterator[View]:
    """What to show the run of so many scenarios on, for as long as the block lasts."""
    if not sys.stdout.isatty():
        yield Lines()
        return
    try:
        from rich.console import Console
        from rich.live import Live
    except ModuleNotFoundError:
        print(NO_RICH, file=sys.stderr)
        yield Lines()
        return
    console = Console()
    if console.is_dumb_terminal:  # which cannot take back a line
        yield Lines()
        return
    # Without a thread of its own: it is drawn when there is something new.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield Screen(console, live, of)
