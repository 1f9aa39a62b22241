"""The README: its programs run and print what it says, its commands and names exist."""

from __future__ import annotations

import builtins
import configparser
import doctest
import itertools
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import _bench
import freezethreads
import freezethreads.checkpoint
import freezethreads.control
import freezethreads.testing
from demo_runs import copy_sources, run_demo
from helpers import ROOT, run_python
from readme_commands import CHECKS
from stress.scenarios import load

# The walk through the verbs has a test of its own: test_transcript.
README = re.sub(r"<!-- transcript.*<!-- end", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)

# From this line on each program begins with the lines of the first block after it.
PREAMBLE = "Each program below begins with these lines"


@dataclass(frozen=True)
class Block:
    """A fenced block: what the fence says that it is, its text, and the line that it begins in."""

    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"line{self.line}"


def find_blocks(text: str) -> list[Block]:
    """Return all fenced blocks. A fence that is never closed has an own language, which fails."""
    blocks: list[Block] = []
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if line.lstrip().startswith(("```", "~~~")):
            body: list[str] = []
            language = line.removeprefix("```")
            for _, inner in lines:
                if inner == "```":
                    break
                body.append(inner + "\n")
            else:
                language = "(not closed)"
            blocks.append(Block(language, "".join(body), number))
    return blocks


BLOCKS = find_blocks(README)
PYTHON = [block for block in BLOCKS if block.language == "python"]
SUITES = [block for block in PYTHON if "def test_" in block.text]  # for pytest
PROGRAMS = [block for block in PYTHON if block not in SUITES]
COMMANDS = [
    (line, block.line)
    for block in BLOCKS
    if block.language == "console"
    for line in block.text.splitlines()
]
ENVIRONMENT = re.compile(r"[A-Z_]+=")  # how a word begins that sets a variable for the command
DEMO = "freezing   no freezing"


def output_of(program: Block) -> str:
    """What the README says that `program` prints: the text block that is next, or nothing."""
    following = BLOCKS[BLOCKS.index(program) + 1 :][:1]
    return following[0].text if following and following[0].language == "text" else ""


def whole(program: Block) -> str:
    """`program` with the lines that the README says it begins with."""
    start = README[: README.index(PREAMBLE)].count("\n") + 1
    preamble = next(block for block in PROGRAMS if block.line > start)
    if program.line <= preamble.line:
        return program.text
    return preamble.text + "\n" + program.text


def matches(wanted: str, got: str, flags: int = 0) -> bool:
    """Compare as doctest does: `...` stands for anything."""
    return doctest.OutputChecker().check_output(wanted, got, doctest.ELLIPSIS | flags)


# The blocks.


def test_every_block_is_of_a_kind_that_is_checked_here() -> None:
    assert {block.language for block in BLOCKS} == {"python", "text", "console"}
    outputs = [output_of(block) for block in PYTHON]
    others = [b.text for b in BLOCKS if b.language == "text" and b.text not in outputs]
    assert len(others) == 1, "a text block follows a program, or is the demo's table"
    assert DEMO in others[0]


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_program_prints_what_the_readme_says(program: Block) -> None:
    result = run_python(whole(program))
    wanted = output_of(program)
    assert matches(wanted, result.stdout), f"wanted:\n{wanted}\ngot:\n{result.stdout}"
    assert "Traceback" not in result.stderr, result.stderr
    assert "Exception" not in result.stderr, result.stderr


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_pytest_prints_what_the_readme_says(suite: Block, tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(whole(suite))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    soon = ["-o", "freezethreads_timeout=0.2"]
    result = subprocess.run(
        [*command, *soon], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    wanted = output_of(suite)
    assert matches(wanted, result.stdout), f"wanted:\n{wanted}\ngot:\n{result.stdout}"


def test_the_table_is_what_the_demo_prints(tmp_path: Path) -> None:
    (shown,) = (block.text for block in BLOCKS if DEMO in block.text)
    assert re.search(r"^torn +0 +[1-9]\d*$", shown, re.MULTILINE)
    wanted = "...\n" + re.sub(r" [1-9]\d*(\.\d+ (us|ms|s))?\b", " ...", shown) + "..."
    root = copy_sources(tmp_path / "sources")
    out = tmp_path / "out"
    got = run_demo("--root", root, "--out", out, "--threads", 4, "--every", 0.02)
    assert matches(wanted, got, doctest.NORMALIZE_WHITESPACE), f"wanted:\n{wanted}\ngot:\n{got}"


# The commands.


@pytest.mark.parametrize(("command", "line"), COMMANDS)
def test_a_command_can_be_given(command: str, line: int) -> None:
    prompt, *words = shlex.split(command)
    assert prompt == "$"
    program, *arguments = itertools.dropwhile(ENVIRONMENT.match, words)
    assert program in CHECKS, f"line {line}: add a check for {program}"
    if program.startswith("./"):
        assert (ROOT / program).is_file()
    try:
        CHECKS[program](arguments)
    except SystemExit:
        pytest.fail(f"line {line}: {program} does not know {arguments}")


def test_the_scenario_can_be_loaded_as_it_is(tmp_path: Path) -> None:
    (program,) = (program for program in PROGRAMS if "(Scenario)" in program.text)
    (loaded,) = re.findall(r"--load (\S+)", README)
    file = tmp_path / loaded
    file.write_text(program.text)
    assert set(load(str(file))) == {file.stem}


# What stands between the blocks.

PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
CODE = re.findall(r"`([^`\n]+)`", PROSE)

OWNERS: dict[str, object] = {
    "freezethreads": freezethreads,
    "freezer": freezethreads.default_freezer,
    "world": freezethreads.World,
    "straggler": freezethreads.Straggler,
}
NAME = re.compile(rf"\b({'|'.join(OWNERS)})\.(\w+)")


def has(owner: object, name: str) -> bool:
    return hasattr(owner, name) or name in getattr(owner, "__dataclass_fields__", ())


def test_every_name_in_the_prose_exists() -> None:
    used = {match.groups() for code in CODE for match in NAME.finditer(code)}
    assert len(used) > 10
    assert not [f"{owner}.{name}" for owner, name in used if not has(OWNERS[owner], name)]


def test_every_class_and_error_in_the_prose_exists() -> None:
    known = {*freezethreads.__all__, *vars(builtins)}
    known |= {*freezethreads.checkpoint.__all__, *freezethreads.control.__all__}
    known |= {"Event", "Lock", "PATH", "RLock", "SIGSTOP", "SimpleQueue"}  # of others
    words = {code for code in CODE if re.fullmatch(r"[A-Z]\w+", code)}
    assert not words - known


def test_every_room_is_listed_and_exists() -> None:
    rooms = set(re.findall(r"^\| `(\S+/)` \|", README, flags=re.MULTILINE))
    assert all((ROOT / room).is_dir() for room in rooms)
    packages = {path.parent for path in (ROOT / "freezethreads").glob("**/__init__.py")}
    assert {f"{path.relative_to(ROOT)}/" for path in packages} <= rooms


def test_every_link_and_path_leads_somewhere() -> None:
    paths = re.findall(r"\]\(([^):]+)\)", README)
    paths += [code for code in CODE if re.fullmatch(r"(tests|tools)/\S+", code)]
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_the_costs_are_those_of_the_benchmark() -> None:
    """Its rows, by the benchmark's names, each with numbers: how fast it is, is no test."""
    section = README.partition("## What it costs")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:2] == "| "]
    _, *measured = rows
    assert measured
    names = {row.name for group in _bench.GROUPS for row in group.rows}
    assert not {cells[0] for cells in measured} - names
    for cells in measured:
        assert len(cells) == len(rows[0])
        assert all(float(cell) > 0 for cell in cells[2:])


def test_the_claims_about_versions_are_those_of_the_package() -> None:
    assert "CPython 3.11 or newer" in README
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert settings["options"]["python_requires"] == ">=3.11"
