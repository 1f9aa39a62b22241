"""Drawing programs until one fails, and making it smaller: what Hypothesis is for."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stress.program._program import FREEZERS, GROUPS, THREADS, Body, Op, Part, Program
from stress.program._stage import PATIENCE, play
from stress.program._verdict import Verdict

ROUNDS = 20
"""How often each program is played."""
STUBBORN = 2
"""Times as often, when one has failed and smaller ones are tried."""
AT_ONCE = 30
"""Programs that Hypothesis is asked for at a time: the first of many would all be small ones."""


def _op(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Op]:
    return st.tuples(st.just(name), *arguments)


_freezer = st.integers(0, FREEZERS - 1)
_group = st.sampled_from(GROUPS)
_any_group = st.sampled_from(("", *GROUPS))
_thread = st.integers(0, THREADS - 1)
_timeout = st.sampled_from((3, 1, 0))
_lease = st.sampled_from((None, None, None, 1))
_tenths = st.integers(0, 3)
_each_of_two = st.integers(0, 1)
_each_box = st.integers(0, 3)

_simple = st.one_of(
    _op("step", st.integers(1, 30)),
    _op("safepoint", _freezer),
    _op("sleep", _tenths),
    _op("pause", _tenths),
    _op("register", _freezer, _group),
    _op("move", _freezer, _group),
    _op("unregister", _freezer),
    _op("hold", _freezer, _any_group, _timeout, _lease),
    _op("thaw", st.integers(0, 3), st.integers(1, 2)),
    _op("overstay"),
    _op("run_frozen", _freezer, _any_group, _timeout),
    _op("todo", _thread, _freezer, st.integers(0, 1)),
    _op("todo_all", _freezer, _any_group),
    _op("cancel"),
    _op("call", _thread),
    _op("put", _each_box),
    _op("take", _each_box),
    _op("make"),
    _op("take_made"),
    st.sampled_from([("set",), ("clear",), ("await",), ("meet",)]),
)


def _bodies(inner: st.SearchStrategy[Op]) -> st.SearchStrategy[Op]:
    body: st.SearchStrategy[Body] = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        _op("freeze", _freezer, _any_group, _timeout, _lease, body),
        _op("blocking", _freezer, body),
        _op("no_freeze", _freezer, body),
        _op("lock", _each_of_two, body),
        _op("permit", _each_of_two, body),
    )


_ops = st.recursive(_simple, _bodies, max_leaves=4)
_enrolled = st.sampled_from((None, *GROUPS))
_part = st.builds(
    Part,
    st.tuples(*[_enrolled] * FREEZERS),
    st.lists(_ops, max_size=5).map(tuple),
)
programs = st.builds(Program, st.tuples(*[_part] * THREADS))
"""All that there are."""


class Found(Exception):
    """A program does not keep what was promised."""


class _TimeIsUp(BaseException):
    """Ends Hypothesis where it is. (An Exception would be a program that fails.)"""


class Search:
    """Draws programs and plays them for so many seconds, and for `shrink` more if one fails.

    What has failed once counts as failing, although it may pass the next time: so Hypothesis sees
    the same each time it looks, and the smallest is kept. With `played` the program that is being
    played is in that file.
    """

    def __init__(
        self,
        seconds: float,
        shrink: float,
        patience: float = PATIENCE,
        played: Path | None = None,
    ) -> None:
        self.verdict = Verdict()
        self._began = monotonic()
        self._until = self._began + seconds
        self._shrink = shrink
        self._patience = patience
        self._played = played
        self._failed: set[Program] = set()

    def run(self, seed: str) -> Verdict:
        """Search. The seed chooses the programs, and not which thread is the first."""
        for number in count():
            if self._failed or monotonic() > self._until:
                break
            self._ask_for_some(f"{seed}/{number}")
        return self._conclude()

    def replay(self, program: Program) -> Verdict:
        """Play that one alone, again and again."""
        while not self._failed and monotonic() < self._until:
            self._play(program, ROUNDS)
        return self._conclude()

    def _conclude(self) -> Verdict:
        self.verdict.seconds = monotonic() - self._began
        return self.verdict

    def _ask_for_some(self, seed: str) -> None:
        @hypothesis.seed(seed)
        @settings(
            max_examples=AT_ONCE,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(program=programs)
        def attempt(program: Program) -> None:
            if program not in self._failed:
                if monotonic() > self._until:
                    raise _TimeIsUp
                self._play(program, ROUNDS * STUBBORN if self._failed else ROUNDS)
            if program in self._failed:
                raise Found

        try:
            attempt()
        except (Found, _TimeIsUp):
            pass

    def _play(self, program: Program, rounds: int) -> None:
        if self._played is not None:
            self._played.write_text(str(program))
        verdict = self.verdict
        verdict.programs += 1
        verdict.rounds += rounds
        finding = play(program, rounds, self._patience)
        if finding is None:
            return
        if not self._failed:
            verdict.found_after = monotonic() - self._began
            self._until = monotonic() + self._shrink
        self._failed.add(program)
        if verdict.program is None or program.size <= verdict.program.size:
            verdict.program, verdict.finding = program, finding
