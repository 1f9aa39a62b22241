"""A freeze from outside: a hold with a lease, which ends with its client unless it is kept."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control_programs import runtime as runtime
from freezethreads import Freezer
from freezethreads._controller.standing import standing
from freezethreads.control import (
    Client,
    FreezeFailed,
    RequestRefused,
    Serving,
    _holds,
    _session,
    connect,
)
from freezethreads.control._requests import REQUESTS
from freezing import Loops, actor, looping, puppet
from helpers import WAIT, raise_once, start, wait_until
from in_steps import wait_until_asked

ME = os.getpid()


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("served")


@pytest.fixture
def serving(runtime: Path, freezer: Freezer) -> Iterator[Serving]:
    with freezer.serve() as serving:
        yield serving
    wait_until(lambda: not freezer.armed)


@pytest.fixture
def loops(freezer: Freezer, serving: Serving) -> Iterator[Loops]:
    with looping(freezer, 2) as loops:
        yield loops
        serving.close()  # which thaws: they are to end


def stand(loops: Loops) -> bool:
    return all(info.state.name == "FROZEN" for info in loops.freezer.threads())


def test_it_stands_until_the_thaw(loops: Loops) -> None:
    with connect(ME) as client:
        answer = client.request("freeze", reason="to look", timeout=WAIT)
        assert (answer["threads"], answer["lease"]) == (2, 60.0)
        assert stand(loops)
        (freeze,) = client.request("threads")["freezer"]["freezes"]
        assert (freeze["kind"], freeze["reason"], freeze["state"]) == ("hold", "to look", "frozen")
        assert freeze["by"] == f"freezethreads-control-for-{ME}"
        assert client.request("hello")["state"] == "frozen"
        assert client.request("thaw")["thawed"] == 1
        loops.progress()
        assert client.request("thaw")["thawed"] == 0


def test_hooks_are_called_if_it_is_asked_for(
    loops: Loops, freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    freezer.hook(lambda: calls.append("+"), lambda: calls.append("-"))
    with connect(ME) as client:
        client.request("freeze", timeout=WAIT)
        client.request("thaw")
        assert not calls
        client.request("freeze", timeout=WAIT, hooks=True)
        assert calls == ["+"]
        client.request("thaw")
        assert calls == ["+", "-"]
        with freezer.hook(raise_once(OSError)), pytest.raises(FreezeFailed, match="OSError"):
            client.request("freeze", timeout=WAIT, hooks=True)
        loops.progress()
        with freezer.hook(after=raise_once(OSError), name="bad"):
            client.request("freeze", timeout=WAIT, hooks=True)
            assert client.request("thaw")["thawed"] == 1
        loops.progress()
        hooks = client.request("statistics")["statistics"]["hooks"]
        (bad,) = (times for times in hooks if times["name"] == "bad")
        assert bad["after"]["count"] == 1
    assert "an `after` of the hooks of" in caplog.text
    with pytest.raises(RequestRefused, match="hooks must be true or false"), connect(ME) as client:
        client.request("freeze", hooks="yes")


def test_what_was_done_is_counted(loops: Loops) -> None:
    with connect(ME) as client:
        client.request("freeze")
        client.request("thaw")
        statistics = client.request("statistics")["statistics"]
        assert (statistics["freezes"], statistics["timeouts"]) == (1, 0)
        (site,) = client.request("sites")["sites"]
        assert (site["label"], site["hits"]) == ("loop", 2)


def test_one_group_alone(loops: Loops, freezer: Freezer) -> None:
    with puppet(freezer, "io") as other, connect(ME) as client:
        other.do(freezer.safepoint)
        over = threading.Event()
        passing = other.pass_safepoints(over)
        assert client.request("freeze", group="io")["threads"] == 1
        loops.progress()
        client.request("thaw")
        over.set()
        passing.result(WAIT)


def test_several_groups_in_order(loops: Loops, freezer: Freezer) -> None:
    with puppet(freezer, "io") as other, connect(ME) as client:
        other.do(freezer.safepoint)
        with actor() as asker:
            frozen = asker.tell(client.request, "freeze", group=["io", ""], keep=True)
            wait_until_asked(other)
            loops.progress()
            assert not frozen.done()
            over = threading.Event()
            passing = other.pass_safepoints(over)
            assert frozen.result(WAIT)["threads"] == 3
        (freeze,) = client.request("threads")["freezer"]["freezes"]
        assert (freeze["group"], freeze["threads"]) == ("io, ", 3)
        assert client.request("thaw")["thawed"] == 1
        over.set()
        passing.result(WAIT)


def test_it_ends_with_its_client(loops: Loops) -> None:
    client = connect(ME)
    client.request("freeze")
    assert stand(loops)
    client.close()
    loops.progress()


def test_one_that_is_kept_does_not_and_anybody_can_thaw_it(loops: Loops) -> None:
    with connect(ME) as client:
        client.request("freeze", keep=True)
    with connect(ME) as other:
        assert stand(loops)
        assert other.request("thaw")["thawed"] == 1
    loops.progress()


def test_nobody_thaws_what_another_client_holds(loops: Loops) -> None:
    with connect(ME) as client, connect(ME) as other:
        client.request("freeze")
        answer = other.request("thaw")
        assert answer["thawed"] == 0
        assert len(answer["freezers"][0]["freezes"]) == 1
        assert stand(loops)


def test_it_ends_with_its_lease_whatever_the_server_does(
    loops: Loops, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's thread is stuck in an answer meanwhile."""
    stuck, over = threading.Event(), threading.Event()

    def get_stuck(*_: object) -> dict[str, object]:
        stuck.set()
        over.wait(WAIT)
        return {}

    monkeypatch.setitem(REQUESTS, "get stuck", get_stuck)
    with connect(ME) as client:
        client.request("freeze", lease=0.3)
        waiting = start(client.request, "get stuck")
        assert stuck.wait(WAIT)
        loops.progress()
        wait_until(lambda: loops.freezer.statistics().lease_expiries == 1)
        over.set()
        waiting.finish()
        with pytest.raises(FreezeFailed, match="the lease of <hold"):
            client.request("renew")


def test_a_renewal_starts_the_lease_anew(loops: Loops, freezer: Freezer) -> None:
    with connect(ME) as client:
        client.request("freeze", lease=WAIT)
        assert client.request("renew", lease=WAIT * 10) == {"lease": WAIT * 10}
        assert client.request("renew") == {"lease": WAIT * 10}
        (freeze,) = standing(freezer)
        (lease,) = freeze.leases
        assert WAIT < lease._deadline.remaining() <= WAIT * 10
        assert freezer.statistics().lease_expiries == 0
        client.request("thaw")
        with pytest.raises(FreezeFailed, match="holds nothing: ask for a freeze"):
            client.request("renew")


def test_of_one_group_there_is_one_at_a_time(loops: Loops, freezer: Freezer) -> None:
    with connect(ME) as client:
        for reason in ("first", "second"):
            client.request("freeze", reason=reason, keep=True)
        (freeze,) = standing(freezer)
        assert freeze.asked.reason == "second"
        client.request("thaw")
    loops.progress()


def test_there_are_only_so_many(
    loops: Loops, freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_holds, "_MOST", 3)
    with connect(ME) as client:
        for number in range(3):
            client.request("freeze", group=f"g{number}", keep=True)
        with pytest.raises(RequestRefused, match="3 holds from outside") as caught:
            client.request("freeze", group="g3")
        assert caught.value.kind == "busy"
        client.request("freeze", group="g0", keep=True, lease=0.01)
        wait_until(lambda: len(standing(freezer)) == 2)
        client.request("freeze", group="g3", keep=True)
        assert client.request("thaw")["thawed"] == 3


# When not all stop.


def test_a_timeout_reports_the_stragglers_and_lets_all_go(loops: Loops, freezer: Freezer) -> None:
    with puppet(freezer), connect(ME) as client:
        with pytest.raises(FreezeFailed, match="1 of 3 threads did not stop") as caught:
            client.request("freeze", timeout=0.5)
        assert caught.value.kind == "timeout"
        (straggler,) = caught.value.details["stragglers"]
        assert (straggler["name"], straggler["moving"]) == ("puppet", False)
        assert straggler["stack"][-1][2] in straggler["text"]
        loops.progress()


def test_other_clients_are_answered_while_one_waits(loops: Loops, freezer: Freezer) -> None:
    with puppet(freezer) as late, connect(ME) as client, connect(ME) as other:
        waiting = start(lambda: client.request("freeze", timeout=WAIT))
        wait_until(lambda: other.request("hello")["state"] == "freezing")
        assert other.request("thaw")["thawed"] == 0
        over = threading.Event()
        passing = late.pass_safepoints(over)
        waiting.finish()
        client.request("thaw")
        over.set()
        passing.result(WAIT)


@pytest.mark.parametrize("more", [b"", b"x"])
@pytest.mark.parametrize(
    "arguments", [("freeze", True), ("freeze", False), ("stuck", None)], ids=str
)
def test_a_client_that_goes_while_it_waits_lets_all_go(
    loops: Loops,
    freezer: Freezer,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, bool | None],
    more: bytes,
) -> None:
    """Also if it has said something more meanwhile, that nobody has read."""
    monkeypatch.setattr(_session, "_LOOK", 0.02)
    with puppet(freezer):
        client = connect(ME)
        waiting = start(_ask, client, *arguments)
        wait_until(lambda: bool(standing(freezer)))
        client._channel.socket.sendall(more)
        client.close()
        waiting.finish()
        loops.progress()
        assert not standing(freezer)


def _ask(client: Client, name: str, keep: bool | None) -> None:
    with pytest.raises(Exception, match="ceased to serve"):
        client.request(name, timeout=600, keep=keep)


def test_a_client_that_cannot_be_told_does_not_keep_it(
    loops: Loops, freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes after the last look at it and before the answer: nobody knows of that hold."""
    stood, gone = threading.Event(), threading.Event()
    put = _holds.Holds.put

    def put_late(*args: Any) -> None:
        put(*args)
        stood.set()
        assert gone.wait(WAIT)

    monkeypatch.setattr(_holds.Holds, "put", put_late)
    client = connect(ME)
    waiting = start(_ask, client, "freeze", True)
    assert stood.wait(WAIT)
    client.close()
    gone.set()
    waiting.finish()
    loops.progress()
    wait_until(lambda: not standing(freezer))


# What is asked wrongly.

WRONG: list[tuple[str, dict[str, object], str]] = [
    ("dance", {}, "no such request: 'dance'; there are hello, "),
    ("hello", {"x": 1}, "no such argument: 'x'; it takes none"),
    ("renew", {"x": 1}, "no such argument: 'x'; it takes lease"),
    ("freeze", {"timeout": -1}, "timeout must be a number of seconds above 0"),
    ("freeze", {"timeout": "1"}, "timeout must be a number"),
    ("freeze", {"timeout": True}, "timeout must be a number"),
    ("freeze", {"timeout": 10**400}, "timeout must be a number"),
    ("freeze", {"lease": 0}, "lease must be a number of seconds above 0"),
    ("freeze", {"lease": 1e305}, "lease must be a number of seconds above 0 and below 1e"),
    ("freeze", {"group": 1}, "group must be a string"),
    ("freeze", {"group": "a..b"}, "group must be a dotted name"),
    ("freeze", {"group": ["a", 1]}, "group must be a string"),
    ("freeze", {"group": []}, "group must name a group at least"),
    ("freeze", {"group": ["a", "a.b"]}, "group 'a.b' stops with 'a', which comes before it"),
    ("freeze", {"group": [f"a{number}" for number in range(101)]}, "at most 100 names"),
    ("freeze", {"reason": "x" * 201}, "reason must be a string of at most 200"),
    ("freeze", {"keep": 1}, "keep must be true or false"),
    ("threads", {"freezer": "nobody"}, "no freezer 'nobody' is served here, but 'served'"),
]


@pytest.mark.parametrize(("name", "arguments", "match"), WRONG)
def test_wrong_use_is_refused(
    loops: Loops, name: str, arguments: dict[str, Any], match: str
) -> None:
    with connect(ME) as client:
        with pytest.raises(RequestRefused, match=match) as caught:
            client.request(name, **arguments)
        assert caught.value.kind == "wrong"
        assert not isinstance(caught.value, FreezeFailed)
        assert client.request("hello")["state"] == "running"
