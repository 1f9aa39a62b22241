"""The report from inside: what it says, where it may be asked for, and that it lets all go."""

from __future__ import annotations

import io
import json
import re
import threading
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

import pytest

from freezethreads import Freezer, FreezeTimeout, State, sync
from freezethreads._explain import describe, look, render
from freezethreads._ground.jsonable import from_json, to_json
from freezethreads._report import ownership
from freezethreads._report.reports import Description
from freezing import actor, looping, puppet
from helpers import HAS_GIL, WAIT, stack_of, start, wait_for, wait_until


def report(freezer: Freezer, timeout: float = WAIT) -> str:
    file = io.StringIO()
    freezer.dump(file, timeout=timeout)
    return file.getvalue()


def part(text: str, name: str) -> str:
    """What a report says of one thread."""
    (found,) = (block for block in text.split("\n\n") if block.startswith(f"{name} (ident"))
    return found


def test_each_thread_with_its_state_site_and_stack() -> None:
    freezer = Freezer("shop")
    over = threading.Event()
    with looping(freezer, 1, "io.disk"), puppet(freezer, "net") as thread:
        region = thread.block(over, "poll")
        text = report(freezer)
        looper, blocked = part(text, "loop-0"), part(text, "puppet")
        over.set()
        region.result(WAIT)
    assert "freezer 'shop': 2 registered threads, " in text
    assert "; frozen within " in text
    assert re.search(
        r"group io\.disk\): FROZEN for .* at safepoint 'loop' \(.*freezing\.py:", looper
    )
    assert re.search(r"^--> Loops\._loop \(.*freezing\.py:\d+\)$", looper, re.MULTILINE)
    assert re.search(r"group net\): FROZEN for .* at blocking 'poll'", blocked)
    assert re.search(r"^--> Puppet\.pass_through ", blocked, re.MULTILINE)
    assert f"ident {thread.worker.ident}, native {thread.worker.native_id}" in blocked
    assert "MainThread" in text


def test_who_waits_for_the_end_of_a_thread_says_of_which() -> None:
    freezer = Freezer()
    over = threading.Event()
    joined = start(wait_for, over, name="joined")
    with puppet(freezer) as thread:
        region = thread.tell(join_in, freezer.blocking(), joined)
        wait_until(lambda: "in join" in stack_of(thread.worker))
        text = report(freezer)
        over.set()
        region.result(WAIT)
    assert ("\n  waits for the end of joined\n" in part(text, "puppet")) == HAS_GIL
    assert text.count("waits for the end of") == HAS_GIL


def join_in(region: AbstractContextManager[None], thread: threading.Thread) -> None:
    with region:
        thread.join(WAIT)


def test_frames_of_this_library_are_one_line() -> None:
    freezer = Freezer()
    with looping(freezer, 1):
        description = look(freezer, WAIT)
        text = render(description)
    (looper,) = (thread for thread in description.threads if thread.name == "loop-0")
    own = [frame for frame in looper.stack if frame.own]
    assert len(own) > 2
    assert f"    ({len(own)} frames of freezethreads)\n--> " in part(text, "loop-0")
    assert "refrigerator.py" not in part(text, "loop-0")


def test_the_description_is_json() -> None:
    freezer = Freezer()
    with looping(freezer, 2):
        description = look(freezer, WAIT)
    sent = json.loads(json.dumps(to_json(description)))
    assert from_json(Description, sent) == description


def test_todos_and_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "tracking", False)  # debug mode leaves it on
    freezer = Freezer(debug=True)
    lock = sync.Lock()
    over = threading.Event()
    with puppet(freezer) as owner, puppet(freezer) as other:
        with ExitStack() as stack:
            owner.do(lock.acquire)
            stack.callback(owner.do, lock.release)
            waiting = other.tell(lock.acquire)
            while not describe(freezer).threads[1].awaits:
                over.wait(0.001)
            owner.worker.name = "owner"
            future = freezer.todo(owner.worker, over.set)
            threads = {one.ident: one for one in describe(freezer).threads}
        waiting.result(WAIT)
        other.do(lock.release)
        owner.do(freezer.safepoint)
        future.result(WAIT)
    assert owner.worker.ident is not None
    assert other.worker.ident is not None
    owning, awaiting = threads[owner.worker.ident], threads[other.worker.ident]
    (owned,) = owning.owns
    assert awaiting.awaits is not None
    assert owned.acquired is not None
    assert owned.lock == awaiting.awaits.lock == repr(lock).replace("unlocked", "locked")
    assert re.fullmatch(r".*freezing\.py:\d+ in .*order", owned.acquired)
    assert awaiting.awaits.owner == owning.name
    assert (owning.todo_pending, awaiting.todo_pending) == (1, 0)
    text = render(replace(describe(freezer), threads=(owning, awaiting)))
    assert "1 todo pending" in text
    assert f"  owns {owned.lock}, acquired at " in text
    assert f"  waits for {owned.lock}, held by {owning.name}, acquired at " in text


def test_who_does_not_stop_is_named_and_all_are_shown() -> None:
    freezer = Freezer()
    release = threading.Event()
    with looping(freezer, 1), puppet(freezer) as thread:
        waiting = thread.tell(wait_for, release)
        text = report(freezer, timeout=0.5)
        release.set()
        waiting.result(WAIT)
    assert not freezer.armed
    assert "1 did not stop within " in text
    assert "1 of 2 threads did not stop within " in text
    assert "RUNNING, DID NOT STOP" in part(text, "puppet")
    assert "wait_for (" in part(text, "puppet")
    assert "DID NOT STOP" not in part(text, "loop-0")


def test_what_is_no_file_is_refused_before_anybody_is_stopped() -> None:
    freezer = Freezer()
    with pytest.raises(TypeError, match=r"^file must be a text file, or None for sys\.stderr"):
        freezer.dump(7)  # type: ignore[arg-type]
    assert freezer.statistics().freezes == 0


def test_all_go_on_before_anything_is_written() -> None:
    """A thread that stood may own the file's lock."""
    freezer = Freezer()
    states: list[State] = []

    class File(io.StringIO):
        def write(self, text: str) -> int:
            states.extend(info.state for info in freezer.threads())
            return super().write(text)

    with looping(freezer, 1):
        freezer.dump(File())
    assert states == [State.RUNNING]


def test_a_file_that_cannot_be_written_to_leaves_nobody_frozen() -> None:
    freezer = Freezer()
    file = io.StringIO()
    file.close()
    with looping(freezer, 1) as loops:
        with pytest.raises(ValueError, match="closed file"):
            freezer.dump(file)
        loops.progress()
    assert not freezer.armed


def test_inside_a_world_by_its_controller() -> None:
    freezer = Freezer()
    with (
        looping(freezer, 1),
        freezer.register("controller"),
        freezer.freeze(timeout=WAIT, reason="backup"),
    ):
        text = report(freezer)
        assert freezer.threads()[0].state is State.FROZEN
    assert "frozen within " in text
    assert re.search(r"^  a world by MainThread for 'backup' stands for ", text, re.MULTILINE)
    assert "makes this report" in part(text, "controller")
    assert "FROZEN for" in part(text, "loop-0")


def test_by_a_registered_thread_that_has_a_hold() -> None:
    """It is no safepoint: the thread would stop for that hold, with nobody to let it go."""
    freezer = Freezer()
    with looping(freezer, 1), puppet(freezer) as thread:
        hold = thread.do(freezer.hold, timeout=WAIT, reason="lunch")
        asked = thread.tell(report, freezer)
        try:
            text = asked.result(WAIT / 2)
        finally:
            hold.thaw()
    assert "frozen within " in text
    assert re.search(r"^  a hold by puppet for 'lunch' stands for ", text, re.MULTILINE)
    assert "makes this report" in part(text, "puppet")
    assert "FROZEN for" in part(text, "loop-0")


def test_while_somebody_else_has_stopped_all() -> None:
    freezer = Freezer()
    with looping(freezer, 1) as loops, actor() as controller:
        world = controller.do(freezer.freeze, timeout=WAIT)
        text = report(freezer)
        assert freezer.threads()[0].state is State.FROZEN
        controller.do(world.thaw)
        loops.progress()
    assert "frozen within " in text
    assert "a world by actor stands for " in text


def test_a_registered_thread_with_a_world_is_told_of() -> None:
    """It stops for nobody, so the report does not wait for it for long."""
    freezer = Freezer()
    with looping(freezer, 1), puppet(freezer) as controller:
        world = controller.do(freezer.freeze, timeout=WAIT)
        text = report(freezer, timeout=0.05)
        controller.do(world.thaw)
    assert "DID NOT STOP, with a world of its own" in part(text, "puppet")
    assert "FROZEN for" in part(text, "loop-0")


def test_a_thread_in_a_region_of_its_own_world_is_told_of_as_well() -> None:
    """It counts as stopped nowhere, though it stands at a site."""
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer) as controller:
        world = controller.do(freezer.freeze, timeout=WAIT)
        region = controller.block(over, "disk")
        text = report(freezer, timeout=0.05)
        over.set()
        region.result(WAIT)
        controller.do(world.thaw)
    assert re.search(
        r"BLOCKED for .* at blocking 'disk' .*, DID NOT STOP, with a world of its own",
        part(text, "puppet"),
    )


def test_a_name_cannot_end_its_line_or_move_the_cursor() -> None:
    freezer = Freezer("shop\x1b[2J")
    with freezer.register("one\x1b[2J\n\ntwo (ident 7): FROZEN\udcff"):
        text = report(freezer)
    assert "\none\\x1b[2J\\n\\ntwo (ident 7): FROZEN\\udcff (ident " in text
    assert "\x1b" not in text


def test_by_default_it_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Freezer("lonely").dump()
    out, err = capsys.readouterr()
    assert out == ""
    assert "freezer 'lonely': 0 registered threads, " in err


@pytest.mark.parametrize("timeout", [-1, float("nan"), "1"])
def test_a_wrong_timeout_is_refused_with_nothing_written(timeout: object) -> None:
    file = io.StringIO()
    with pytest.raises((TypeError, ValueError)):
        Freezer().dump(file, timeout=timeout)  # type: ignore[arg-type]
    assert not file.getvalue()


def test_without_standard_error_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with pytest.raises(RuntimeError, match="say which file"):
        Freezer().dump()


def test_no_freeze_is_told() -> None:
    freezer = Freezer()
    release = threading.Event()
    with puppet(freezer) as thread:
        waiting = thread.wait_in(freezer.no_freeze(), release)
        with pytest.raises(FreezeTimeout) as caught:
            freezer.freeze(timeout=0)
        text = report(freezer, timeout=0.01)
        release.set()
        waiting.result(WAIT)
        (after,) = (one for one in describe(freezer).threads if one.registered)
    assert after.inside is None
    assert "inside no_freeze()" in part(text, "puppet")
    evidence = caught.value.stragglers[0].evidence
    assert evidence is not None
    assert evidence.inside == "no_freeze"
    assert evidence.inside_at is not None
    assert evidence.inside_at.function.endswith("pass_through")
