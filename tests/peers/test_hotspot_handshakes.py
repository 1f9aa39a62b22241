"""HotSpot's handshake tests: runtime/handshake.

A todo is made at a safepoint, wherever else a freeze stops threads. A thread that suspends others
would be suspended itself between its `hold()` and the line that notes what that returned; then
nobody could thaw it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from freezethreads import Freezer, FreezeTimeout
from freezethreads._ground.arguments import Where
from freezethreads._registry.record import Record
from freezethreads._report import ownership, stragglers
from freezing import Pause, actor, before, looping, puppet
from helpers import WAIT
from machine import ANYWHERE
from peers import direct, handshakes
from peers.walks import Means, walk_stacks, walk_stacks_async

every_walk = pytest.mark.parametrize("walk", [walk_stacks, walk_stacks_async])

FALLBACKS = {
    "no inline polls": Means(polls=False),
    "no freezable wait": Means(wait="region"),
    "a waker": Means(wait="waker"),
    "debug mode": Means(debug=True),
    "debug mode, nothing else": Means(debug=True, polls=False, wait="region"),
    "nothing": Means(polls=False, wait="region"),
}


@pytest.mark.parametrize("lease", [None, WAIT], ids=["no lease", "lease"])
def test_handshake_walk_stack(lease: float | None) -> None:
    """HandshakeWalkStackTest: a handshake with a looping, an allocating and a waiting thread, with
    oneself and with all, and in a world: each is made once, in its thread."""
    walk_stacks(Means(lease=lease), rounds=10)


def test_async_handshake_walk_stack() -> None:
    """AsyncHandshakeWalkStackTest: the same without waiting for them."""
    walk_stacks_async(Means(), rounds=30)


@every_walk
@pytest.mark.parametrize("means", FALLBACKS.values(), ids=FALLBACKS)
def test_handshake_walk_stack_fallback(
    monkeypatch: pytest.MonkeyPatch, walk: Callable[[Means, int], None], means: Means
) -> None:
    """HandshakeWalkStackFallbackTest: the same where the quicker mechanism is not available."""
    monkeypatch.setattr(ownership, "tracking", False)  # debug mode leaves it on
    walk(means, 3)


@every_walk
def test_handshake_walk_stack_fallback_unrung(
    monkeypatch: pytest.MonkeyPatch, walk: Callable[[Means, int], None]
) -> None:
    """The same: who is in a freezable wait is not woken for what it is asked, and finds it when the
    wait ends by itself."""
    monkeypatch.setattr(Record, "rouse", lambda _: False)
    walk(Means(wait="bouts"), 3)


def test_handshake_walk_exit() -> None:
    """HandshakeWalkExitTest: 20 threads handshake with 128 that exit: no hang, and each handshake
    is made once, or never and its asker is told."""
    outcomes = handshakes.walk_exit(askers=3, threads=12)
    assert outcomes["exited"] >= 3  # each asker has asked one that passed no safepoint before go
    assert outcomes["done"] > 0
    assert outcomes["cancelled"] > 0


def test_handshake_walk_one_exit() -> None:
    """HandshakeWalkOneExitTest: the same with one thread at a time."""
    outcomes = handshakes.walk_one_exit(askers=3, rounds=5)
    assert outcomes == {"exited": outcomes["exited"]}
    assert outcomes["exited"] >= 3 * 5


def test_handshake_suspend_exit() -> None:
    """HandshakeSuspendExitTest: 16 threads suspend and resume each other and 128 that exit: they
    come to an end, although two of them may have suspended each other."""
    holds = handshakes.suspend_exit(suspenders=3, threads=12, holds=10)
    assert holds >= 3 * 2 * 10


@pytest.mark.parametrize("where", ["safepoint", ANYWHERE])
def test_handshake_direct(where: Where) -> None:
    """HandshakeDirectTest: 32 threads make 300,000 handshakes with each other, and safepoints."""
    assert direct.direct(4, 800, where) > 0


def test_handshake_timeout() -> None:
    """HandshakeTimeoutTest: the thread that does not answer is named, and no other."""
    freezer = Freezer()
    with looping(freezer, 2), puppet(freezer) as late:
        with pytest.raises(FreezeTimeout) as caught:
            freezer.freeze(timeout=0.5)
        assert [straggler.ident for straggler in caught.value.stragglers] == [late.worker.ident]
        assert late.worker.name in str(caught.value)
        assert "stopped meanwhile" not in str(caught.value)


def test_handshake_timeout_of_one_that_stops_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of one that does answer while the report is written: that says so.

    1. the time is out, and the report is begun
    2. the thread stops
    3. the report is finished
    """
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer) as late, actor() as controller:
        pause = Pause(controller.worker)
        before(monkeypatch, stragglers, "sleep", pause)
        freezing = controller.tell(freezer.freeze, timeout=0)
        pause.wait()
        region = late.block(over)
        pause.go()
        error = freezing.exception(WAIT)
        assert isinstance(error, FreezeTimeout)
        assert f"{late.worker.name} ({late.worker.ident}) FROZEN, stopped meanwhile" in str(error)
        over.set()
        region.result(WAIT)
    assert not freezer.armed
