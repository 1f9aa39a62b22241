"""A record that is logged is a place to stop at, while its thread has no lock of `logging`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import freezethreads
from freezethreads import FreezeError, Freezer, FreezeTimeout
from helpers import HAS_GIL, WAIT, start, wait_for


class Handler(logging.Handler):
    """Calls `during` in each emit, with its own lock held."""

    def __init__(self, during: Callable[[], object]) -> None:
        super().__init__()
        self._during = during

    def emit(self, record: logging.LogRecord) -> None:
        self._during()


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    freezer = Freezer("under test")
    with freezethreads.install(freezer):
        yield freezer


def make_logger(name: str, handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger(name, logging.INFO)
    logger.addHandler(handler)
    return logger


@contextmanager
def looping(step: Callable[[], object]) -> Iterator[None]:
    """A thread that computes for ever, and does `step` in each round."""
    over, began = False, threading.Event()

    def run() -> None:
        while not over:
            step()
            if not began.is_set():
                began.set()

    thread = start(run, name="loop")
    try:
        wait_for(began)
        yield
    finally:
        over = True
        thread.finish()


def test_a_loop_that_computes_and_logs_is_stopped(freezer: Freezer) -> None:
    logger = make_logger("app", logging.NullHandler())
    with looping(lambda: logger.info("round")), freezer.freeze(timeout=WAIT) as world:
        (thread,) = world.threads
        assert thread.site is not None
        assert (thread.site.label, thread.site.kind) == ("Logger.handle", "wait")
        assert thread.site.filename == __file__


@pytest.mark.parametrize("older", [False, True])
def test_nobody_stops_with_the_lock_of_a_handler(older: bool) -> None:
    """The request comes while the thread is inside the handler, which logs something itself."""
    freezer = Freezer("under test")
    inner = make_logger("inner", logging.NullHandler())
    asking, inside = threading.Event(), threading.Event()

    def log_when_asked() -> None:
        record = freezer._registry.records[threading.get_ident()]
        while asking.is_set() and not record.is_asked:
            inside.set()
        inner.info("from a handler")

    early = Handler(log_when_asked)
    with freezethreads.install(freezer):
        handler = early if older else Handler(log_when_asked)
        outer = make_logger("outer", handler)
        with looping(lambda: outer.info("round")):
            asking.set()
            wait_for(inside)
            try:
                with freezer.freeze(timeout=WAIT) as world:
                    asking.clear()
                    assert len(world.threads) == 1
                    assert handler.lock is not None
                    assert handler.lock.acquire(blocking=False)
                    handler.lock.release()
            finally:
                asking.clear()


@pytest.mark.parametrize("name", ["freezethreads.control", "concurrent.futures", "asyncio"])
def test_a_record_of_a_library_that_others_wait_for_stops_nobody(
    name: str, freezer: Freezer
) -> None:
    logger = make_logger(name, logging.NullHandler())
    with (
        looping(lambda: logger.info("round")),
        pytest.raises(FreezeTimeout),
        freezer.freeze(timeout=0.05),
    ):
        pass


def test_a_controller_that_logs_to_a_handler_whose_thread_stands_is_told(freezer: Freezer) -> None:
    """It would wait for ever for the handler's lock. The next freeze is as good as any."""
    begun, over = threading.Event(), threading.Event()

    def take_long() -> None:
        begun.set()
        over.wait(WAIT)

    logger = make_logger("slow", Handler(take_long))
    thread = start(lambda: logger.info("goes on for long"), name="logs")
    wait_for(begun)
    for _ in range(2):
        with pytest.raises(FreezeError) as caught, freezer.freeze(timeout=WAIT):
            logger.info("hangs")
        message = str(caught.value)
        assert message.startswith("logs owns <locked ")
        assert f"for ever at {__file__}:" in message
        assert (f", acquired at {__file__}:" in message) is HAS_GIL
    over.set()
    thread.finish()
