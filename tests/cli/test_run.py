"""``freezethreads run``: a program runs as `python` would run it, with all its threads enrolled."""

from __future__ import annotations

import argparse
import compileall
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from freezethreads.cli import _run, main
from freezethreads.cli._parser import WrongUse
from helpers import ROOT
from running import RUN, python, run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, where the programs are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(result: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    """What can be seen of a process, but for what runs a module in `python -m`."""
    err = re.sub(r'  File "<frozen runpy>", .*\n(?: +[^F ].*\n)*', "", result.stderr)
    return result.returncode, result.stdout, err


def same(*program: str, **env: str) -> tuple[int, str, str]:
    """Run a program with and without the command, and return what was the same both times."""
    wanted = told(python(*program, **env))
    assert told(python(*RUN, *program, **env)) == wanted
    return wanted


SELF = """
import sys, __main__
print(sys.argv, sys.path, __name__, __file__, __package__, __cached__, __doc__)
print(type(__loader__), getattr(__loader__, "name", None))
print(__spec__ and (__spec__.name, __spec__.origin, __spec__.parent))
print(sorted(globals()), __builtins__, __main__ is sys.modules["__main__"], __annotations__)
assert vars(__main__) is globals()
def function(x: int): pass
print(function.__module__, function.__code__.co_filename, function.__annotations__)
import beside
"""


@pytest.fixture
def programs(folder: Path) -> None:
    """The same program in every form; `beside` is found where its own directory is in the path."""
    text = SELF
    if sys.version_info >= (3, 14):
        text = text.replace(", __annotations__)", ")")
    if sys.version_info >= (3, 15):
        text = text.replace(", __cached__", "")
    for place in (".", "sub", "archive", "package"):
        (folder / place).mkdir(exist_ok=True)
        (folder / place / "beside.py").write_text("print(__name__, __file__)\n")
    for name in ("script.py", "sub/script.py", "archive/__main__.py", "package/__main__.py"):
        (folder / name).write_text(text)
    (folder / "package" / "__init__.py").write_text("import sys; print(sys.argv)\n")
    (folder / "link.py").symlink_to("sub/script.py")
    compileall.compile_file(folder / "sub" / "script.py", legacy=True, quiet=2)
    with zipfile.ZipFile(folder / "packed", "w") as packed:
        packed.write("script.py", "__main__.py")
        packed.write("beside.py")


FORMS = [
    ("script.py",),
    ("./script.py", "a", "b"),
    ("sub/script.py", "-m", "--help", "--", "-x"),
    ("sub/script.pyc", "a"),
    ("link.py",),
    ("archive", "a"),
    ("packed", "a"),
    ("-m", "script", "a", "--", "-m"),
    ("-mscript", "a"),
    ("-m", "package", "a"),
    ("-m", "sub.script", "a"),
]


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("program", FORMS, ids=" ".join)
def test_a_program_finds_itself_as_ever(program: Sequence[str]) -> None:
    status, out, err = same(*program)
    assert (status, err) == (0, "")
    assert "__main__" in out


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("program", [("script.py",), ("archive",), ("packed",)])
def test_with_a_safe_path(program: Sequence[str]) -> None:
    same(*program, PYTHONSAFEPATH="1")


def test_a_program_can_be_piped_in(folder: Path) -> None:
    command = [sys.executable, *RUN, "/dev/stdin", "a"]
    text = "import sys; print(sys.argv)"
    out = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stdout
    assert out == "['/dev/stdin', 'a']\n"


# How it ends.

ENDS = {
    "nothing": "",
    "a status": "import sys; sys.exit(3)",
    "a message": "import sys; sys.exit('that was it')",
    "no status": "raise SystemExit",
    "an error": "def f():\n    raise ValueError('wrong')\nf()",
    "a chain": "try:\n    1 / 0\nexcept Exception as error:\n    raise KeyError(1) from error",
    "a group": "raise ExceptionGroup('both', [ValueError(1), TypeError(2)])",
    "no syntax": "x = (",
    "an interrupt": "raise KeyboardInterrupt",
    "a signal": "import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(9)",
    "at once": "import os; print('lost', end=''); os._exit(5)",
    "a hook": "import sys\nsys.excepthook = lambda *args: print(args[1], args[2].tb_lineno)\n1 / 0",
    "an exit handler": "import atexit\nx = 1\natexit.register(lambda: print(x, __name__))",
    "a thread": "import threading\nt = threading.Thread(target=exit, args=(3,))\nt.start()",
    "output that fails": "import os\nos.close(1)\nprint('lost')",
    "no import": "import nonsense",
}


@pytest.mark.parametrize("name", ENDS)
def test_a_program_ends_as_ever(folder: Path, name: str) -> None:
    (folder / "script.py").write_text(ENDS[name])
    _, _, err = same("script.py")
    assert "freezethreads" not in err


@pytest.mark.parametrize("name", ["an error", "a status", "no syntax"])
def test_a_module_ends_as_ever(folder: Path, name: str) -> None:
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "module.py").write_text(ENDS[name])
    (folder / "package" / "__main__.py").write_text("import package.module")
    same("-m", "package.module")
    same("-m", "package")


def test_a_package_that_cannot_be_imported(folder: Path) -> None:
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("1 / 0")
    (folder / "package" / "module.py").write_text("")
    status, _, err = same("-m", "package.module")
    assert status == 1
    assert "ZeroDivisionError" in err


# Wrong use.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "which program? Give a SCRIPT, or -m MODULE"),
        (("nowhere.py",), "cannot open 'nowhere.py': No such file or directory\n"),
        (("nowhere.py/below",), "cannot open 'nowhere.py/below': "),
        (("a\0b",), "cannot open 'a\\x00b': "),
        (("--fast", "script.py"), "unrecognized arguments: --fast"),
        (("-m",), "which program?"),
    ],
)
def test_wrong_use_is_refused_with_nothing_touched(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    before = (time.sleep, sys.argv, list(sys.path), sys.modules["__main__"])
    with pytest.raises(SystemExit) as ended:
        main(["run", *arguments])
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert (time.sleep, sys.argv, list(sys.path), sys.modules["__main__"]) == before


def test_a_file_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The superuser, as whom tests often run, may read everything; so the answer is rigged."""
    (folder / "script.py").write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(WrongUse, match=r"^cannot open 'script\.py': Permission denied$"):
        _run.run(argparse.Namespace(module=None, program=["script.py"]))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (("empty",), "can't find '__main__' module in "),
        (("-m", "nowhere"), "No module named nowhere"),
        (("-m", "empty.nowhere"), "No module named empty.nowhere"),
        (("-m", "empty"), "'empty' is a package and cannot be directly executed"),
    ],
)
def test_a_program_that_is_not_there(folder: Path, program: Sequence[str], message: str) -> None:
    (folder / "empty").mkdir()
    (folder / "empty" / "__init__.py").write_text("")
    result = python(*RUN, *program)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("freezethreads run: ")
    assert message in result.stderr


def test_help() -> None:
    out = run("--help")
    assert "(SCRIPT | -m MODULE) [ARG ...]" in out
    assert "examples:" in out
