"""The demo as a process of its own: killed at random moments, told to end, asked for JSON."""

from __future__ import annotations

import random
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from demo_runs import FEW, copy_sources, run_demo, run_json, started_demo, write_long_sources
from helpers import WAIT

QUICK = ("--every", "0.01", "--threads", "4", "--no-compare")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def whole(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run says that nobody has killed."""
    return run_json("--root", sources, "--out", tmp_path_factory.mktemp("whole"), *QUICK)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_sources(tmp_path_factory.mktemp("few"), FEW)


def read_checkpoints(process: subprocess.Popen[str], number: int) -> list[str]:
    """Read what a demo prints, up to the line about its `number`-th checkpoint, or its end."""
    assert process.stdout
    lines: list[str] = []
    while number and (line := process.stdout.readline()):
        lines.append(line)
        number -= line.startswith("checkpoint ")
    return lines


def read_rest(process: subprocess.Popen[str]) -> tuple[str, int]:
    """Read what a demo prints up to its end, and return that and its status.

    Not with `communicate`, which does not know what `readline` has buffered.
    """
    assert process.stdout
    assert process.stderr
    rest = process.stdout.read()
    assert process.stderr.read() == ""
    return rest, process.wait(WAIT)


def newest_checkpoint(printed: str) -> int:
    """The number of the last checkpoint that a demo has told of, or 0."""
    told = re.findall(r"^checkpoint (\d+):", printed, re.MULTILINE)
    return int(told[-1]) if told else 0


def run_and_kill(arguments: list[object], checkpoints: int, seconds: float) -> tuple[str, int]:
    """Kill a demo `seconds` after it has told of so many checkpoints.

    Returns all that it printed, and its status.
    """
    with started_demo("--verbose", *arguments) as process:
        lines = read_checkpoints(process, checkpoints)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)  # the clock is what is meant: a moment that no output marks
        process.kill()
        rest, status = read_rest(process)
    assert status in (-signal.SIGKILL, 0)
    return "".join(lines) + rest, status


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments_it_ends_with_the_same_index(
    sources: Path, whole: dict[str, Any], tmp_path: Path, seed: int
) -> None:
    """Each time it goes on from the last checkpoint that it has told of, or from a newer one."""
    arguments: list[object] = ["--root", sources, "--out", tmp_path / "out", *QUICK]
    moments = random.Random(seed)
    told_last = kills = 0
    for attempt in range(5):
        # The first is killed as soon as it has something to lose, the others at any moment.
        checkpoints, seconds = (moments.randrange(3), moments.random() / 5) if attempt else (1, 0.0)
        printed, status = run_and_kill(arguments, checkpoints, seconds)
        told = newest_checkpoint(printed)
        kills += bool(told) and status == -signal.SIGKILL
        resumed = re.search(r"^resumed: .* from checkpoint (\d+)", printed, re.MULTILINE)
        assert bool(resumed) or not told or not told_last
        assert resumed is None or int(resumed[1]) >= told_last
        told_last = told or told_last
    assert kills, "none came between a checkpoint and the end"
    last = run_json(*arguments)
    assert last["resumed"]["checkpoint"] >= told_last

    assert whole["resumed"] is None
    assert last["finished"] == last["documents"] == whole["documents"]
    assert (last["digest"], last["tokens"]) == (whole["digest"], whole["tokens"])


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_long_sources(tmp_path_factory.mktemp("endless"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_last_checkpoint(
    endless: Path, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = ["--root", endless, "--out", tmp_path, *QUICK]
    with started_demo("--verbose", *arguments) as process:
        told = "".join(read_checkpoints(process, 2))
        process.send_signal(number)
        rest, status = read_rest(process)
    assert status == 128 + number
    ended = re.search(rf"^ended by {number.name}: 0 of 8 .* checkpoint (\d+)$", rest, re.MULTILINE)
    assert ended
    assert int(ended[1]) > newest_checkpoint(told) >= 2
    assert f"go on with: freezethreads demo --root {endless} --out {tmp_path}\n" in rest

    with started_demo("--verbose", *arguments) as process:
        told = "".join(read_checkpoints(process, 1))
        process.send_signal(number)
        assert read_rest(process)[1] == 128 + number
    resumed = rf"^resumed: 0 of 8 documents from checkpoint {ended[1]}, and [1-4] more in part$"
    assert re.search(resumed, told, re.MULTILINE)


def test_json_is_one_object_and_nothing_else(few: Path, tmp_path: Path) -> None:
    found = run_json("--root", few, "--out", tmp_path, "--every", "0.01", "--verbose")
    assert set(found) == {
        "root",
        "out",
        "python",
        "threads",
        "every",
        "documents",
        "resumed",
        "finished",
        "unreadable",
        "tokens",
        "checkpoint",
        "digest",
        "freezing",
        "no_freeze",
        "compared",
    }
    assert re.fullmatch("[0-9a-f]{64}", found["digest"])
    assert (found["root"], found["out"]) == (str(few), str(tmp_path))
    for name in ("freezing", "no_freeze"):
        run = found[name]
        assert set(run) == {
            "documents",
            "seconds",
            "files_per_second",
            "snapshots",
            "torn",
            "reasons",
            "time_to_stop",
            "time_frozen",
            "freezes",
            "stopped_by",
        }
        assert run["snapshots"] > 0
        assert run["torn"] == len(run["reasons"])
        assert run["files_per_second"] > 0
    assert set(found["freezing"]["time_to_stop"]) == {"median", "p99", "worst"}
    assert set(found["freezing"]["freezes"][0]) == {"at", "waited", "frozen", "saving"}
    assert found["freezing"]["torn"] == 0
    assert found["no_freeze"]["time_frozen"] is None


def test_no_freeze_alone_leaves_nothing_behind(few: Path, tmp_path: Path) -> None:
    found = run_json("--root", few, "--out", tmp_path, "--every", "0.01", "--no-freeze")
    assert found["freezing"] is None
    assert found["digest"] is None
    assert found["no_freeze"]["documents"] == found["documents"]
    assert list(tmp_path.iterdir()) == []


def test_the_table_ends_what_a_person_sees(few: Path, tmp_path: Path) -> None:
    stdout = run_demo("--root", few, "--out", tmp_path, "--every", "0.01")
    table = stdout.split("\n\n")[-1]
    for row in (
        "snapshots taken",
        "torn",
        "time to stop, p99",
        "time frozen, worst",
        "files a second",
    ):
        assert re.search(rf"^{row}.* \S+$", table, re.MULTILINE)
    assert "\x1b" not in stdout
    again = run_demo("--root", few, "--out", tmp_path)
    assert "the index is complete already; --fresh begins again" in again
    assert re.findall("digest: .*", again) == re.findall("digest: .*", stdout)
    fresh = run_demo("--root", few, "--out", tmp_path, "--fresh", *QUICK)
    assert "resumed" not in fresh
    assert re.findall("digest: .*", fresh) == re.findall("digest: .*", stdout)
