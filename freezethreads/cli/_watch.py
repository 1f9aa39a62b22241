"""``freezethreads threads PID --watch``: the table that is kept up to date, and its keys."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from freezethreads._ground.text import clean_lines, encodable
from freezethreads.cli._remote import in_words
from freezethreads.cli._thaw import thaw_in_words
from freezethreads.cli._threads import threads_table

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

    from freezethreads.control import Client

__all__ = ["Watch"]

_EVERY = 0.5  # seconds between two looks
_TIMEOUT = 5.0  # seconds that a freeze by key may take
_STYLES = {"frozen": "cyan", "blocked": "dim"}
_KEYS = "f: freeze   t: thaw   q: quit, and thaw what was frozen here"


class Watch:
    """One run of it, on a terminal."""

    def __init__(self, client: Client, arguments: argparse.Namespace) -> None:
        self._client = client
        self._arguments = arguments
        self._freezer: str | None = arguments.freezer
        self._holds = False
        self._message = ""

    def run(self) -> int:
        """Show the table until q is pressed; return 0. Raises ControlError if the process goes."""
        from rich.live import Live  # of the extra `cli`, as all of rich

        # What stands for `sys.stdout` else does not say how it encodes; nobody prints meanwhile.
        live = Live(auto_refresh=False, screen=True, redirect_stdout=False)
        with _ends_undone(), _single_keys() as keys, live:
            while True:
                live.update(self._look(), refresh=True)
                if not self._obey(keys(_EVERY)):
                    return 0

    def _look(self) -> Group:
        from rich.console import Group

        if self._holds:
            self._renew()
        answer = self._client.request("threads", freezer=self._freezer)
        title = clean_lines(in_words(answer["freezer"]))
        head, *rows = threads_table(answer, self._arguments).split("\n")
        styles = [_STYLES.get(thread["state"], "") for thread in answer["threads"]]
        return Group(
            _text(f"process {self._client.pid}: {title}"),
            _text(_KEYS),
            _text(clean_lines(self._message), "bold"),
            _text(head, "bold"),
            *(_text(row, style) for row, style in zip_longest(rows, styles, fillvalue="")),
        )

    def _obey(self, key: str) -> bool:
        """Do what a key asks; whether to go on."""
        if key == "f":
            self._freeze()
        elif key == "t":
            self._message = thaw_in_words(self._client.request("thaw"))
            self._holds = False
        return key not in ("q", "\x04")

    def _freeze(self) -> None:
        from freezethreads.control import RequestRefused

        try:
            reason = "freezethreads threads --watch"
            self._client.request("freeze", freezer=self._freezer, timeout=_TIMEOUT, reason=reason)
            self._holds = True
            self._message = "frozen"
        except RequestRefused as error:
            self._message = str(error)

    def _renew(self) -> None:
        from freezethreads.control import RequestRefused

        try:
            self._client.request("renew")
        except RequestRefused as error:  # somebody else has thawed it
            self._holds = False
            self._message = str(error)


def _text(text: str, style: str = "") -> Text:
    """What the terminal cannot show is escaped."""
    from rich.text import Text

    return Text(encodable(text, sys.stdout), style=style)


@contextmanager
def _ends_undone() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end the command as Ctrl-C does: with the terminal as it was."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _single_keys() -> Iterator[Any]:
    """Keys as they are pressed: a function that waits for one so many seconds, or returns ""."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield lambda wait: _read_key(terminal, wait)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _read_key(terminal: int, wait: float) -> str:
    ready, _, _ = select.select([terminal], [], [], wait)
    return os.read(terminal, 1).decode("latin-1") or "q" if ready else ""
