"""Names that a stream cannot encode: they are escaped, wherever a report goes."""

from __future__ import annotations

import codecs
import io
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import pytest

from commands import print_to, watching
from control_programs import STAY, Program, program, runtime_folder
from control_programs import runtime as runtime
from freezethreads import Freezer, register_signal, unregister_signal
from freezethreads._ground.text import encodable, write
from freezing import looping
from helpers import run_python

NAME = "job-\N{SNOWMAN}-\N{GRINNING FACE}"
ESCAPED = r"job-\u2603-\U0001f600"
SIGNAL = signal.SIGUSR2
# What a C locale means to Python, which without the last two would use UTF-8 all the same.
C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    made = Freezer("f\N{SNOWMAN}")
    with looping(made, 1), made.register(NAME):
        yield made


def ascii_file(errors: str = "strict") -> tuple[IO[str], io.BytesIO]:
    raw = io.BytesIO()
    return io.TextIOWrapper(raw, encoding="ascii", errors=errors, write_through=True), raw


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_dump_to_ascii(freezer: Freezer, errors: str) -> None:
    file, raw = ascii_file(errors)
    freezer.dump(file)
    text = raw.getvalue().decode("ascii")
    assert r"freezer 'f\u2603'" in text
    assert f"{ESCAPED} (ident" in text


def test_dump_to_latin_1_keeps_what_that_has() -> None:
    raw = io.BytesIO()
    freezer = Freezer("caf\xe9 \N{SNOWMAN}")
    file = io.TextIOWrapper(raw, encoding="latin-1", write_through=True)
    freezer.dump(file)
    assert rb"freezer 'caf" + b"\xe9" + rb" \u2603'" in raw.getvalue()


def test_dump_to_a_file_that_does_not_say_how_it_encodes(freezer: Freezer) -> None:
    raw = io.BytesIO()
    freezer.dump(cast(IO[str], codecs.getwriter("ascii")(raw)))
    assert f"{ESCAPED} (ident" in raw.getvalue().decode("ascii")
    text = io.StringIO()
    freezer.dump(text)
    assert f"{NAME} (ident" in text.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_signal(freezer: Freezer, tmp_path: Path, encoding: str) -> None:
    """The file's encoding is that of the report as well, which is written past the file."""
    path = tmp_path / "report"
    with open(path, "w", encoding=encoding) as file:
        register_signal(SIGNAL, freezer=freezer, file=file)
        try:
            signal.raise_signal(SIGNAL)
        finally:
            unregister_signal(SIGNAL)
    text = path.read_text(encoding)
    assert f"{NAME if encoding == 'utf-8' else ESCAPED} (ident" in text


@pytest.mark.parametrize("env", [C_LOCALE, {"PYTHONIOENCODING": "ascii"}])
def test_dump_to_the_standard_output(env: dict[str, str]) -> None:
    code = """
    import sys, freezethreads
    with freezethreads.register("\\N{SNOWMAN}"):
        freezethreads.dump(sys.stdout)
        freezethreads.dump()
    """
    result = run_python("if True:" + code, env=env)
    for text in (result.stdout, result.stderr):
        assert r"\u2603 (ident" in text


@pytest.fixture(scope="module")
def odd() -> Iterator[Program]:
    """A program with such a name, which the commands are given for one after the other."""
    code = STAY.replace("two", "\N{SNOWMAN}")
    with pytest.MonkeyPatch.context() as patch, runtime_folder(patch), program(code) as odd:
        yield odd


@pytest.mark.parametrize("env", [C_LOCALE, {"PYTHONIOENCODING": "ascii"}])
@pytest.mark.parametrize("verb", ["threads", "dump", "freeze", "sites", "stuck", "thaw"])
def test_commands(odd: Program, tmp_path: Path, verb: str, env: dict[str, str]) -> None:
    with open(tmp_path / "out", "w+b") as out:
        status, errors = print_to(out.fileno(), verb, odd.pid, **env)
        assert (status, "Traceback" in errors) in ((0, False), (1, False)), errors
        out.seek(0)
        text = out.read().decode("ascii")
    assert r"\u2603" in text or verb not in ("threads", "dump")


def test_watch(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    with program(STAY.replace("two", "\N{SNOWMAN}")) as served, watching(served) as terminal:
        terminal.see(r"\u2603")
        terminal.press("q")
        assert terminal.end() == (0, "")


def test_the_demo_names_a_picture_that_cannot_be_encoded(tmp_path: Path) -> None:
    code = """
    from freezethreads.demo._view import View
    View().say("picture: \\N{SNOWMAN} " + "\\udcff")
    """
    assert run_python("if True:" + code, env=C_LOCALE).stdout == "picture: \\u2603 \\udcff\n"


def test_odd_encodings() -> None:
    class Odd:
        def __init__(self, encoding: Any) -> None:
            self.encoding = encoding
            self.write = io.StringIO().write

    for encoding in (None, "", "unknown", 7):
        assert encodable(NAME, Odd(encoding)) == NAME
        write(NAME, cast(IO[str], Odd(encoding)))
    assert encodable(NAME, None) == NAME
