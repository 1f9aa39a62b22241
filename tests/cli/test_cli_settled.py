"""A freeze by the command that is to find something settled."""

from __future__ import annotations

import json
from pathlib import Path

from commands import Captured, fail, say
from control_programs import PREAMBLE, SERVE, program
from control_programs import runtime as runtime
from freezethreads.cli import main

UNSETTLED = PREAMBLE + """
begun = threading.Event()
def work():
    with freezethreads.register("works"), freezethreads.pending("tx"):
        begun.set()
        while True: freezethreads.safepoint(); time.sleep(0.001)
threading.Thread(target=work, daemon=True).start()
begun.wait()
""" + SERVE + "sys.stdin.read()"  # fmt: skip


def test_what_is_to_be_settled(capsys: Captured, runtime: Path) -> None:
    """Stuck knows nothing of that; and a kind that is misspelled is told."""
    with program(UNSETTLED) as served:
        arguments = ("freeze", served.pid, "--timeout", 0.2, "--settled")
        _, err = fail(capsys, *arguments, "tx")
        assert err.endswith(f"`freezethreads dump {served.pid}` shows where its threads are\n")
        told = say(capsys, *arguments, "txx")
        assert told.splitlines()[1:] == [
            "  nothing of 'txx' was ever pending or outstanding, so it waited for nothing; "
            "there is 'tx'"
        ]
        assert main([*map(str, arguments), "txx", "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert (answer["unknown"], answer["kinds"]) == (["txx"], ["tx"])
        say(capsys, "thaw", served.pid)
