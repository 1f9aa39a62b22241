"""threads --watch, on a terminal of its own: what it shows, and its keys."""

from __future__ import annotations

import signal
import sys

import pytest

from commands import watching
from control_programs import Program, program
from control_programs import runtime as runtime
from freezethreads.cli import main
from freezethreads.control import connect
from helpers import wait_until

pytestmark = pytest.mark.usefixtures("runtime")


def state_of(served: Program) -> str:
    with connect(served.pid) as client:
        state: str = client.hello["state"]
        return state


def test_a_key_freezes_thaws_and_quits() -> None:
    with program() as served, watching(served) as terminal:
        terminal.see("2 registered threads, 1 other, running")
        terminal.press("f")
        terminal.see("2 registered threads, 1 other, frozen")
        terminal.see("between two counts")
        assert state_of(served) == "frozen"
        terminal.press("t")
        terminal.see("2 registered threads, 1 other, running")
        assert state_of(served) == "running"
        terminal.press("f")
        wait_until(lambda: state_of(served) == "frozen")
        terminal.press("q")
        assert terminal.end() == (0, "")
        wait_until(lambda: state_of(served) == "running")


def test_a_narrow_terminal_shows_a_line_a_thread() -> None:
    with program() as served, watching(served, width=50) as terminal:
        terminal.see("2 registered threads, 1 other,")  # and the rest in the next line
        terminal.press("f")
        terminal.see("one         frozen        safepoint ...<string>:")
        terminal.see("(no room for ")
        terminal.press("q")
        assert terminal.end() == (0, "")


def test_a_freeze_that_fails_is_shown() -> None:
    with program() as served, watching(served) as terminal:
        terminal.see("2 registered threads, 1 other, running")
        with connect(served.pid) as client:
            client.request("freeze")
            terminal.press("t")
            terminal.see("not thawed: process ")
            terminal.see("2 registered threads, 1 other, frozen")
        terminal.press("\x04")
        assert terminal.end() == (0, "")


def test_a_process_that_ends_ends_it() -> None:
    with program() as served, watching(served) as terminal:
        terminal.see("2 registered threads, 1 other, running")
        served.kill()
        status, errors = terminal.end()
        assert status == 1
        assert errors.endswith(f"process {served.pid} ended in the middle of this\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_quietly(number: signal.Signals) -> None:
    with program() as served, watching(served) as terminal:
        terminal.see("2 registered threads, 1 other, running")
        terminal.process.send_signal(number)  # as Ctrl-C does SIGINT on a terminal of one's own
        assert terminal.end() == (128 + number, "")
        terminal.see("\x1b[?1049l")  # what was shown before is there again


def test_a_closed_input_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as after <&-
    with pytest.raises(SystemExit, match="2"):
        main(["threads", "1", "--watch"])
    assert capsys.readouterr().err == "freezethreads threads: --watch needs a terminal\n"


def test_without_rich_it_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("rich")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    with pytest.raises(SystemExit) as ended:
        main(["threads", "1", "--watch"])
    err = capsys.readouterr().err
    assert ended.value.code == 2
    assert err == "freezethreads threads: --watch needs rich: pip install rich\n"
