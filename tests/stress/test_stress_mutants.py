"""``python -m stress --mutants``: who breaks a rule is caught, who is not caught fails the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freezethreads.testing import Finding, Result
from stress import _mutation
from stress._cli import main
from stress._mutation import Catch, choose
from stress.mutants import MUTANTS
from stress.mutants._mutant import put
from stress.scenarios import built_in


def test_each_mutant_has_a_scenario_that_there_is() -> None:
    for mutant in MUTANTS.values():
        assert mutant.rule
        assert mutant.scenarios or mutant.explored
        assert set(mutant.scenarios) <= set(built_in()), mutant


@pytest.fixture(autouse=True)
def short_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mutation, "LEAST", 0.2)
    monkeypatch.setattr(_mutation, "MARGIN", 0.1)


def test_mutants_are_caught_and_the_controls_pass(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "out.json"
    names = ["not-let-run", "groups-are-flat"]
    assert main(["--mutants", *names, "--seed", "x", "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert "these have not run since they stood last: work-" in out
    assert "2 of 2 mutants caught; with the freezer as it is 2 of 2 scenarios passed" in out
    content = json.loads(file.read_text())
    assert content["seed"] == "x"
    assert [each["name"] for each in content["mutants"]] == names
    assert [each["verdict"] for each in content["mutants"]] == ["caught", "caught"]
    assert [each["scenario"] for each in content["mutants"]] == ["fairness", "churn"]
    assert content["mutants"][0]["finding"]["what"].startswith("Violation: these have not run")
    assert {each["scenario"] for each in content["results"]} == {"fairness", "churn"}
    assert all(Result.from_dict(each).passed for each in content["results"])


def test_a_mutant_that_gets_through_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has a lease in this scenario."""
    arguments = ["--mutants", "lease-never-fires", "--scenario", "fairness", "--seconds", "0.2"]
    assert main([*arguments, "--threads", "2"]) == 1
    out = capsys.readouterr().out
    assert "SURVIVED: lease-never-fires (a lease that runs out thaws)" in out
    assert "0 of 1 mutants caught" in out


def test_without_strace_those_that_need_it_are_named_and_not_tried(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_mutation, "available", lambda: False)
    assert main(["--mutants", "renamed-too-early"]) == 0
    out = capsys.readouterr().out
    assert "Not tried without strace: renamed-too-early." in out
    assert "0 of 0 mutants caught" in out


def verdict(*whats: str, began: float = 1.0) -> str:
    """What is said of a mutant whose scenario has found this."""
    findings = [Finding(what, "somebody", 0.1) for what in whats]
    result = Result("bank", "seed", 8, 0.005, began=began, findings=findings)
    return Catch(MUTANTS["wait-for-nobody"], result, 1.0).verdict


def test_a_mutant_that_cannot_work_is_not_caught() -> None:
    assert verdict("Violation: it is torn") == "caught"
    assert verdict() == "SURVIVED"
    assert verdict("AttributeError: 'Freeze' object has no attribute 'awaited'") == "BROKEN"
    assert verdict("the process has not reported a result", began=0.0) == "BROKEN"


def test_a_patch_of_what_is_not_there_is_an_error() -> None:
    with pytest.raises(AttributeError):
        put(Catch, "absent", None)


def test_which_mutants_are_tried_where() -> None:
    assert choose([], None) == [each for each in MUTANTS.values() if each.scenarios]
    (mutant,) = choose(["not-let-run"], ["bank", "pipeline"])
    assert (mutant.name, mutant.scenarios) == ("not-let-run", ("bank", "pipeline"))
    names = [mutant.name for mutant in choose([], ["fairness"])]
    assert "not-let-run" in names
    assert all("fairness" in MUTANTS[name].scenarios for name in names)
