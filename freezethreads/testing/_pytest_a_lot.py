"""What ``--freeze-a-lot`` adds to a run of pytest: a thread in each process, and a summary.

With pytest-xdist the tests run in workers, whose counts the first process adds up.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from freezethreads import default_freezer
from freezethreads.testing._background import PATIENCE, Background
from freezethreads.testing._places import place_of
from freezethreads.testing.pytest_plugin import A_LOT

_KEY = "freezethreads"  # of our counts in what a worker sends
_PLACES = 10  # that the summary names, at most


class FreezeALot:
    """A plugin of pytest."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.option
        if option.freeze_a_lot_seed is None:
            option.freeze_a_lot_seed = f"{random.randrange(10**6):06}"  # workers are given it
        self._config = config
        self._lost: list[str] = []
        worker: dict[str, Any] = getattr(config, "workerinput", {})
        self._background = Background(
            option.freeze_a_lot / 1000,
            f"{option.freeze_a_lot_seed}/{worker.get('workerid', '')}",
            lambda straggler: place_of(straggler, config.rootpath),
        )
        self._counts = self._background.counts
        self._background.add(default_freezer)
        config.stash[A_LOT] = self._background

    def pytest_report_header(self) -> str:
        """Tell the seed."""
        often = f"{self._config.option.freeze_a_lot:g} ms"
        return f"freezethreads: freezing about every {often}, {self._seed}"

    @property
    def _seed(self) -> str:
        return f"--freeze-a-lot-seed={self._config.option.freeze_a_lot_seed}"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Freeze while the tests run, if they run in this process."""
        if self._config.pluginmanager.hasplugin("dsession"):
            return (yield)
        with self._background:
            return (yield)

    def pytest_sessionfinish(self) -> None:
        """In a worker: send what was counted."""
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[_KEY] = self._counts.as_dict()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take in what a worker has counted. One that crashed has sent nothing."""
        counts = getattr(node, "workeroutput", {}).get(_KEY)
        if counts is None:
            self._lost.append(node.gateway.id)
        else:
            self._counts.add(**counts)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what came of it, and whether anything did; and the seed, which ``-q`` has hidden."""
        often = f"--freeze-a-lot={self._config.option.freeze_a_lot:g}"
        terminalreporter.write_sep("-", f"freezethreads: {often} {self._seed}")
        counts = self._counts
        threads = Counter({number: times for number, times in counts.stood.items() if number})
        terminalreporter.write_line(
            f"{threads.total()} freezes stood{_describe(threads)}, {counts.stood[0]} found nobody "
            f"enrolled, {counts.timeouts} timed out after {PATIENCE:g} s"
        )
        if counts.places:
            terminalreporter.write_line("what they waited for in vain, the most frequent first:")
            for place, times in counts.places.most_common(_PLACES):
                terminalreporter.write_line(f"  {times:5}  {place}")
        for worker in self._lost:
            terminalreporter.write_line(f"warning: {worker} sent no counts", yellow=True)
        if not threads:
            terminalreporter.write_line(
                "warning: nobody was frozen, so this run shows nothing about freezing", yellow=True
            )


def _describe(threads: Counter[int]) -> str:
    """How many threads were in the freezes that had any."""
    numbers = sorted(threads.elements())
    if not numbers:
        return ""
    return f" with {numbers[len(numbers) // 2]} threads in them (median; at most {numbers[-1]})"
