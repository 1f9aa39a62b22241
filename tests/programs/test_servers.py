"""`install()` on servers that nobody wrote for it, under load: frozen over and over, and unharmed.

The load is in this process, the server in one of its own, or several, and in each of these there is
a controller that freezes it at random and looks around. `servers_app` says what is to be in order.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from servers_controller import GOAL
from servers_load import Load, load_on
from servers_process import serving
from servers_start import THREADS

# Where the threads of each server stood, among other places, and where those of the application.
WAITS = {
    "http.server": "socket.recv_into",
    "waitress": "select.select",
    "waitress by poll": "poll.poll",
    "cheroot": "socket.recv_into",
    "gunicorn": "socket.recv",
}
COMMON = {"Condition.wait", "SimpleQueue.get", "sleep"}


@pytest.mark.parametrize(
    ("name", "mode", "processes"),
    [
        ("http.server", "install", 1),
        ("waitress", "install", 1),
        ("cheroot", "install", 1),
        ("gunicorn", "install", 1),
        ("waitress by poll", "run", 1),
        ("gunicorn", "run", 2),
    ],
)
def test_frozen_in_mid_load(name: str, mode: str, processes: int) -> None:
    with serving(name, mode, processes) as server:
        with load_on(server.port) as load:
            for report in server.read_reports():
                check_report(report, WAITS[name])
        check_totals(server.read_totals(), load)
        log = server.end()
    assert "Traceback" not in log


def check_report(report: dict[str, Any], wait: str) -> None:
    """One process was frozen often enough, found in order each time, and would else be noticed."""
    assert report["faults"] == [], report
    assert report["in load"] >= GOAL, report
    assert report["threads"][1] >= THREADS, report
    assert {wait, *COMMON} <= set(report["sites"]), report
    # The same looks at the same threads while they ran.
    assert report["torn unfrozen"] > 0, report
    assert report["moved unfrozen"] >= GOAL / 2, report
    # And what no freezer can put in order for a program that waits in the middle of it.
    assert report["vault torn"] > 0, report


def check_totals(totals: list[dict[str, Any]], load: Load) -> None:
    """Every request was served once, did its work once, and left nothing half done."""
    answered = sum((Counter(total["paths"]) for total in totals), Counter[str]())
    assert answered == load.asked
    state = {name: sum(total["state"][name] for total in totals) for name in totals[0]["state"]}
    requests = answered.total()
    assert (state["begun"], state["ended"]) == (requests, requests)
    assert state["paid_in"] == load.paid_in
    assert state["transfers"] == answered["/transfer"] + answered["/pool"]
    questions = answered["/desk"] + answered["/pool"]
    assert (state["asked"], state["answered"], state["waiting"]) == (questions, questions, 0)
    assert (state["left"], state["right"]) == (answered["/vault"], answered["/vault"])
