"""The models of the protocol hold, their mutants do not, and their steps are in the code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from _markers import markers_of, steps_of
from _model import MODELS, ModelError, Search, explore, find_tools, main, models, searches_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "freezethreads"

ALL = sorted(MODELS.glob("*.pml"))

needs_spin = pytest.mark.skipif(
    not (shutil.which("spin") and (shutil.which("gcc") or shutil.which("cc"))),
    reason="needs spin and a C compiler",
)

BROKEN = """\
/* A counter that two processes change. */

/* run "nothing is lost" */
/* long "the same" -DTWICE */

byte count, ended;

active [2] proctype Writer() {
    byte seen;
    seen = count;
    count = seen + 1;
#ifdef MUTANT_nothing
#endif
    ended++
}

active proctype End() {
    ended == 2;
    assert(count == 2)
}
"""


def _written(folder: Path, text: str) -> Path:
    model = folder / "zz.pml"
    model.write_text(text)
    return model


def test_there_are_models_of_all_that_is_in_the_plan() -> None:
    names = {path.stem for path in models()}
    plan = {"core", "calls", "turns", "completion", "flag", "membership", "todos", "cell", "bar"}
    assert names == plan
    assert {path.stem for path in ALL} - names == {"word"}  # which the others include


@pytest.mark.parametrize("model", ALL, ids=lambda path: path.stem)
def test_each_step_is_in_the_code(model: Path) -> None:
    missing = [
        f"line {step.marker.line}: {step.marker.name} has no {operation!r} there"
        for step in steps_of(model.read_text(), PACKAGE)
        for operation, line in zip(step.marker.operations, step.lines, strict=False)
        if not line
    ]
    assert not missing, "\n".join(missing)


def test_each_model_says_which_steps_are_which() -> None:
    assert all(markers_of(model.read_text()) for model in ALL)


def test_a_step_that_is_not_in_the_code_is_found(tmp_path: Path) -> None:
    (tmp_path / "_a.py").write_text(
        "class A:\n    def f(self):\n        first()\n        second()\n"
    )
    in_order = '/* code: _a.A.f: "first()" ; "second()" */'
    assert [step.lines for step in steps_of(in_order, tmp_path)] == [(3, 4)]
    turned = '/* code: _a.A.f: "second()" */\n/* code: _a.A.f: "first()" */'
    assert [step.lines for step in steps_of(turned, tmp_path)] == [(4,), (0,)]
    with pytest.raises(LookupError, match=r"line 1: there is no _a\.A\.g"):
        list(steps_of("/* code: _a.A.g */", tmp_path))
    with pytest.raises(ValueError, match="line 1 is no marker"):
        markers_of("/* code: _a.A.f first */")


@pytest.mark.parametrize("model", models(), ids=lambda path: path.stem)
def test_each_model_has_mutants(model: Path) -> None:
    searches = searches_of(model, long=False)
    assert any(search.mutant for search in searches)
    assert searches[0].mutant is None


@needs_spin
@pytest.mark.parametrize("name", ["todos", "flag"])
def test_a_model_holds_and_its_mutants_do_not(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--only", name]) == 0
    output = capsys.readouterr().out
    assert "holds" in output
    assert "fails, as it should" in output
    assert "all as they should be" in output


@needs_spin
def test_a_model_that_does_not_hold_is_told_with_its_trail(tmp_path: Path) -> None:
    model = _written(tmp_path, BROKEN)
    result = explore(Search(model, "nothing is lost"), find_tools(), 500)
    assert not result.passed
    assert result.verdict.startswith("FAILS: ")
    assert result.trail


@needs_spin
def test_a_mutant_that_survives_is_told(tmp_path: Path) -> None:
    model = _written(tmp_path, BROKEN.replace("count = seen + 1", "count++"))
    run, mutant = searches_of(model, long=False)
    assert not run.mutant
    result = explore(mutant, find_tools(), 500)
    assert not result.passed
    assert result.verdict == "SURVIVES"


@needs_spin
def test_a_model_that_spin_cannot_read_is_told(tmp_path: Path) -> None:
    model = _written(tmp_path, "no model")
    with pytest.raises(ModelError, match=r"zz\.pml: spin -a zz\.pml failed"):
        explore(Search(model, ""), find_tools(), 500)


def test_a_model_without_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zz.pml").write_text("byte count;\n")
    with pytest.raises(ModelError, match=r"zz\.pml says of no run what to do"):
        searches_of(tmp_path / "zz.pml", long=False)


def test_without_spin_a_line_says_how_to_get_it(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "model"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert not result.stdout
    assert len(result.stderr.splitlines()) == 1
    assert "spin" in result.stderr
    assert "apt install" in result.stderr


def test_the_table_of_steps_needs_no_spin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["--code", "--only", "completion"]) == 0
    output = capsys.readouterr().out
    assert " completion.py:" in output
    assert "Completion.complete_all" in output
