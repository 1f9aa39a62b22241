"""Which thread is the main one."""

from __future__ import annotations

import threading

from fork_helpers import forked
from freezethreads._ground.original import main
from helpers import start


def test_it_is_the_one_of_the_process() -> None:
    assert main.ident == threading.main_thread().ident


def test_in_the_child_of_a_fork_it_is_the_one_that_has_forked() -> None:
    def check() -> None:
        assert main.ident == threading.get_ident() == threading.main_thread().ident

    def fork_in_thread() -> None:
        assert main.ident != threading.get_ident()
        forked(lambda fork: fork(), check)

    start(fork_in_thread).finish()
