"""What is spoken through the control socket is on one page of the docs: requests and results."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from freezethreads._report.reports import Finding, FreezeRow, FreezerRow, ThreadRow
from freezethreads._report.statistics import Site
from freezethreads.control._spoken import SPOKEN
from helpers import ROOT

PAGE = (ROOT / "docs" / "reference" / "control.md").read_text()
ROWS = {
    cells[1].strip(" `"): cells[2:-1]
    for line in PAGE.splitlines()
    if len(cells := line.split("|")) == 6 and cells[1].startswith(" `")
}
SHOWN_BY = ("stacks", "stuck")  # whose results are those of a verb


def names_in(text: str) -> set[str]:
    """What is in backticks, and is a name."""
    return set(re.findall(r"`(\w+)`", text))


def test_every_request_has_its_row() -> None:
    assert list(ROWS) == list(SPOKEN)


@pytest.mark.parametrize("name", SPOKEN)
def test_a_row_has_the_arguments(name: str) -> None:
    assert names_in(ROWS[name][0]) == set(SPOKEN[name].arguments)


@pytest.mark.parametrize("name", [name for name in SPOKEN if name not in SHOWN_BY])
def test_a_row_has_the_fields_of_the_result(name: str) -> None:
    assert names_in(ROWS[name][2]) == {field.name for field in fields(SPOKEN[name].result)}


@pytest.mark.parametrize("kind", [ThreadRow, Site, FreezerRow, FreezeRow, Finding])
def test_the_fields_of_what_is_in_a_result_are_told(kind: type) -> None:
    assert {field.name for field in fields(kind)} <= names_in(PAGE)
