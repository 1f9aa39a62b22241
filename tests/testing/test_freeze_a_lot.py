"""The plugin of pytest: the option ``--freeze-a-lot``."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from freezethreads import Freezer
from freezethreads._controller.standing import standing
from freezethreads.testing._background import END, REASON, Background
from freezethreads.testing._pytest_a_lot import FreezeALot
from freezethreads.testing.pytest_fixtures import Check
from freezethreads.testing.pytest_plugin import _milliseconds
from freezing import actor
from plugin_runs import run

pytest_plugins = ["pytester"]


def test_freezes_a_lot(pytester: pytest.Pytester) -> None:
    suite = """
        import gc
        import threading
        import weakref
        import freezethreads
        import pytest
        from app import Threads, start, wait_until

        made = []

        @pytest.fixture
        def freezethreads_freezer():
            own = freezethreads.Freezer("own")
            made.append(weakref.ref(own))
            return own

        def freezes(freezer):
            return freezer.statistics().freezes

        def test_default():
            with Threads(3) as threads:
                before = freezes(freezethreads)
                wait_until(lambda: freezes(freezethreads) > before + 1 and threads.rounds > 10)
                with freezethreads.freeze() as world:
                    assert not world.unregistered

        def test_own(freezer):
            with Threads(2, freezer):
                wait_until(lambda: freezes(freezer) > 1)

        def test_own_is_not_kept():
            wait_until(lambda: gc.collect() >= 0 and made[0]() is None)

        def test_late():
            over = threading.Event()
            start(over.wait, "sluggard")
            wait_until(lambda: freezethreads.statistics().timeouts)
            over.set()
    """
    result = run(pytester, suite, "--freeze-a-lot=2", "--freeze-a-lot-seed=7")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "freezethreads: freezing about every 2 ms, --freeze-a-lot-seed=7",
            "* freezes stood with * threads in them (median; at most 3), * found nobody *",
            "  *1  app.py:* in run",
        ]
    )
    assert "warning: nobody was frozen" not in result.stdout.str()


@pytest.mark.parametrize("quiet", ["-q", "-qq"])
def test_the_seed_is_shown_however_little_is(pytester: pytest.Pytester, quiet: str) -> None:
    result = run(pytester, "def test_it(): assert False", "--freeze-a-lot=2", quiet)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.re_match_lines(
        [r"-+ freezethreads: --freeze-a-lot=2 --freeze-a-lot-seed=\d{6} -+"]
    )


def test_a_fork_finds_nothing_of_it(pytester: pytest.Pytester) -> None:
    # Hooks before a fork are called in reverse order: this one is older than the plugin's.
    conftest = """
        import os
        import threading

        alone = []
        os.register_at_fork(before=lambda: alone.append(threading.active_count() == 1))
    """
    suite = """
        import os
        import freezethreads
        from app import Threads, wait_until
        from conftest import alone

        def fork():
            pid = os.fork()
            if pid == 0:
                with freezethreads.freeze(timeout=10) as world:
                    os._exit(len(world.threads))
            return os.waitpid(pid, 0)[1] == 0

        def test_it():
            wait_until(lambda: fork() and alone[-1])
            before = freezethreads.statistics().freezes
            with Threads(2):
                assert all(fork() for _ in range(5))
                wait_until(lambda: freezethreads.statistics().freezes > before + 3)
    """
    result = run(pytester, suite, "--freeze-a-lot=1", "-W", "default", conftest=conftest)
    result.assert_outcomes(passed=1, warnings=result.parseoutcomes().get("warnings", 0))
    result.stdout.fnmatch_lines(["* freezes stood with 2 threads in them*"])


def test_the_counts_of_workers_are_added_up(pytester: pytest.Pytester) -> None:
    suite = """
        import freezethreads
        import pytest
        from app import Threads, wait_until

        @pytest.mark.parametrize("number", [2, 4])
        def test_it(number):
            with Threads(number):
                before = freezethreads.statistics().freezes
                wait_until(lambda: freezethreads.statistics().freezes > before + 3)
    """
    result = run(pytester, suite, "-p", "xdist", "-n2", "--freeze-a-lot=1")
    result.assert_outcomes(passed=2)
    (line,) = re.findall(r".* freezes stood with .*", result.stdout.str())
    counted = re.match(r"(\d+) freezes stood with [2-4] threads .* at most 4\)", line)
    assert counted, line
    assert int(counted[1]) > 6


@pytest.mark.parametrize(("reason", "timeouts"), [(END, 0), ("of the program", 1)])
def test_the_freeze_of_the_fixture_is_no_other_controller(reason: str, timeouts: int) -> None:
    freezer = Freezer("under test")
    background = Background(1.0, "", str)
    with actor() as other:
        world = other.do(lambda: freezer.freeze(reason=reason))
        background._freeze(freezer, background._over)
        other.do(world.thaw)
    assert background.counts.timeouts == timeouts
    assert background.counts.places.total() == timeouts


def test_a_worker_that_crashed_is_told(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = FreezeALot.__new__(FreezeALot)
    plugin._lost, plugin._counts = [], Background(1.0, "", str).counts
    plugin._config = pytestconfig
    monkeypatch.setattr(pytestconfig.option, "freeze_a_lot", 5.0)
    lines: list[str] = []
    sent = {"freezethreads": {"stood": {0: 3, 5: 2}, "timeouts": 1, "places": {"here": 1}}}
    plugin.pytest_testnodedown(SimpleNamespace(workeroutput=sent, gateway=None))
    plugin.pytest_testnodedown(SimpleNamespace(gateway=SimpleNamespace(id="gw1")))
    reporter: Any = SimpleNamespace(
        write_sep=lambda *_: None, write_line=lambda line, **_: lines.append(line)
    )
    plugin.pytest_terminal_summary(reporter)
    assert lines[0].startswith("2 freezes stood with 5 threads in them (median; at most 5), 3 ")
    assert lines[1:] == [
        "what they waited for in vain, the most frequent first:",
        "      1  here",
        "warning: gw1 sent no counts",
    ]


def test_what_it_freezes_was_not_left_behind(tmp_path: Path) -> None:
    """However long it stands: the fixture looks at a test's end, when it may stand."""
    freezer = Freezer("busy")
    with actor() as background:  # a thread that the test has not started, so it is not told of that
        check = Check(freezer, timeout=0.01, root=tmp_path)
        check.begin()
        hold = background.do(freezer.hold, reason=REASON)
        check.end()
        check.finish()
        assert standing(freezer)
        hold.thaw()


@pytest.mark.parametrize("text", ["0", "-3", "abc", "nan", "inf", "60001", ""])
def test_what_is_no_number_of_milliseconds(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=f"{text!r} is no number of milliseconds above 0"):
        _milliseconds(text)


def test_a_wrong_value_is_wrong_use(pytester: pytest.Pytester) -> None:
    result = run(pytester, "", "--freeze-a-lot=-3")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*error: argument --freeze-a-lot: '-3' is no number of*"])
