"""``freezethreads dump``: what py-spy sees and what the process knows, joined, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dump_programs import LINE, Program
from freezethreads.cli import main
from freezethreads.cli._pyspy import join
from freezethreads.control import connect
from helpers import HAS_GIL, ROOT, WAIT, wait_until


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    patch = pytest.MonkeyPatch()
    path = Path(tempfile.mkdtemp(prefix="ft-"))  # short, as the path of a socket has to be
    patch.setenv("XDG_RUNTIME_DIR", str(path))
    patch.setenv("PYTHONPATH", str(ROOT))
    yield path
    shutil.rmtree(path)
    patch.undo()


@pytest.fixture(scope="module")
def program(folder: Path) -> Iterator[Program]:
    running = Program(folder)
    yield running
    running.kill()


@pytest.fixture
def dump(program: Program, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command in this process; returns what it prints."""

    def run(*options: str, status: int = 0) -> str:
        assert main(["dump", program.pid, *options]) == status
        out, err = capsys.readouterr()
        assert err == ""
        assert program.state() == "running"
        return out

    return run


def part(text: str, name: str) -> str:
    """What the output says of one thread."""
    (found,) = (block for block in text.split("\n\n") if block.startswith(f"{name} (ident"))
    return found


def hide_pyspy(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str | None) -> None:
    """Have the command find this in py-spy's place, or nothing."""
    path = folder / "fakes"
    path.mkdir(exist_ok=True)
    fake = path / "py-spy"
    fake.unlink(missing_ok=True)
    if script is not None:
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
    monkeypatch.setattr("freezethreads.cli._pyspy._path", lambda: str(path))


def is_readable() -> bool:
    """Whether py-spy reads this Python: a free-threaded one it does not."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def test_all_is_joined(program: Program, dump: Any) -> None:
    text = dump()
    worker = part(text, "worker")
    assert "3 registered threads, 1 other; frozen within " in text
    assert "'dump' stands for" in text
    assert re.search(
        r"group io\.disk\): FROZEN for .* at safepoint 'between files' \(.*:\d+\)$",
        worker.splitlines()[0],
    )
    assert re.search(r"^  owns <locked freezethreads.sync.Lock ", worker, re.MULTILINE)
    mark = rf"^--> (Worker\.)?work \({re.escape(str(program.path))}:{LINE}\)$"
    assert re.search(r"\(\d+ frames of freezethreads\)\n" + mark[1:], worker, re.MULTILINE)
    assert re.search(r": FROZEN for .* at blocking 'nap'", part(text, "napper"))
    assert "held by worker" in part(text, "wanting")
    assert "not registered" in part(text, "MainThread")


def test_as_json_with_locals(dump: Any) -> None:
    description = json.loads(dump("--json", "--locals"))
    threads = {thread["name"]: thread for thread in description["threads"]}
    assert set(threads) == {"worker", "napper", "wanting", "MainThread"}
    worker = threads["worker"]
    assert (worker["state"], worker["group"]) == ("frozen", "io.disk")
    (marked,) = (frame for frame in worker["stack"] if frame["site"])
    assert (marked["lineno"], worker["site"]["lineno"]) == (LINE, LINE)
    assert (description["frozen"], description["late"]) == (True, [])
    if is_readable():
        assert description["note"] is None
        variables = {one["name"]: one["value"] for one in marked["locals"]}
        assert "swordfish" in variables["secret"]
        assert "owns_gil" in worker
    else:
        assert "py-spy cannot read" in description["note"]


def test_the_text_has_locals_too(dump: Any) -> None:
    assert ('        secret = "swordfish"' in part(dump("--locals"), "worker")) == is_readable()


def test_native_frames(dump: Any) -> None:
    text = dump("--native")
    assert re.search(r"^--> (Worker\.)?work ", part(text, "worker"), re.MULTILINE)
    if is_readable() and "cannot read" not in text:
        assert re.search(r"\.so", part(text, "napper"))


def test_without_a_freeze(dump: Any) -> None:
    text = dump("--no-freeze")
    assert "; not frozen. " in text
    assert "FROZEN" not in text
    assert "BLOCKED for " in part(text, "napper")


def test_what_somebody_else_holds_stays_frozen(
    program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["freeze", program.pid, "--reason", "lunch"]) == 0
    assert main(["dump", program.pid]) == 0
    assert program.state() == "frozen"
    assert main(["thaw", program.pid]) == 0
    assert program.state() == "running"
    assert "for 'lunch' stands for" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "note"),
    [
        (None, "no py-spy: pip install py-spy."),
        (
            "echo 'Error: Permission Denied: Try running again with elevated permissions.' >&2; "
            "exit 1",
            "py-spy cannot read the process: Permission Denied: Try running again with elevated "
            "permissions.",
        ),
        (
            "printf 'Error: Failed to open\\n\\nCaused by:\\n    0: reading\\n    1: denied\\n\\n"
            "Stack backtrace:\\n   0: <E as anyhow>\\n' >&2; exit 1",
            "py-spy cannot read the process: Failed to open (denied).",
        ),
        ("exit 3", "py-spy cannot read the process: it does not say why."),
        ("echo '['", "py-spy said what is no JSON."),
        ("echo '[]'", "py-spy saw no thread."),
    ],
)
def test_where_pyspy_cannot_read_the_process_reports_itself(
    folder: Path,
    program: Program,
    dump: Any,
    monkeypatch: pytest.MonkeyPatch,
    script: str | None,
    note: str,
) -> None:
    hide_pyspy(monkeypatch, folder, script)
    text = dump("--locals")
    assert f"\n  {note} The stacks are those that the process reports itself.\n" in text
    assert f"--> Worker.work ({program.path}:{LINE})\n" in part(text, "worker") + "\n"


def test_a_lease_that_runs_out_meanwhile_is_told(
    folder: Path, dump: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody had stopped this command, say; the stacks may be of different moments."""
    hide_pyspy(monkeypatch, folder, "sleep 0.3; echo '[]'")
    monkeypatch.setattr("freezethreads.cli._dump._LEASE", 0.05)
    text = dump(status=1)
    assert "; not frozen. " in text
    assert "\n  the lease ran out before all was read; " in text
    assert json.loads(dump("--json", status=1))["frozen"] is False


def test_a_process_that_does_not_stop_is_shown_all_the_same(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = Program(folder, "late")
    try:
        assert main(["dump", running.pid, "--timeout", "0.1"]) == 1
        assert running.state() == "running"
    finally:
        running.kill()
    text = capsys.readouterr().out
    assert "1 did not stop within 100 ms" in text
    assert "RUNNING, DID NOT STOP" in part(text, "late")
    assert "DID NOT STOP" not in part(text, "worker")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_dump_that_is_cut_short_leaves_nobody_frozen(
    folder: Path, program: Program, number: signal.Signals, status: int
) -> None:
    """A py-spy that does not come back is the longest moment of it."""
    code = (
        "import sys; from freezethreads.cli import _pyspy, main\n"
        "class Spy(_pyspy.Spy):\n"
        "    def threads(self):\n"
        "        print('waits', flush=True)\n"
        "        return super().threads()\n"
        "_pyspy.Spy = Spy\n"
        f"_pyspy._path = lambda: {str(folder / 'fakes')!r}\n"
        f"sys.exit(main(['dump', '{program.pid}', '--timeout', '{WAIT}']))"
    )
    pid = folder / f"pid-{status}"
    with pytest.MonkeyPatch.context() as patch:
        hide_pyspy(patch, folder, f"sleep 60 & echo $! > {pid}; wait")
    os.mkfifo(pid)
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        spy = int(pid.read_text())  # waits until it writes
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        assert program.state() == "frozen"
        process.send_signal(number)
        assert process.wait(WAIT) == status
        os.kill(spy, signal.SIGKILL)  # whatever it has started
        assert process.communicate(timeout=WAIT) == ("", "")
    with connect(program.process.pid) as client:
        while client.request("threads")["freezer"]["state"] != "running":
            pass


def test_a_frame_is_marked_once_and_in_the_right_thread() -> None:
    """Recursion: of frames that are the same to py-spy the innermost one is at the site."""
    frame = {"function": "A.walk", "filename": "a.py", "lineno": 3, "own": False}
    seen = {"name": "walk", "filename": "a.py", "line": 3, "module": None}
    known = [{**frame, "site": True}, {**frame, "site": False}]
    description: dict[str, Any] = {"threads": [{"native_id": 7, "ident": 9, "stack": known}]}
    spied = {"os_thread_id": 7, "thread_id": 1, "frames": [seen, seen]}
    join(description, [{**spied, "active": False, "owns_gil": False}])
    assert [one["site"] for one in description["threads"][0]["stack"]] == [True, False]


def test_a_process_that_does_not_serve_is_shown_as_it_runs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By py-spy, where it reads this Python; or it is said why not, and that it does not serve."""
    code = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if is_readable():
            assert main(["dump", str(process.pid)]) == 1
            text = capsys.readouterr().out
            assert f"process {process.pid} does not serve" in text
            assert "It was not frozen: this is what py-spy sees while it runs." in text
            assert "    <module> (<string>:1)\n" in text
            assert main(["dump", str(process.pid), "--json"]) == 1
            (thread,) = json.loads(capsys.readouterr().out)["threads"]
            assert thread["frames"]
        with pytest.MonkeyPatch.context() as patch:
            hide_pyspy(patch, folder, None)
            with pytest.raises(SystemExit, match="2"):
                main(["dump", str(process.pid)])
        assert "; and no py-spy: pip install py-spy\n" in capsys.readouterr().err
        process.communicate()


WAITING = """
import sys, threading, time

def compute():
    while True:
        pass

def wait():
    time.sleep(3600)

for work in compute, wait, wait:
    threading.Thread(target=work, name=work.__name__, daemon=True).start()
print(flush=True)
sys.stdin.read()
"""


def test_stuck_shows_who_runs_and_who_waits_in_a_process_that_does_not_serve(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "program.py"
    program.write_text(WAITING)
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if is_readable():
            assert main(["stuck", str(process.pid), "--wide"]) == 1
            text = capsys.readouterr().out
            assert f"Process {process.pid}: seen from outside.\n" in text
            assert f"process {process.pid} does not serve" in text
            assert re.search(rf"warning: compute: computing at {program}:[56]\n", text)
            assert re.search(rf"\n  wait, wait: at call \({program}:9\), the longest for 1", text)
            assert main(["stuck", str(process.pid), "--json"]) == 1
            answer = json.loads(capsys.readouterr().out)
            assert [one["cause"] for one in answer["findings"]] == ["unserved"]
        with pytest.MonkeyPatch.context() as patch:
            hide_pyspy(patch, folder, None)
            with pytest.raises(SystemExit, match="2"):
                main(["stuck", str(process.pid)])
        assert "; and no py-spy: pip install py-spy\n" in capsys.readouterr().err
        process.kill()
        process.communicate()


WAITS_FOR_A_SIGN = """
import os, queue, threading
import freezethreads

freezethreads.install()
freezethreads.serve()
jobs, results = queue.Queue(), queue.Queue()
threading.Thread(target=lambda: results.put(jobs.get()), name="consumer").start()
print("up", flush=True)
results.get()
"""


@pytest.mark.skipif(not HAS_GIL, reason="nobody may read the frames of a thread that runs")
@pytest.mark.usefixtures("folder")
def test_a_deadlock_in_which_all_wait_for_a_sign_is_told() -> None:
    """It is seen before the freeze: then all of them wait for the thaw."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITS_FOR_A_SIGN], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            wait_until(lambda: "probably a deadlock of 2 threads" in dump_of(process.pid))
        finally:
            process.kill()


def dump_of(pid: int) -> str:
    return subprocess.run(
        [sys.executable, "-m", "freezethreads", "dump", str(pid)],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    ).stdout
