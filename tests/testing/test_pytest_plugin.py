"""The plugin of pytest: the fixture `freezer`, and what comes with the plugin by itself."""

from __future__ import annotations

import re
import sys

import pytest

from freezethreads.testing.pytest_plugin import _seconds
from helpers import run_python
from plugin_runs import run

pytest_plugins = ["pytester"]

# The fixture.


def test_who_does_not_stop_is_an_error_of_its_test(pytester: pytest.Pytester) -> None:
    """Also a thread that another fixture ends."""
    suite = """
        import threading
        import freezethreads
        import pytest
        from app import start

        over = threading.Event()

        def nap():
            with freezethreads.blocking():
                over.wait(10)

        @pytest.fixture
        def threads(freezer):
            start(nap)
            start(over.wait, "sluggard")
            yield
            over.set()

        def test_late(threads):
            pass

        def test_next(freezer):
            pass
    """
    result = run(pytester, suite)
    result.assert_outcomes(passed=2, errors=1)
    report = result.stdout.str().partition("ERROR at teardown of test_late")[2]
    lines = report.partition("=====")[0].splitlines()[1:]
    assert re.match(r"1 of 2 threads did not stop within 0\.\d+ s for <freeze by Main", lines[0])
    assert re.match(r"  sluggard \(\d+\) RUNNING, not moving .*app\.py:\d+ in run; no ", lines[1])
    assert lines[2] == "What would help:"
    assert re.match(r"  sluggard waits in .*\. Use the lock, event or queue of freezeth", lines[3])
    assert lines[4].startswith("  If a thread was to be gone by now: end it, and join() it, in the")
    assert len(lines) == 5


@pytest.mark.parametrize("option", ["", "--full-trace"])
@pytest.mark.parametrize("debug", ["", "1"])
def test_a_traceback_ends_where_the_test_froze(
    pytester: pytest.Pytester, option: str, debug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEZETHREADS_DEBUG", debug)
    suite = """
        import freezethreads
        from app import start, threading

        def test_it():
            over = threading.Event()
            start(over.wait, "sluggard")
            try:
                with freezethreads.freeze(timeout=0.1):
                    pass
            finally:
                over.set()
    """
    result = run(pytester, suite, *filter(None, [option]))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E * freezethreads.FreezeTimeout: 1 of 1 threads did not stop *"])
    assert ("_controller" in result.stdout.str()) is bool(option and debug)


@pytest.mark.parametrize(
    ("call", "kind"), [("freeze(timout=1)", "TypeError"), ("freeze(timeout=-1)", "ValueError")]
)
def test_a_traceback_ends_where_an_argument_is_wrong(
    pytester: pytest.Pytester, call: str, kind: str
) -> None:
    result = run(pytester, f"def test_it(freezer):\n    freezer.{call}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f">       freezer.{call}", f"E       {kind}: *", f"*: {kind}"])
    assert "freezethreads/_" not in result.stdout.str()


def test_a_traceback_goes_into_what_the_program_has_passed(pytester: pytest.Pytester) -> None:
    suite = """
        def test_it(freezer):
            freezer.run_frozen(lambda: int("no number"))
    """
    result = run(pytester, suite)
    result.assert_outcomes(failed=1)
    shown = ["*freezethreads/_freezer.py:* in run_frozen", "*int(*", "E * ValueError: *"]
    result.stdout.fnmatch_lines(shown)


def test_an_enrolled_thread_has_to_stop_by_whatever_name(pytester: pytest.Pytester) -> None:
    suite = """
        import threading
        import freezethreads
        import pytest

        @pytest.fixture
        def thread(freezer):
            def compute():
                begun.set()
                while not over:
                    pass
            over, begun = [], threading.Event()
            with freezethreads.install(freezer):
                thread = threading.Thread(target=compute, name="freezethreads-x")
                thread.start()
                assert begun.wait(10)
                yield
                over.append(True)
                thread.join()

        def test_late(thread):
            pass
    """
    result = run(pytester, suite)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["1 of 1 threads did not stop within *", "  freezethreads-x (*"])


def test_what_a_test_leaves_standing_is_thawed_and_told(pytester: pytest.Pytester) -> None:
    """Before the fixtures end, which wait for the threads that stand."""
    suite = """
        import pytest
        from app import Threads

        @pytest.fixture
        def threads(freezer):
            with Threads(2) as threads:
                yield threads

        kept = []

        def test_hold(threads, freezer):
            kept.append(freezer.hold(reason="kept"))

        def test_dropped(threads, freezer):
            freezer.freeze(reason="dropped")

        def test_registered(freezer):
            freezer.register("main")
            kept.append(freezer.hold(reason="of itself"))

        def test_fixture(late, threads):
            pass

        @pytest.fixture
        def late(freezer):
            yield
            kept.append(freezer.hold(reason="by a fixture"))

        def test_nobody_stands(threads):
            pass
    """
    result = run(pytester, suite)
    result.assert_outcomes(passed=5, errors=4)
    dropped = "<freeze by MainThread for 'dropped'> was thawed by the freezer: nobody refers to it*"
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_hold*",
            "left behind: <hold by MainThread for 'kept'> was thawed by the freezer: the test is "
            "over; it was made at *test_it.py:* in test_hold: write `with freezethreads.hold():`, "
            "or call thaw() on what it returns in a `finally`",
            "*ERROR at teardown of test_dropped*",
            f"left behind: {dropped}",
            "*ERROR at teardown of test_registered*",
            "left behind: <hold by MainThread for 'of itself'> was thawed*",
            "*ERROR at teardown of test_fixture*",
            "left behind: <hold by MainThread for 'by a fixture'> was thawed*",
        ]
    )


def test_what_a_test_leaves_standing_is_told_whatever_is_logged(pytester: pytest.Pytester) -> None:
    suite = """
        import logging
        import pytest

        kept = []

        @pytest.fixture(params=["disabled", "its logger", "a filter"])
        def silence(request):
            logger = logging.getLogger("freezethreads")
            nothing = lambda record: False
            match request.param:
                case "disabled":
                    logging.disable(logging.CRITICAL)
                case "its logger":
                    logger.disabled = True
                case "a filter":
                    logger.addFilter(nothing)
            yield
            logging.disable(logging.NOTSET)
            logger.disabled = False
            logger.removeFilter(nothing)

        def test_hold(silence, freezer):
            kept.append(freezer.hold(reason="kept"))

        def test_dropped(silence, freezer):
            freezer.freeze(reason="dropped")
    """
    result = run(pytester, suite)
    result.assert_outcomes(passed=6, errors=6)
    report = result.stdout.str()
    assert report.count("\nleft behind: <hold by MainThread for 'kept'> was thawed") == 3
    assert report.count("\nleft behind: <freeze by MainThread for 'dropped'> was thawed") == 3


def test_what_is_no_fault_passes(pytester: pytest.Pytester) -> None:
    """A world of a fixture, a world that somebody else thaws soon, another freezer, a lease."""
    suite = """
        import threading
        import time
        import freezethreads
        import pytest
        from app import Threads, start

        @pytest.fixture
        def freezethreads_freezer(request):
            return getattr(request, "param", freezethreads.default_freezer)

        @pytest.fixture(params=["", "part"])
        def world(request, freezer):
            with Threads(2), freezer.freeze(group=request.param) as world:
                yield world

        def test_in_a_world(world):
            pass

        def test_in_a_moment(freezer):
            def freeze():
                with freezer.freeze():
                    standing.set()
                    time.sleep(0.05)
            standing = threading.Event()
            threading.Thread(target=freeze).start()
            assert standing.wait(10)

        own = freezethreads.Freezer("own")

        @pytest.mark.parametrize("freezethreads_freezer", [own], indirect=True)
        def test_another(freezer):
            assert freezer is own

        def test_lease(freezer):
            with pytest.raises(freezethreads.LeaseExpired), freezer.freeze(lease=0.01) as world:
                while not world.expired:
                    time.sleep(0.001)
    """
    run(pytester, suite).assert_outcomes(passed=5)


PLAIN = """
import threading
import pytest
import freezethreads

over = threading.Event()

@pytest.fixture
def ended():
    yield
    over.set()

def begin():
    threading.Thread(target=over.wait, args=(10,), name="plain").start()

def test_it(ended, freezer):
    {body}
"""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("begin()", "the fixture `freezer` has stopped nobody: no thread has registered with the "),
        ("begin(); freezer.freeze().thaw()", "no thread has registered with the freezer "),
        ("pass", None),
        ("freezethreads.Thread(target=begin).start()", None),
    ],
)  # fmt: skip
def test_a_test_whose_freezes_stop_nobody_is_told(
    pytester: pytest.Pytester, body: str, told: str | None
) -> None:
    """And passes: it is not known to be wrong."""
    result = run(pytester, PLAIN.format(body=body), "-W", "default::pytest.PytestWarning")
    result.assert_outcomes(passed=1, warnings=0 if told is None else 1)
    assert told is None or "PytestWarning: " in result.stdout.str()
    assert told is None or told in result.stdout.str()


def test_goes_behind_the_fixture_that_sets_clocks_and_says_that_it_froze_nobody(
    pytester: pytest.Pytester,
) -> None:
    plugin = """
        import pytest

        @pytest.fixture
        def freezer():
            return "a clock"
    """
    conftest = "from freezethreads.testing.pytest_fixtures import freezer as thread_freezer"
    suite = """
        import freezethreads

        def test_both(freezer, thread_freezer):
            assert freezer == "a clock"
            assert thread_freezer is freezethreads.default_freezer
    """
    files = {"pytest_freezer": plugin, "conftest": conftest}
    result = run(pytester, suite, "-p", "pytest_freezer", "--freeze-a-lot", **files)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "freezethreads: the fixture `freezer` is that of the plugin *",
            "0 freezes stood, *",
            "warning: nobody was frozen, so *",
        ]
    )


# Options, and what is imported.


@pytest.mark.parametrize("text", ["0", "-3", "abc", "nan", "inf"])
def test_what_is_no_number_of_seconds(text: str) -> None:
    with pytest.raises(pytest.UsageError, match=f"a number of seconds above 0, not {text!r}"):
        _seconds(text)


def test_pytest_does_not_warn_where_the_package_was_imported_before(
    pytester: pytest.Pytester,
) -> None:
    """It rewrites the assertions of a distribution that has a plugin, if it knows its files."""
    site = pytester.mkdir("site")
    pytester.makepyfile(**{"site/freezethreads/__init__": "", "test_it": "def test_it(): pass"})
    (site / "freezethreads-0.dist-info").mkdir()
    for name, text in {
        "METADATA": "Name: freezethreads\nVersion: 0\n",
        "RECORD": "freezethreads/__init__.py,,\n",
        "entry_points.txt": "[pytest11]\nnobody = test_it\n",
    }.items():
        (site / "freezethreads-0.dist-info" / name).write_text(text)
    code = (
        "import freezethreads, pytest, sys; sys.path.append(sys.argv[1]);"
        "sys.exit(pytest.main(['-Werror', *sys.argv[2:]]))"
    )
    without = [f"-pno:{name}" for name in ("cacheprovider", "hypothesispytest", "xdist")]
    result = pytester.run(sys.executable, "-c", code, site, *without, timeout=50)
    assert result.ret == 0, result.stderr.str()


def test_the_plugin_imports_pytest_and_nothing_else() -> None:
    code = """if True:
        import sys, freezethreads.testing
        assert "pytest" not in sys.modules
        import pytest
        before = set(sys.modules)
        import freezethreads.testing.pytest_plugin
        print(*set(sys.modules) - before)
    """
    assert run_python(code).stdout == "freezethreads.testing.pytest_plugin\n"
