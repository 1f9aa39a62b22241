"""The README and docs/: their programs print what they say, their commands and names exist."""

from __future__ import annotations

import builtins
import configparser
import doctest
import itertools
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import _bench
import freezethreads
import freezethreads.checkpoint
import freezethreads.control
import freezethreads.integrations
import freezethreads.testing
from benchmarks.workloads import WORKLOADS
from demo_runs import FEW, copy_sources, run_demo
from document_commands import CHECKS
from documents import (
    BLOCKS,
    DOCUMENTS,
    FILES,
    PROGRAMS,
    PYTHON,
    README,
    SUITES,
    Block,
    lay_out,
    output_of,
    prose_of,
    read,
)
from helpers import HAS_GIL, ROOT
from machine import needs_monitoring
from stress.scenarios import load

DOCS = ROOT / "docs"
COMMANDS = [
    (line, str(block))
    for block in BLOCKS
    if block.language == "console"
    for line in block.text.splitlines()
]
ENVIRONMENT = re.compile(r"[A-Z_]+=")  # how a word begins that sets a variable for the command
DEMO = "freezing   no freezing"


def matches(wanted: str, got: str, flags: int = 0) -> bool:
    """Compare as doctest does: `...` stands for anything."""
    return doctest.OutputChecker().check_output(wanted, got, doctest.ELLIPSIS | flags)


def run(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder of its own, with the checkout to import, and Enter pressed."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input="\n",
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


# The blocks.


def test_every_block_is_of_a_kind_that_is_checked_here() -> None:
    kinds = {block.language for block in BLOCKS if not block.language.startswith("{")}
    assert kinds == {"python", "text", "console"}
    assert not [str(b) for b in BLOCKS if b.language[:1] == "{" and DOCS not in b.page.parents]
    outputs = [output_of(block) for block in PYTHON]
    others = [b for b in BLOCKS if b.language == "text" and b.text not in outputs]
    tables = [block for block in others if block.page == README]
    assert [DEMO in table.text for table in tables] == [True], "a text block follows a program"
    drawings = [block for block in others if block not in tables]
    assert drawings
    assert not [str(block) for block in drawings if drawing(block.text) not in SOURCE]


def drawing(text: str) -> str:
    """A drawing as it is compared: however far it is indented."""
    return "\n".join(line.strip() for line in text.splitlines())


# What is drawn on a page is drawn in the source as well, where it is kept true.
SOURCE = "\n".join(drawing(path.read_text()) for path in (ROOT / "freezethreads").rglob("*.py"))


def test_a_file_that_is_not_run_by_itself_is_used_on_its_page() -> None:
    assert FILES
    for file in FILES:
        later = [b.text for b in BLOCKS if b.page == file.page and b.line > file.line]
        name = Path(file.file_name or "").stem
        assert file in [*PROGRAMS, *SUITES] or any(name in text for text in later), str(file)


def for_newer_ones(program: Block) -> Any:
    """Those of the second engine's page, and of guards and programs of what nobody has prepared,
    want an interpreter that has it."""
    text = program.text
    is_its = program.page.name == "engines.md" or "guard_forks()" in text or "patch=False" in text
    return pytest.param(program, marks=needs_monitoring) if is_its else program


@pytest.mark.parametrize("program", [for_newer_ones(each) for each in PROGRAMS], ids=str)
def test_a_program_prints_what_its_page_says(program: Block, tmp_path: Path) -> None:
    result = run("-W", "error", lay_out(program, tmp_path), folder=tmp_path)
    assert result.returncode == 0, result.stderr
    wanted = output_of(program) or ""
    if not HAS_GIL:  # the page says that nobody can tell there
        wanted = wanted.replace(", acquired at ... in work", "")
    assert matches(wanted, result.stdout), f"wanted:\n{wanted}\ngot:\n{result.stdout}"
    assert "Traceback" not in result.stderr, result.stderr
    assert "Exception" not in result.stderr, result.stderr


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_pytest_prints_what_the_page_says(suite: Block, tmp_path: Path) -> None:
    soon = ["-o", "freezethreads_timeout=0.2", "-p", "no:cacheprovider"]
    soon += ["-p", "no:hypothesispytest"]  # which takes a second to be imported
    result = run("-m", "pytest", *soon, lay_out(suite, tmp_path).name, folder=tmp_path)
    wanted = output_of(suite) or ""
    assert matches(wanted, result.stdout), f"wanted:\n{wanted}\ngot:\n{result.stdout}"


def test_the_table_is_what_the_demo_prints(tmp_path: Path) -> None:
    (shown,) = (block.text for block in BLOCKS if DEMO in block.text)
    assert re.search(r"^torn +0 +[1-9]\d*$", shown, re.MULTILINE)
    wanted = "...\n" + re.sub(r" [1-9]\d*(\.\d+ (us|ms|s))?\b", " ...", shown) + "..."
    root = copy_sources(tmp_path / "sources", FEW)
    out = tmp_path / "out"
    got = run_demo("--root", root, "--out", out, "--threads", 4, "--every", 0.02)
    assert matches(wanted, got, doctest.NORMALIZE_WHITESPACE), f"wanted:\n{wanted}\ngot:\n{got}"


# The commands.


@pytest.mark.parametrize(("command", "where"), COMMANDS)
def test_a_command_can_be_given(command: str, where: str) -> None:
    prompt, *words = shlex.split(command)
    assert prompt == "$"
    program, *arguments = itertools.dropwhile(ENVIRONMENT.match, words)
    assert program in CHECKS, f"{where}: add a check for {program}"
    if program.startswith("./"):
        assert (ROOT / program).is_file()
    try:
        CHECKS[program](arguments)
    except SystemExit:
        pytest.fail(f"{where}: {program} does not know {arguments}")


def test_the_scenario_can_be_loaded_as_it_is(tmp_path: Path) -> None:
    (program,) = (program for program in PROGRAMS if "(Scenario)" in program.text)
    assert f"--load {program.file_name}" in read(program.page)
    file = lay_out(program, tmp_path)
    assert set(load(str(file))) == {file.stem}


# What stands between the blocks.

CODE = [code for page in DOCUMENTS for code in re.findall(r"`([^`\n]+)`", prose_of(page))]

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
    for room in freezethreads.checkpoint, freezethreads.control, freezethreads.testing:
        known |= set(room.__all__)
    known |= {"Lock", "RLock", "SimpleQueue", "PATH", "XDG_RUNTIME_DIR"}  # the system's
    known |= {
        "FREEZETHREADS_RUN",
        "PYTHONPATH",
        "PYTHON_DISABLE_REMOTE_DEBUG",
        "TMPDIR",
    }  # what is in the environment
    known |= {"PF_NOFREEZE", "SIGSTOP"}  # the kernel's
    known |= {"Status"}  # what a reader of the code meets
    words = {code for code in CODE if re.fullmatch(r"[A-Z]\w+", code)}
    assert not words - known


def test_every_room_is_listed_and_exists() -> None:
    text = read(DOCS / "development.md")
    rooms = set(re.findall(r"^\| `(\S+/)` \|", text, flags=re.MULTILINE))
    assert all((ROOT / room).is_dir() for room in rooms)
    packages = {path.parent for path in (ROOT / "freezethreads").glob("**/__init__.py")}
    assert {f"{path.relative_to(ROOT)}/" for path in packages} <= rooms


def test_every_link_and_path_leads_somewhere() -> None:
    paths = [code for code in CODE if re.fullmatch(r"(tests|tools|docs|examples|stress)/\S+", code)]
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]
    for page in DOCUMENTS:
        links = re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", prose_of(page))
        assert not [link for link in links if not (page.parent / link).exists()], page


def test_every_page_is_in_the_site() -> None:
    """Sphinx warns of a page that no table of contents has; here also of one that two have."""
    listed: Counter[Path] = Counter()
    for block in BLOCKS:
        if block.language == "{toctree}":
            names = [line for line in block.text.split() if not line.startswith(":")]
            listed.update(block.page.parent / f"{name}.md" for name in names if name != "1")
    pages = {page for page in DOCUMENTS if DOCS in page.parents} - {DOCS / "index.md"}
    assert set(listed) == pages
    assert max(listed.values()) == 1


@pytest.mark.parametrize("folder", ["how-to", "explanation", "reference"])
def test_an_index_has_a_link_to_each_of_its_pages(folder: str) -> None:
    """Also for who reads it as Markdown, where a table of contents is no more than bare names."""
    page = DOCS / folder / "index.md"
    (contents,) = (block for block in BLOCKS if block.page == page)
    _, *names = contents.text.split()
    assert re.findall(r"^\* \[.*?\]\((\w[^)]*)\.md\)", read(page), re.MULTILINE) == names


def test_the_reference_has_every_name() -> None:
    """That of the package names them one by one, in an order of its own."""
    text = read(DOCS / "reference" / "freezethreads.md")
    named = re.findall(r"^\.\. (?:auto\w+|py:data):: freezethreads\.(\w+)$", text, re.MULTILINE)
    assert sorted(named) == sorted([*freezethreads.__all__, "__version__"])


def test_the_readme_stays_short() -> None:
    assert len(README.read_text().splitlines()) <= 200


def test_the_costs_are_those_of_the_benchmark() -> None:
    """Its rows, by the benchmark's names, each with numbers: how fast it is, is no test."""
    text = read(DOCS / "explanation" / "costs.md")
    core, others = text.split("## Whole programs")
    names = {row.name for group in _bench.GROUPS for row in group.rows}
    tables = [table for part in core.split("\n\n") if (table := cells_of(part))]
    assert tables
    for head, *measured in tables:
        assert measured
        assert not {name for name, *_ in measured} - names
        for cells in measured:
            assert len(cells) == len(head)
            assert all(float(cell) > 0 for cell in cells[2:])
    _, *whole = cells_of(others.partition("\n## ")[0])
    assert {name for name, *_ in whole} == {
        f"{name} {kind}"
        for name in WORKLOADS
        for kind in ("under install()", "under run --unpatched")
    }
    for _, *cells in whole:
        assert all(re.fullmatch(r"[\d.]+ \([\d.]+ \.\. [\d.]+\)", cell) for cell in cells)


def cells_of(text: str) -> list[list[str]]:
    """The rows of the tables in it."""
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line[:2] == "| "]


def test_the_claims_about_versions_are_those_of_the_package() -> None:
    assert "CPython 3.11 or newer" in read(README)
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert settings["options"]["python_requires"] == ">=3.11"
