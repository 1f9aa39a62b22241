"""Ctrl-C in a program that was frozen from outside: told at once, and raised at the thaw."""

from __future__ import annotations

import re
import select
import signal
import time

import pytest

from control_programs import Program, program
from control_programs import runtime as runtime
from freezethreads.control import connect
from helpers import WAIT

pytestmark = pytest.mark.usefixtures("runtime")

WAYS = {
    "safepoint": "while True: freezethreads.safepoint()",
    "region": "with freezethreads.blocking('input'): sys.stdin.read()",
    "wait": "sync.Event().wait()",
    "installed": "time.sleep(1000)",
}

MAIN = """
import sys, time
import freezethreads
from freezethreads import sync
if {way!r} == "installed":
    freezethreads.install()
freezethreads.serve()
try:
    with freezethreads.register("main"):
        print("ready", flush=True)
        {code}
except KeyboardInterrupt:
    print("interrupted", flush=True)
sys.stdin.read()  # the answer to who has thawed may be on its way
"""


def interrupt(running: Program) -> str:
    """Press Ctrl-C until it is answered. Returns the first line of the answer.

    A signal that comes just before a call blocks is dealt with by CPython when that call ends.
    """
    stderr = running.process.stderr
    assert stderr is not None
    give_up = time.monotonic() + WAIT
    while True:
        running.process.send_signal(signal.SIGINT)
        if select.select([stderr], [], [], 0.5)[0]:
            return stderr.readline()
        assert time.monotonic() < give_up, "nothing was said"


@pytest.mark.parametrize("way", WAYS)
def test_it_is_told_at_once_and_interrupted_at_the_thaw(way: str) -> None:
    with program(MAIN.format(way=way, code=WAYS[way])) as running:
        with connect(running.pid) as client:
            client.request("freeze", lease=30, reason="lunch", timeout=10)
            told = interrupt(running)
            assert client.request("hello")["state"] == "frozen", "told while it stands"
            client.request("thaw")
        assert running.line() == "interrupted"
        status, rest = running.end()
    assert status == 0
    assert all("interrupted, but" in line for line in rest.splitlines())
    assert re.fullmatch(
        r"freezethreads: interrupted, but <hold by \S+ for 'lunch'> has stood for \d+\.\d s, for "
        r"[123]\d\.\d s more. The interrupt comes after the thaw: "
        rf"`freezethreads thaw {running.pid}`\n",
        told,
    )


def test_of_a_hold_of_the_programs_own_nothing_is_said() -> None:
    code = """
import os, signal, sys, threading
import freezethreads

def hold():
    with freezethreads.hold(timeout=10):
        os.kill(os.getpid(), signal.SIGINT)
        sys.stdin.readline()

print("ready", flush=True)
with freezethreads.register("main"):
    thread = threading.Thread(target=hold)
    thread.start()
    try:
        while True:
            freezethreads.safepoint()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
thread.join()
"""
    with program(code) as running:
        running.say("go on")
        assert running.line() == "interrupted"
        assert running.end() == (0, "")
