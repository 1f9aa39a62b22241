"""The command line: what it refuses, before anything is touched, and how it ends."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from queue import SimpleQueue

import pytest

from freezethreads.checkpoint import SQLiteStore
from freezethreads.cli import main
from freezethreads.cli._parser import count, seconds
from freezethreads.cli._run_demo import status_of
from freezethreads.cli._signals import signals_to
from freezethreads.demo import INDEX, Outcome, Result
from freezethreads.demo._index import Index
from helpers import run_python


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files to index; the current directory is beside them."""
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.py").write_text("x = 1\n")
    (folder / "sub" / "b.py").write_text("y = x\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return folder


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that is wrong use, and return the one line that it says."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.count("\n") == 1
    return err


def everything_below(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


DEMO = ("demo", "--root", "root")
# What is asked, and what the answer has to say.
WRONG: dict[tuple[str, ...], str] = {
    (): "VERB",
    ("dance",): "no such verb: 'dance'; there are demo, run, ps, ",
    ("frezze", "4711"): "no such verb: 'frezze'; did you mean 'freeze'? (try --help)",
    ("help",): "there is no 'help': write `freezethreads VERB --help`",
    ("help", "freeze"): "there is no 'help': write `freezethreads freeze --help`",
    ("help", "dance"): "there is no 'help': write `freezethreads VERB --help`",
    ("freeze",): "required: PID; `freezethreads ps` lists those that serve",
    ("attach",): "required: PID; `ps` lists the processes",
    ("detach",): "required: PID; `freezethreads ps` lists those that serve",
    ("demo", "--dance"): "freezethreads demo: unrecognized arguments: --dance (try --help)",
    ("freeze", "4711", "--grup=io"): "arguments: --grup=io; did you mean '--group'?",
    ("thaw", "4711", "4712"): "freezethreads thaw: unrecognized arguments: 4712",
    ("demo", "--root", "nowhere"): "nowhere: there is no such directory",
    ("demo", "--root", "file"): "file: there is no such directory",
    ("demo", "--root", "empty"): "empty: there is no .py file below it",
    ("demo", "--root", "ro\not"): "a name that cannot be printed",
    (*DEMO, "--threads", "0"): "--threads: must be a whole number of 1 or more, not '0'",
    (*DEMO, "--threads", "1.5"): "--threads: must be a whole number of 1 or more, not '1.5'",
    (*DEMO, "--every", "0"): "--every: must be a number of seconds above 0, not '0'",
    (*DEMO, "--every", "-1"): "--every: must be a number of seconds above 0, not '-1'",
    (*DEMO, "--every", "nan"): "--every: must be a number of seconds above 0, not 'nan'",
    (*DEMO, "--every", "inf"): "--every: must be a number of seconds above 0, not 'inf'",
    (*DEMO, "--every", "soon"): "--every: must be a number of seconds above 0, not 'soon'",
    (*DEMO, "--out", "file"): "file is a file; name a directory",
    (*DEMO, "--out", "file/below"): "file is a file; name a directory",
    (*DEMO, "--out", "n\ud800"): "a name that cannot be printed",
    (*DEMO, "--plot", "nowhere/a.png"): "nowhere is no directory",
    (*DEMO, "--plot", "a.txt"): "must end in one of",
    (*DEMO, "--plot", "a.png", "--no-freeze"): "--plot draws freezes",
    (*DEMO, "--no-compare", "--no-freeze"): "not allowed with",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_use_is_refused_in_one_line_with_nothing_touched(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    before = everything_below(root.parent)
    assert WRONG[arguments] in refusal(capsys, *arguments)
    assert everything_below(root.parent) == before


def test_a_directory_without_permission_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The superuser, as whom tests often run, has every permission; so the answer is rigged."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "no permission to write in" in refusal(capsys, *DEMO, "--out", "new")
    assert not Path("new").exists()


def test_a_directory_that_cannot_be_made_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", fail)
    assert "--out new: No space left on device" in refusal(capsys, *DEMO, "--out", "new")


def test_without_a_temporary_directory_out_is_asked_for(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(root / "nowhere"))
    told = "--out DIRECTORY is needed, as there is no temporary one: No such file or directory"
    assert told in refusal(capsys, *DEMO)


def test_missing_matplotlib_is_told_before_any_work(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    told = refusal(capsys, *DEMO, "--out", "new", "--plot", "a.png")
    assert "pip install matplotlib" in told
    assert not Path("new").exists()


def test_missing_sqlite_is_told_in_one_line() -> None:
    result = run_python(
        "import sys; sys.modules['_sqlite3'] = None\n"
        "from freezethreads.cli import main; sys.exit(main(['demo']))",
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "freezethreads demo: this Python was built without sqlite3\n"


def test_an_index_of_another_root_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*DEMO, "--out", "out"]) == 0
    capsys.readouterr()
    before = everything_below(root.parent)
    told = refusal(capsys, "demo", "--root", "root/sub", "--out", "out")
    assert f"holds an index of {root}, not of {root / 'sub'}: choose another --out" in told
    assert everything_below(root.parent) == before
    assert main(["demo", "--root", "root/sub", "--out", "out", "--fresh"]) == 0


@pytest.mark.parametrize("content", [b"no database", None])
def test_a_file_of_somebody_else_is_left_alone(
    root: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    Path("out").mkdir()
    file = Path("out") / INDEX
    if content is None:
        SQLiteStore(file).close()
    else:
        file.write_bytes(content)
    before = file.read_bytes()
    assert main([*DEMO, "--out", "out"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("freezethreads demo: ")
    assert err.count("\n") == 1
    assert file.read_bytes() == before


@pytest.mark.parametrize("torn", [[], ["a disagreement"]])
def test_a_torn_snapshot_of_frozen_threads_is_a_failure(torn: list[str]) -> None:
    outcome = Outcome("root", "3.11.7", threads=8, every=0.5, documents=3)
    outcome.freezing = Result(1.0, [], 1, torn, [], None)
    outcome.no_freeze = Result(1.0, [], 1, ["as expected"], [], None)
    assert status_of(outcome) == len(torn)


def test_an_index_that_is_torn_in_the_end_is_a_failure(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful(Index):
        def finish(self, path: str, problem: str) -> None:
            self.finished[path] = problem

    monkeypatch.setattr("freezethreads.demo._resume.Index", Forgetful)
    assert main([*DEMO, "--out", "out"]) == 1
    assert capsys.readouterr().err == "freezethreads demo: 2 documents are finished, not 0\n"


def test_by_default_it_works_in_a_temporary_directory_and_removes_it(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main(DEMO) == 0
        out = capsys.readouterr().out
        assert "index: temporary/freezethreads-demo-" in out
        assert "resumed" not in out
        assert "the index was temporary, and is gone" in out
    assert main([*DEMO, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["out"] is None
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_paths_in_what_it_prints_are_from_here(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*DEMO, "--out", "out"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("files below root, 8 threads")
    assert lines[1:3] == [f"index: out/{INDEX}", "after a kill -9, --out out goes on from there"]


def test_a_picture_needs_a_freeze(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DEMO, "--every", "60", "--plot", "a.png"]) == 0
    assert "no picture: nobody was frozen" in capsys.readouterr().out
    assert not Path("a.png").exists()


@pytest.mark.parametrize("arguments", [("--help",), ("demo", "--help")])
def test_help_has_an_example(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert (ended.value.code, err) == (0, "")
    assert "example" in out
    assert "freezethreads demo --" in out


def test_version(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"1.2.3 of {name}")
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "freezethreads 1.2.3 of freezethreads\n"


def test_the_package_can_be_run(root: Path) -> None:
    code = "import runpy, sys; runpy.run_module('freezethreads', run_name='__main__')"
    result = run_python(code, *DEMO[:1], "--root", str(root), "--json", env={"TMPDIR": str(root)})
    assert json.loads(result.stdout)["documents"] == 2
    assert run_python(code, "demo", "--threads", "x", check=False).returncode == 2


def test_the_first_signal_is_put_and_the_second_ends_the_process() -> None:
    got: SimpleQueue[signal.Signals] = SimpleQueue()
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with signals_to(got.put):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
            assert got.get_nowait() == number
            assert signal.getsignal(number) == signal.SIG_DFL
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_numbers() -> None:
    assert (count("3"), seconds("0.25")) == (3, 0.25)
    with pytest.raises(argparse.ArgumentTypeError):
        seconds("1e999")
