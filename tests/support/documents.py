"""The README and the pages of docs/: their blocks, and which of them are programs.

A fence says what a block is. `python` is a program, or a suite for pytest if it has tests; `text`
right after it is what that prints. `console` has commands. Under docs/, `{...}` is for Sphinx. A
program that begins with a comment that is a file's name lies under this name beside those after it
on the page; without a text block it is run by them alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from helpers import ROOT

README = ROOT / "README.md"
DOCUMENTS = [
    README,
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
]


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, what the fence says that it is, its text, and where it begins."""

    page: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file_name(self) -> str | None:
        """The name that the block gives itself."""
        named = re.match(r"# (\w+\.py)\n", self.text)
        return named[1] if named else None


def read(page: Path) -> str:
    """A page without the walk through the verbs, which has a test of its own: test_transcript."""

    def blank(match: re.Match[str]) -> str:
        return "\n" * match[0].count("\n")

    return re.sub(r"<!-- transcript.*<!-- end", blank, page.read_text(), flags=re.DOTALL)


def find_blocks(page: Path) -> list[Block]:
    """Return all fenced blocks. A fence that is never closed has an own language, which fails."""
    blocks: list[Block] = []
    lines = iter(enumerate(read(page).splitlines(), 1))
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
            blocks.append(Block(page, language, "".join(body), number))
    return blocks


BLOCKS = [block for page in DOCUMENTS for block in find_blocks(page)]
PYTHON = [block for block in BLOCKS if block.language == "python"]
SUITES = [block for block in PYTHON if "def test_" in block.text]  # for pytest
FILES = [block for block in PYTHON if block.file_name]


def output_of(program: Block) -> str | None:
    """What the page says that `program` prints: the text block that is next, if one is."""
    following = BLOCKS[BLOCKS.index(program) + 1 :][:1]
    if following and following[0].page == program.page and following[0].language == "text":
        return following[0].text
    return None


PROGRAMS = [
    block
    for block in PYTHON
    if block not in SUITES and not (block.file_name and output_of(block) is None)
]


def lay_out(program: Block, folder: Path) -> Path:
    """Write a program, and the files that its page has before it, and return its path."""
    for block in FILES:
        if block.page == program.page and block.line < program.line:
            assert block.file_name is not None
            (folder / block.file_name).write_text(block.text)
    path = folder / (program.file_name or ("test_it.py" if program in SUITES else "program.py"))
    path.write_text(program.text)
    return path


def prose_of(page: Path) -> str:
    """What stands between the blocks."""
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
