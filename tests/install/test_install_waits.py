"""Every wait of the standard library that an installation covers, in a thread that knows nothing.

A thread in it counts as stopped; while it is frozen it does not come back and takes nothing; and it
goes on properly after the thaw, or when the installation ends meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import freezethreads
from freezethreads import Freezer, Installation, State
from helpers import WAIT
from install_waits import WAITS, is_back, record_of, until, waiting
from install_waits_fd import FD_WAITS
from install_waits_io import IO_WAITS
from install_waits_tls import TLS_WAITS

ALL = {**WAITS, **IO_WAITS, **FD_WAITS, **TLS_WAITS}
every_wait = pytest.mark.parametrize("name", ALL)


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture
def installation(freezer: Freezer) -> Iterator[Installation]:
    with freezethreads.install(freezer) as installation:
        yield installation


@every_wait
def test_a_thread_in_it_is_stopped_and_its_way_back_is_barred(
    freezer: Freezer, installation: Installation, name: str
) -> None:
    with ExitStack() as stack:
        wait = ALL[name](stack)
        with waiting(freezer, wait.call) as thread:
            record = record_of(freezer, thread)
            with freezer.freeze(timeout=WAIT):
                assert record.state is State.FROZEN
                wait.end()
                until(lambda: is_back(record))
                assert thread.is_alive()
                assert record.state is State.FROZEN
                assert wait.untouched()
            assert thread.finish() == wait.result


@every_wait
def test_it_goes_on_when_the_installation_ends(
    freezer: Freezer, installation: Installation, name: str
) -> None:
    with ExitStack() as stack:
        wait = ALL[name](stack)
        with waiting(freezer, wait.call) as thread:
            installation.uninstall()
            assert freezer.threads() == ()
            wait.end()
            assert thread.finish() == wait.result


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("recv", True),
        ("recv_with_flags", True),
        ("select_select", True),
        ("thread_join", True),
        ("child_wait", True),
        ("os_read", True),
        ("connect", False),
        ("tls_recv", False),
    ],
)
def test_it_tells_whether_a_fork_is_safe(
    freezer: Freezer, installation: Installation, name: str, safe: bool
) -> None:
    with ExitStack() as stack:
        wait = ALL[name](stack)
        with waiting(freezer, wait.call):
            (info,) = (info for info in freezer.threads() if info.name == "waiting")
            assert info.site is not None
            assert info.site.fork_safe is safe
            wait.end()
