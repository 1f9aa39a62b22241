"""``freezethreads run``: a program runs as `python` would run it, with all its threads enrolled."""

from __future__ import annotations

import compileall
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from freezethreads.cli import main
from helpers import ROOT, run_python

RUN = ("-m", "freezethreads", "run")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, where the programs are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the interpreter. Does not look at its status."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        check=False,
    )


def run(*program: str, **env: str) -> str:
    """Run a program by the command, and return what it prints; it must print no error."""
    result = python(*RUN, *program, **env)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


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
print(sys.argv, sys.path[0], __name__, __file__, __package__, __cached__, __doc__)
print(type(__loader__), __loader__.name, __spec__ and (__spec__.name, __spec__.origin))
print(sorted(globals()), __builtins__, __main__ is sys.modules["__main__"], __annotations__)
assert vars(__main__) is globals()
def function(): pass
print(function.__module__, function.__code__.co_filename)
import beside
"""


@pytest.fixture
def programs(folder: Path) -> None:
    """The same program in every form; `beside` is found where its own directory is in the path."""
    text = SELF if sys.version_info < (3, 14) else SELF.replace(", __annotations__)", ")")
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
    ("-mscript", "-c"),
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
@pytest.mark.parametrize("program", [("script.py",), ("sub",), ("packed",), ("-m", "script")])
def test_with_a_safe_path(program: Sequence[str]) -> None:
    same(*program, PYTHONSAFEPATH="1")


def test_a_program_can_be_piped_in(folder: Path) -> None:
    command = [sys.executable, *RUN, "/dev/stdin", "a"]
    text = "import sys; print(sys.argv)"
    out = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, timeout=30,
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
    "a chain": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError(1) from error",
    "a group": "raise ExceptionGroup('both', [ValueError(1), TypeError(2)])",
    "no syntax": "x = (",
    "no text": "\0",
    "an interrupt": "raise KeyboardInterrupt",
    "a signal": "import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(9)",
    "at once": "import os; print('lost', end=''); os._exit(5)",
    "a hook": "import sys\nsys.excepthook = lambda *args: print(args[1], args[2].tb_lineno)\n1 / 0",
    "exit handlers": "import atexit, __main__\nx = 3\natexit.register(lambda: print(__main__.x))\n1 / 0",
    "a failing thread": "import threading\nt = threading.Thread(target=exit, args=(3,))\nt.start()",
    "output that fails": "import sys\nsys.stdout.close()",
    "no import": "import nonsense",
}


@pytest.mark.parametrize("name", ENDS)
def test_a_program_ends_as_ever(folder: Path, name: str) -> None:
    (folder / "script.py").write_text(ENDS[name])
    status, out, err = same("script.py")
    assert (status, out, err) != (0, "", "") or name in ("nothing", "no status", "a failing thread", "output that fails")
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
