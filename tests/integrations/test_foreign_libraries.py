"""Libraries that wait in C of their own: their threads stand, and lose nothing."""

from __future__ import annotations

import copy
import importlib
import importlib.resources
import importlib.util
import pickle
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import freezethreads
from foreign_libraries import PSYCOPG, ZMQ, Imported, Libraries, libraries, orders
from freezethreads import Freezer, Installation, State
from freezethreads._install._foreign import Finder, rows_of
from freezethreads._install._patches import find_patches
from helpers import WAIT, start
from install_waits import is_back, record_of, until, waiting


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture
def provide(tmp_path: Path) -> Iterator[Libraries]:
    """Have these libraries be importable."""
    with ExitStack() as stack:
        yield lambda files: stack.enter_context(libraries(tmp_path, files))


def names_of(zmq: Any) -> list[object]:
    sugar = zmq.sugar
    polls = [zmq.zmq_poll, sugar.poll.zmq_poll]
    return [zmq.Socket.recv, zmq.Socket.send, *polls, zmq.proxy, sugar.proxy]


@orders
def test_a_message_stays_in_its_socket(freezer: Freezer, provide: Libraries, order: str) -> None:
    provide(ZMQ)
    with (
        Imported(freezer, "zmq", order) as zmq,
        zmq.Socket() as sock,
        waiting(freezer, lambda: sock.recv()) as receiving,
    ):
        record = record_of(freezer, receiving)
        with freezer.freeze(timeout=WAIT) as world:
            assert [info.state for info in world.threads] == [State.FROZEN]
            site = world.threads[0].site
            assert site is not None
            assert (site.kind, site.label, site.filename) == ("wait", "Socket.recv", __file__)
            sock.there.send(b"x")
            until(lambda: is_back(record))
            assert sock.taken == 0
        assert receiving.finish() == b"x"


def test_one_for_a_buffer_stays_there_too(freezer: Freezer, provide: Libraries) -> None:
    provide(ZMQ)
    buffer = bytearray(1)
    with (
        Imported(freezer, "zmq", "after") as zmq,
        zmq.Socket() as sock,
        waiting(freezer, lambda: sock.recv_into(buffer, nbytes=1)) as receiving,
    ):
        record = record_of(freezer, receiving)
        with freezer.freeze(timeout=WAIT):
            sock.there.send(b"x")
            until(lambda: is_back(record))
            assert sock.taken == 0
        assert receiving.finish() == 1
        assert buffer == b"x"


def test_a_socket_that_cannot_receive_says_so(freezer: Freezer, provide: Libraries) -> None:
    provide(ZMQ)
    with Imported(freezer, "zmq", "after") as zmq, zmq.Socket() as sock:
        sock.receives = False
        for call in sock.recv, lambda: sock.recv_into(bytearray(1)):
            with pytest.raises(OSError, match="only sends"):
                start(call).finish()


def test_a_thread_that_always_finds_a_message_stops(freezer: Freezer, provide: Libraries) -> None:
    provide(ZMQ)
    over = threading.Event()

    def receive() -> None:
        while not over.is_set():
            sock.there.send(b"x")
            sock.recv()

    with Imported(freezer, "zmq", "after") as zmq, zmq.Socket() as sock:
        receiving = start(receive)
        record_of(freezer, receiving)
        with freezer.freeze(timeout=WAIT) as world:
            assert [info.state for info in world.threads] == [State.FROZEN]
        over.set()
        receiving.finish()


@orders
@pytest.mark.parametrize(
    "call",
    [
        lambda zmq, sock: zmq.proxy(sock, sock),
        lambda zmq, sock: zmq.device(1, sock, sock),
        lambda zmq, sock: zmq.zmq_poll([(sock, 1)]),
        lambda zmq, sock: sock.poll(),
    ],
)
def test_a_thread_stands_in_each_wait(
    freezer: Freezer, provide: Libraries, order: str, call: Callable[[Any, Any], object]
) -> None:
    provide(ZMQ)
    with (
        Imported(freezer, "zmq", order) as zmq,
        zmq.Socket() as sock,
        waiting(freezer, lambda: call(zmq, sock)),
    ):
        with freezer.freeze(timeout=WAIT) as world:
            assert [info.state for info in world.threads] == [State.FROZEN]
        sock.there.send(b"x")


def test_it_waits_for_room(freezer: Freezer, provide: Libraries) -> None:
    provide(ZMQ)
    with Imported(freezer, "zmq", "after") as zmq, zmq.Socket() as sock:
        with pytest.raises(zmq.Again):
            start(lambda: [sock.send(bytes(4096), zmq.NOBLOCK) for _ in range(10_000)]).finish()
        with waiting(freezer, lambda: sock.send(bytes(4096))):
            with freezer.freeze(timeout=WAIT) as world:
                assert [info.state for info in world.threads] == [State.FROZEN]
            sock.drain()


def test_a_call_that_must_not_wait_or_not_for_so_long(freezer: Freezer, provide: Libraries) -> None:
    provide(ZMQ)
    with Imported(freezer, "zmq", "after") as zmq, zmq.Socket() as sock:
        for call in (
            lambda: sock.recv(zmq.NOBLOCK),
            lambda: sock.recv(flags=zmq.NOBLOCK),
        ):
            with pytest.raises(zmq.Again):
                start(call).finish()
        sock.rcvtimeo = 10
        with pytest.raises(zmq.Again):
            start(sock.recv).finish()
        assert sock.flags[-1] == zmq.NOBLOCK, "it would wait for as long again"
        sock.there.send(b"x")
        assert start(lambda: sock.recv(copy=False)).finish() == b"x"


@orders
def test_it_is_undone(freezer: Freezer, provide: Libraries, order: str) -> None:
    provide(ZMQ)
    zmq = importlib.import_module("zmq")
    plain = names_of(zmq)
    for name in [one for one in sys.modules if one.partition(".")[0] == "zmq"]:
        if order == "after":
            del sys.modules[name]
    with Imported(freezer, "zmq", order) as zmq:
        replaced = names_of(zmq)
        assert not {*replaced} & {*plain}
    undone = names_of(zmq)
    assert not {*undone} & {*replaced}
    if order == "before":
        assert undone == plain
    assert "recv" not in vars(zmq.Socket)
    assert not any(isinstance(finder, Finder) for finder in sys.meta_path)


def test_the_import_leaves_nothing_of_ours(freezer: Freezer, provide: Libraries) -> None:
    provide(ZMQ)
    with Imported(freezer, "zmq", "after") as zmq:
        assert type(zmq.__loader__) is type(zmq.__spec__.loader) is SourceFileLoader
        text = importlib.resources.files(zmq).joinpath("__init__.py").read_text()
        assert text == ZMQ["zmq/__init__.py"]
        assert type(importlib.util.find_spec("zmq").loader) is SourceFileLoader  # type: ignore[union-attr]


def test_a_finder_of_another_shape(
    freezer: Freezer, provide: Libraries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with nothing but `invalidate_caches`, say: importlib passes it since Python 3.12."""

    class Finding:
        def find_module(self, name: str, path: object = None) -> None:
            """As Python 3.11 asks."""

    provide(ZMQ)
    monkeypatch.setattr(sys, "meta_path", [Finding(), *sys.meta_path])
    with (
        pytest.warns(ImportWarning) if sys.version_info < (3, 12) else nullcontext(),
        Imported(freezer, "zmq", "after") as zmq,
    ):
        assert "recv" in vars(zmq.Socket)


def test_a_spec_can_be_copied_and_pickled(freezer: Freezer, provide: Libraries) -> None:
    provide(ZMQ)
    with freezethreads.install(freezer):
        spec = importlib.util.find_spec("zmq")
        assert spec is not None
        for made in copy.deepcopy(spec), pickle.loads(pickle.dumps(spec)):
            assert type(made.loader) is SourceFileLoader
            assert made.loader.path == spec.origin


def test_a_library_that_is_reloaded(
    freezer: Freezer, provide: Libraries, caplog: pytest.LogCaptureFixture
) -> None:
    provide({**ZMQ, **PSYCOPG, "psycopg/waiting.py": PSYCOPG["psycopg/waiting.py"] + RELOADED})
    with freezethreads.install(freezer) as installation:
        zmq = importlib.import_module("zmq")
        waiting_in_c = importlib.import_module("psycopg.waiting")
        made = repr(installation)
        for library in zmq, waiting_in_c:
            importlib.reload(library)
        assert hasattr(zmq.proxy, "__wrapped__")
        assert hasattr(waiting_in_c.wait, "__wrapped__")
        assert repr(installation) == made
    assert not hasattr(zmq.proxy, "__wrapped__")
    assert not hasattr(waiting_in_c.wait, "__wrapped__")
    assert not caplog.records


RELOADED = """
def wait(generator, descriptor):
    pass
"""


def test_a_library_that_is_imported_anew(freezer: Freezer, provide: Libraries) -> None:
    provide(ZMQ)
    with freezethreads.install(freezer):
        former = importlib.import_module("zmq")
        for name in [one for one in sys.modules if one.partition(".")[0] == "zmq"]:
            del sys.modules[name]
        zmq = importlib.import_module("zmq")
        assert zmq.Socket is not former.Socket
        both = [zmq.Socket, former.Socket]
        assert ["recv" in vars(one) for one in both] == [True, True]
    assert ["recv" in vars(one) for one in both] == [False, False]


def test_a_copy_of_somebody_is_no_import(freezer: Freezer, provide: Libraries) -> None:
    provide({**ZMQ, "zmq/__init__.py": "NOBLOCK = 1"})
    with freezethreads.install(freezer):
        spec = importlib.util.find_spec("zmq")
        assert spec is not None
        assert spec.loader is not None
        for copied in importlib.util.module_from_spec(spec), ModuleType("zmq"):
            spec.loader.exec_module(copied)
            assert copied.NOBLOCK == 1
    assert not {"zmq", "zmq.sugar"} & {*sys.modules}


def test_an_import_that_fails_fails_as_ever(freezer: Freezer, provide: Libraries) -> None:
    provide({**ZMQ, "zmq/sugar/poll.py": "raise OSError('no such C library')"})
    with freezethreads.install(freezer):
        with pytest.raises(OSError, match="no such C library"):
            importlib.import_module("zmq")
        assert "zmq" not in sys.modules
        provide(ZMQ)
        importlib.invalidate_caches()
        zmq = importlib.import_module("zmq")
        with zmq.Socket() as sock, waiting(freezer, sock.recv):
            freezer.freeze(timeout=WAIT).thaw()
            sock.there.send(b"x")


def test_a_library_of_another_shape(freezer: Freezer, provide: Libraries) -> None:
    """What it does not have is not replaced, and it is no less importable."""
    provide({"zmq/__init__.py": "proxy = len", "zmq/backend.py": "zmq_poll = len"})
    with Imported(freezer, "zmq", "after") as zmq:
        assert zmq.proxy("xy") == 2
        assert zmq.proxy is not len
    provide({"psycopg/__init__.py": "", "psycopg/waiting.py": "wait = len"})
    with Imported(freezer, "psycopg.waiting", "after") as waiting:
        assert waiting.wait("xy") == 2


def test_one_that_is_not_there(freezer: Freezer) -> None:
    with freezethreads.install(freezer), pytest.raises(ModuleNotFoundError, match="zmq"):
        importlib.import_module("zmq")


def test_an_import_that_ends_after_the_installation(freezer: Freezer, provide: Libraries) -> None:
    provide(ZMQ)
    installation = freezethreads.install(freezer)
    installation.uninstall()
    zmq = importlib.import_module("zmq")
    plain = names_of(zmq)
    installation._add(find_patches(rows_of("zmq")))
    assert names_of(zmq) == plain


def test_two_threads_that_notice_one_import(freezer: Freezer, provide: Libraries) -> None:
    """`install()` finds a library that is just being imported, and so does the import's end."""
    provide(ZMQ)
    zmq = importlib.import_module("zmq")
    plain = names_of(zmq)
    installation = freezethreads.install(freezer)
    made = len(installation._patches)
    installation._add(find_patches(rows_of("zmq")))
    assert len(installation._patches) == made
    installation.uninstall()
    assert names_of(zmq) == plain


def test_nothing_is_replaced_without_patches(freezer: Freezer, provide: Libraries) -> None:
    if sys.version_info < (3, 12):
        pytest.skip("there it cannot be had")
    provide(ZMQ)
    with freezethreads.install(freezer, patch=False):
        zmq = importlib.import_module("zmq")
        assert "recv" not in vars(zmq.Socket)
        assert not any(isinstance(finder, Finder) for finder in sys.meta_path)


# psycopg.


@orders
def test_psycopg_waits_in_python(freezer: Freezer, provide: Libraries, order: str) -> None:
    """Its function of C would execute the generator in a thread that stands."""
    provide(PSYCOPG)
    here, there = socket.socketpair()
    steps: list[object] = []

    def generator() -> Any:
        steps.append((yield select.POLLIN))
        return "done"

    with (
        here,
        there,
        Imported(freezer, "psycopg.waiting", order) as psycopg,
        waiting(freezer, lambda: psycopg.wait(generator(), here.fileno())) as thread,
    ):
        with freezer.freeze(timeout=WAIT) as world:
            there.send(b"x")
            assert [info.state for info in world.threads] == [State.FROZEN]
            assert steps == []
        assert thread.finish() == "done"


def test_the_installation_says_how_many(freezer: Freezer, provide: Libraries) -> None:
    provide(PSYCOPG)
    with freezethreads.install(freezer) as installation:
        before = repr(installation)
        importlib.import_module("psycopg.waiting")
        assert repr(installation) != before
        assert isinstance(installation, Installation)
