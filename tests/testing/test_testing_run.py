"""What a run of a scenario finds, and what it reports; in this process."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest

from freezethreads import Freezer, State, World
from freezethreads.testing import (
    Actor,
    Plan,
    Progress,
    Result,
    Ring,
    Rings,
    Role,
    Run,
    Scenario,
    _watchdog,
    torture,
)
from helpers import start
from stress_scenarios import (
    Late,
    Lazy,
    Overdue,
    Patient,
    Restless,
    Sound,
    Stuck,
    Torn,
    Unfrozen,
    Unready,
)

SECONDS = 0.1


class Napping(Scenario):
    """Threads in blocking regions."""

    def actors(self) -> Iterable[Role]:
        return [Role(self.nap, 2)]

    def nap(self, actor: Actor) -> None:
        while not actor.over:
            with self.freezer.blocking():
                time.sleep(0.0001)
            actor.step()

    def invariant(self, world: World) -> None:
        pass


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do without the second that threads get to return when something was found."""
    monkeypatch.setattr(_watchdog, "GRACE", 0.2)


def run(scenario: type[Scenario], **more: float) -> Result:
    """Torture it for a short time, with a fast switch between threads."""
    return torture(scenario, seconds=SECONDS, seed="seed", switch_interval=0.0005, **more)  # type: ignore[arg-type]


def whats(result: Result) -> str:
    return "\n".join(finding.what for finding in result.findings)


def test_a_sound_scenario_passes_with_its_counts() -> None:
    result = run(Sound)
    assert result.passed, result
    assert (result.hung, result.stacks, result.timeouts, result.interrupted) == ([], {}, 0, False)
    assert result.freezes == len(result.recent) > 0
    assert result.checks == 2 * result.freezes
    assert set(result.steps) == {"count-0", "count-1", "_control-2"}
    assert result.all_steps == sum(result.steps.values())
    assert result.safepoints == result.steps["count-0"] + result.steps["count-1"]
    assert result.steps["_control-2"] == result.freezes == result.statistics["freezes"]


def test_a_result_goes_through_json() -> None:
    result = run(Torn)
    again = Result.from_dict(json.loads(json.dumps(result.as_dict())))
    assert json.dumps(again.as_dict()) == json.dumps(result.as_dict())
    assert (again.findings, str(again)) == (result.findings, str(result))


class Choosing(Sound):
    """Notes what its actors choose."""

    chosen: dict[str, list[float]]

    def setup(self) -> None:
        super().setup()
        type(self).chosen = {"setup": [self.random.random() for _ in range(3)]}

    def between(self, actor: Actor) -> None:
        choices = self.chosen.setdefault(actor.name, [])
        if len(choices) < 5:
            choices.append(actor.random.random())


def test_the_same_seed_gives_the_same_choices() -> None:
    seen = []
    for seed in ("one", "one", "other"):
        result = torture(Choosing, seconds=SECONDS, seed=seed)
        assert result.passed, result
        seen.append((Choosing.chosen, result.switch_interval))
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[2][0]
    lists = list(seen[0][0].values())
    assert len(lists) == 3
    assert lists[0] != lists[1] != lists[2]


def test_a_site_is_the_line_of_the_scenario() -> None:
    """And not that of the freezer that notes what passes it."""
    for scenario in (Sound, Napping):
        files = {site["filename"] for site in run(scenario).sites}
        assert files == {sys.modules[scenario.__module__].__file__}


def test_a_broken_invariant_is_reported_with_stacks_and_events() -> None:
    result = run(Torn)
    assert "a pair is torn" in result.findings[0].what
    assert result.findings[0].who == "_control-2"
    assert "in invariant" in result.findings[0].trace
    assert [name.split()[0] for name in result.stacks if name.startswith("count")]
    assert "in between" in "".join(result.stacks.values())  # while they stood
    details = [detail for _, _, detail in result.events["count-0"] + result.events["count-1"]]
    assert "between the halves" in details


def test_a_thread_that_moves_while_it_counts_as_stopped_is_found() -> None:
    result = run(Restless)
    assert "stand still" in whats(result)
    assert "move-1 made a step" in whats(result)


def test_who_does_nothing_fails() -> None:
    assert whats(run(Lazy, patience=2.0)) == "rest-1 has not made a step"


def test_a_run_waits_for_the_first_step_of_each_thread() -> None:
    result = run(Overdue)
    assert result.passed, result
    assert result.steps["begin_late-1"] == 1


def test_a_run_without_a_freeze_fails() -> None:
    assert whats(run(Unfrozen)) == "no freeze stood\nthe invariant was not checked once"


def test_what_setup_raises_is_a_finding() -> None:
    result = run(Unready)
    assert [(each.who, each.what) for each in result.findings] == [
        ("setup", "OSError: no such state")
    ]


def test_a_freeze_that_times_out_is_a_finding_unless_it_may() -> None:
    result = run(Late, freeze_timeout=0.5)
    assert "FreezeTimeout: 1 of 2 threads did not stop" in whats(result)
    assert "the stack of dawdle-1 at the deadline" in result.findings[0].trace
    result = run(Patient, freeze_timeout=0.2, patience=40)
    assert result.passed, result
    assert result.timeouts > 0
    assert result.freezes > 0


@pytest.mark.usefixtures("no_grace")
def test_a_thread_that_hangs_is_found_in_time() -> None:
    gate = Stuck.gate = threading.Event()
    try:
        result = torture(Stuck, seconds=60, patience=0.2, switch_interval=0.0005)
    finally:
        gate.set()
    assert result.findings[0].who == "hang-1"
    assert "it hangs, or is starved" in result.findings[0].what
    assert result.hung == ["hang-1"]
    assert "in hang" in "".join(result.stacks.values())
    assert result.events["hang-1"][-1][1:] == ("blocking", "stuck")
    assert result.seconds < 20


class Cast(Sound):
    """Threads of each kind."""

    def setup(self) -> None:
        super().setup()
        self.seen: dict[str, tuple[str, threading.Thread, bool]] = {}
        self.children: list[Actor] = []

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.count, 2),
            Role(self.look, group="io.disk"),
            Role(self.look, registered=False),
            Role(self.look, main=True),
            Role(self.breed),
        ]

    def look(self, actor: Actor) -> None:
        thread = threading.current_thread()
        infos = [info for info in self.freezer.threads() if info.ident == thread.ident]
        group = infos[0].group if infos else "not registered"
        self.seen[actor.name] = (group, thread, actor.thread is thread)
        while not actor.over:
            actor.pause(0.001)
            actor.step()

    def breed(self, actor: Actor) -> None:
        while not actor.over:
            if len(self.children) < 3:
                self.children.append(actor.spawn(self.child))
            actor.pause(0.001)
            actor.step()

    def child(self, actor: Actor) -> None:
        actor.step()


def test_each_role_is_played_as_it_says() -> None:
    casting = Run(Cast, Plan("seed", SECONDS, switch_interval=0.0005))
    result = casting.execute()
    assert result.passed, result
    scenario = casting.scenario
    assert isinstance(scenario, Cast)
    groups = {name: group for name, (group, _, _) in scenario.seen.items()}
    assert groups == {"look-2": "io.disk", "look-3": "not registered", "look-4": ""}
    assert scenario.seen["look-4"][1] is threading.current_thread()
    assert all(own for _, _, own in scenario.seen.values())
    children = [child.name for child in scenario.children]
    # On a busy machine there was not the time for all.
    assert children == ["child-5.1", "child-5.2", "child-5.3"][: max(1, len(children))]
    assert result.all_steps == sum(result.steps.values()) + len(children)


def test_an_interrupted_run_says_so_and_is_not_blamed() -> None:
    interrupted = Run(Sound, Plan("seed", 60))
    runner = start(interrupted.execute)
    interrupted.interrupt()
    result = runner.finish()
    assert result.passed, result
    assert result.interrupted


def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_watchdog, "PROGRESS_EVERY", 0.0)
    told: list[Progress] = []
    result = torture(Sound, seconds=0.3, seed="seed", on_progress=told.append)
    assert result.passed, result
    assert told
    assert told[0].freezes <= told[-1].freezes <= result.freezes
    assert told[-1].freezes > 0
    assert max(sum(one.states.values()) for one in told) == 2  # before, some have yet to begin
    assert {name for one in told for name in one.states} <= {state.name for state in State}


class Own(Sound):
    """A program with a freezer of its own, which notes nothing."""

    def make_freezer(self, rings: Rings) -> Freezer:
        return Freezer("own")


def test_a_plain_freezer_does() -> None:
    result = run(Own)
    assert result.passed, result
    assert result.safepoints is None
    assert result.worst is not None
    assert {standing["site"].split()[1] for standing in result.worst["standing"]} == {"'counted'"}


def test_the_worst_freeze_is_kept_with_its_lanes() -> None:
    result = run(Sound)
    worst = result.worst
    assert worst is not None
    assert worst["armed"] < worst["stood"] < worst["thawed"]
    times = sorted(stood - armed for armed, stood, _ in result.recent)
    assert any(worst["stood"] - worst["armed"] == pytest.approx(each) for each in times[-2:])
    names = {standing["name"] for standing in worst["standing"]}
    assert names  # the other one may have ended before; if both have, the next one is kept
    assert names <= {"count-0", "count-1"}
    for name in names:
        before = [kind for at, kind, _ in worst["lanes"][name] if at <= worst["stood"]]
        after = [kind for at, kind, _ in worst["lanes"][name] if at > worst["stood"]]
        assert before[-1] == "parked"
        assert after[0] == "running"


def test_a_ring_forgets() -> None:
    ring = Ring()
    for number in range(10_000):
        ring.note("note", str(number))
    assert len(ring.copy()) < 1000
    assert ring.copy()[-1][2] == "9999"


def test_the_rings_of_threads_that_are_gone_do_not_add_up() -> None:
    rings = Rings()

    def pass_one() -> None:
        rings.own().passed += 1

    for _ in range(50):
        start(pass_one).finish()
    assert len(rings.all()) < 25
    assert rings.passed() == 50


def test_actors_with_other_numbers_choose_otherwise() -> None:
    plan = Plan("seed")
    first = [plan.random_of("bank", str(number)).random() for number in range(100)]
    assert len(set(first)) == 100
    assert isinstance(plan.random_of("bank", "0"), random.Random)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("seconds", 0, ValueError),
        ("seconds", None, TypeError),
        ("threads", 0, ValueError),
        ("threads", 1.5, TypeError),
        ("seed", 7, TypeError),
        ("freeze_timeout", -1, ValueError),
        ("patience", "long", TypeError),
        ("switch_interval", 0, ValueError),
        ("on_progress", 7, TypeError),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_started(
    name: str, value: object, error: type[Exception]
) -> None:
    begun: list[object] = []

    class Begun(Sound):
        def setup(self) -> None:
            begun.append(self)

    with pytest.raises(error, match=f"^{name} must be "):
        torture(Begun, **{name: value})  # type: ignore[arg-type]
    assert not begun


@pytest.mark.parametrize("what", [int, "Sound"])
def test_what_is_no_scenario_is_refused(what: Any) -> None:
    with pytest.raises(TypeError, match=r"^scenario must be a subclass of Scenario, not "):
        torture(what)
