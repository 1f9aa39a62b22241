"""Hooks: called when all stand, in order, and undone in reverse before the first thread runs."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from freezethreads import Freezer, FreezeTimeout, Hold, HookFailed, State
from freezethreads._controller.standing import standing
from freezethreads._ground.completion import Completion
from freezing import Pause, actor, before, looping, puppet
from helpers import WAIT, raise_once, wait_until


class Log:
    """A freezer, and what its hooks have done."""

    def __init__(self) -> None:
        self.freezer = Freezer("logged")
        self.calls: list[str] = []

    def note(self, name: str) -> Callable[[], None]:
        """A function that notes its name."""
        return lambda: self.calls.append(name)

    def add(self, name: str, phase: float = 0) -> None:
        """Add a hook that notes `+name` and `-name`."""
        self.freezer.hook(self.note(f"+{name}"), self.note(f"-{name}"), phase=phase, name=name)

    def taken(self) -> str:
        """What was noted since this was last asked."""
        calls, self.calls = self.calls, []
        return " ".join(calls)


@pytest.fixture
def log() -> Log:
    return Log()


def fail() -> None:
    raise OSError("the disk is full")


def test_by_phase_then_in_order_and_back_in_reverse(log: Log) -> None:
    for name, phase in (("late", 2), ("a", 0), ("early", -1.5), ("b", 0)):
        log.add(name, phase)
    with log.freezer.freeze():
        log.calls.append("|")
    assert log.taken() == "+early +a +b +late | -late -b -a -early"


def test_all_stand_from_the_first_before_to_the_last_after(log: Log) -> None:
    states = []

    def look() -> None:
        states.append({info.state for info in log.freezer.threads()})

    log.freezer.hook(look, look)
    log.freezer.hook(look, look)
    with looping(log.freezer, 2):
        log.freezer.run_frozen(look)
    assert states == [{State.FROZEN}] * 5


def test_in_the_thread_that_freezes_and_the_one_that_thaws(log: Log) -> None:
    idents: list[int] = []
    log.freezer.hook(*[lambda: idents.append(threading.get_ident())] * 2)
    with actor() as controller, actor() as other:
        world = controller.do(log.freezer.freeze)
        other.do(world.thaw)
        assert idents == [controller.worker.ident, other.worker.ident]


def test_either_function_may_be_missing(log: Log) -> None:
    log.freezer.hook(log.note("+a"))
    log.freezer.hook(after=log.note("-b"))
    log.freezer.run_frozen(log.note("|"))
    assert log.taken() == "+a | -b"


def test_where_they_are_asked_for(log: Log) -> None:
    log.add("a")
    freezer = log.freezer
    freezer.run_frozen(log.note("|"), hooks=False)
    freezer.freeze(hooks=False).thaw()
    freezer.hold().thaw()
    assert log.taken() == "|"
    freezer.hold(hooks=True).thaw()
    assert log.taken() == "+a -a"


def test_no_report_calls_them(log: Log) -> None:
    log.add("a")
    with open("/dev/null", "w") as file:
        log.freezer.dump(file)
    assert log.taken() == ""


def test_worlds_inside_ones_own_share_its_hooks(log: Log) -> None:
    log.add("a")
    with log.freezer.freeze() as outer:
        with log.freezer.freeze(), log.freezer.freeze():
            outer.thaw()
        log.calls.append("|")
    assert log.taken() == "+a -a |"
    with log.freezer.freeze(hooks=False), log.freezer.freeze():
        pass
    assert log.taken() == ""


def test_holds_overlap_and_so_do_their_hooks(log: Log) -> None:
    log.add("a")
    first, second = log.freezer.hold(hooks=True), log.freezer.hold(hooks=True)
    first.thaw()
    second.thaw()
    assert log.taken() == "+a +a -a -a"


def test_worlds_of_two_controllers_call_them_one_after_the_other(log: Log) -> None:
    log.add("a")
    with actor() as other:
        with log.freezer.freeze():
            waiting = other.tell(log.freezer.run_frozen, log.note("other's"), timeout=WAIT)
            log.calls.append("mine")
        waiting.result(WAIT)
    assert log.taken() == "+a mine -a +a other's -a"


# What goes wrong.


def test_a_before_that_raises_ends_the_freeze(log: Log) -> None:
    log.add("a")
    log.add("b")
    log.freezer.hook(fail, log.note("never"), name="disk")
    log.add("c")
    with looping(log.freezer, 1) as loops:
        with pytest.raises(HookFailed, match="<Hook 'disk', phase 0> raised OSError") as info:
            log.freezer.freeze(timeout=WAIT)
        loops.progress()
    assert info.value.hook == "disk"
    assert isinstance(info.value.__cause__, OSError)
    assert log.taken() == "+a +b -b -a"
    assert not log.freezer.armed


def test_the_failure_of_a_hold_is_the_same(log: Log) -> None:
    log.add("a")
    log.freezer.hook(fail, log.note("never"))
    with pytest.raises(HookFailed):
        log.freezer.hold(hooks=True)
    assert log.taken() == "+a -a"
    assert not log.freezer.armed


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_before_raises_as_itself(log: Log, error: type[BaseException]) -> None:
    log.add("a")
    log.freezer.hook(raise_once(error), log.note("never"))
    with pytest.raises(error):
        log.freezer.freeze()
    assert log.taken() == "+a -a"
    assert not log.freezer.armed


def test_a_before_that_ends_an_iteration_is_no_end_of_ours(log: Log) -> None:
    log.freezer.hook(raise_once(StopIteration), log.note("never"))
    with pytest.raises(HookFailed, match="StopIteration"):
        log.freezer.freeze()
    log.freezer.hook(after=raise_once(StopIteration))
    with pytest.raises(ExceptionGroup, match="an `after`"):
        log.freezer.freeze().thaw()
    assert log.taken() == "never"


def test_what_afters_raise_comes_at_the_end_of_the_thaw(log: Log) -> None:
    log.freezer.hook(after=fail)
    log.add("a")
    log.freezer.hook(after=raise_once(ValueError))
    with looping(log.freezer, 1) as loops:
        with (
            pytest.raises(ExceptionGroup, match="2 afters of the hooks of <freeze by") as info,
            log.freezer.freeze(),
        ):
            log.calls.append("|")
        loops.progress()
    assert [type(error) for error in info.value.exceptions] == [ValueError, OSError]
    assert log.taken() == "+a | -a"


def test_a_thaw_that_raised_is_over(log: Log) -> None:
    log.freezer.hook(after=raise_once(ValueError))
    world = log.freezer.freeze()
    with pytest.raises(ExceptionGroup):
        world.thaw()
    world.thaw()


def test_what_was_raised_in_the_block_is_the_context(log: Log) -> None:
    log.freezer.hook(after=fail)
    with pytest.raises(ExceptionGroup) as info, log.freezer.freeze():
        raise KeyError("key")
    assert isinstance(info.value.__context__, KeyError)


def test_an_interrupt_in_an_after_is_raised_as_itself(log: Log) -> None:
    log.freezer.hook(after=fail)
    log.add("a")
    log.freezer.hook(after=raise_once(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt) as info:
        log.freezer.freeze().thaw()
    (note,) = info.value.__notes__
    assert "the disk is full" in note
    assert log.taken() == "+a -a"


def test_a_failure_is_told_before_what_the_afters_raised(log: Log) -> None:
    log.freezer.hook(after=fail)
    log.freezer.hook(raise_once(ValueError))
    with pytest.raises(HookFailed) as info:
        log.freezer.freeze()
    (note,) = info.value.__notes__
    assert note.endswith("as well: OSError: the disk is full")


def test_no_before_is_called_later_than_the_time_out(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    from freezethreads._ground import deadline

    log.add("a")
    log.freezer.hook(lambda: monkeypatch.setattr(deadline, "monotonic", lambda: float("inf")))
    log.add("late")
    with pytest.raises(FreezeTimeout, match="before <Hook 'late', phase 0> was called"):
        log.freezer.freeze()
    assert log.taken() == "+a -a"
    assert log.freezer.statistics().timeouts == 1
    assert not log.freezer.armed


def test_a_freeze_that_times_out_calls_none(log: Log) -> None:
    log.add("a")
    with puppet(log.freezer), pytest.raises(FreezeTimeout):
        log.freezer.freeze(timeout=0.01)
    assert log.taken() == ""


# What hooks do.


def test_a_hook_that_freezes_shares_the_world(log: Log) -> None:
    def freeze() -> None:
        with log.freezer.freeze(), log.freezer.hold(hooks=True):
            log.calls.append("inside")

    log.freezer.hook(freeze, freeze)
    log.freezer.run_frozen(log.note("|"))
    assert log.taken() == "inside | inside"


@pytest.mark.parametrize("registered", [True, False])
def test_a_hook_of_a_hold_that_freezes_calls_no_hooks(log: Log, registered: bool) -> None:
    def freeze() -> None:
        with log.freezer.freeze(timeout=WAIT):
            log.calls.append("inside")

    log.freezer.hook(freeze, freeze)
    with ExitStack() as stack:
        if registered:
            stack.enter_context(log.freezer.register(group="mine"))
        log.freezer.hold(group="other", hooks=True).thaw()
    assert log.taken() == "inside inside"


def test_who_has_thawed_may_freeze_while_another_thread_still_gives_the_turn_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """1. another thread thaws a world, and has let everybody go
    2. the controller thaws as well, and need not wait for that any more
    3. it freezes again, when the turn is still its own freeze's, which is over
    """
    freezer = Freezer()
    with freezer.hook(after=int), actor() as other:
        world = freezer.freeze(timeout=WAIT)
        lets_go = Pause(other.worker)
        before(monkeypatch, Completion, "complete_all", lets_go)
        thawing = other.tell(world.thaw)
        lets_go.wait()
        world.thaw()
        freezer.freeze(timeout=WAIT).thaw()
        lets_go.go()
        assert thawing.exception(WAIT) is None
    assert not freezer.armed


def test_a_hook_may_freeze_with_another_freezer_and_its_hooks(log: Log) -> None:
    other = Log()
    other.add("b")
    log.freezer.hook(lambda: other.freezer.run_frozen(other.note("|")))
    log.freezer.run_frozen(log.note("|"))
    assert other.taken() == "+b | -b"


def test_a_thread_in_a_hook_stops_for_nobody(log: Log) -> None:
    """Not for a hold of another thread, nor for the very hold whose hook it is."""
    pause = Pause()

    def visit() -> None:
        pause()
        log.freezer.safepoint()
        with log.freezer.blocking():
            pass
        log.calls.append("through")

    log.freezer.hook(visit)
    with puppet(log.freezer, "mine") as controller, actor() as other:
        holding: object = controller.tell(log.freezer.hold, hooks=True, timeout=WAIT)
        pause.wait()
        second = other.tell(log.freezer.hold, group="mine", timeout=WAIT)
        wait_until(lambda: len(standing(log.freezer)) == 2)
        pause.go()
        hold = controller_result(holding)
        assert log.taken() == "through"
        hold.thaw()
        parked = controller.tell(log.freezer.safepoint)
        second.result(WAIT).thaw()
        parked.result(WAIT)


def controller_result(future: object) -> Hold:
    result = future.result(WAIT)  # type: ignore[attr-defined]
    assert isinstance(result, Hold)
    return result


def test_one_that_was_added_meanwhile_is_not_called(log: Log) -> None:
    log.freezer.hook(lambda: log.add("a"), log.note("-first"))
    with log.freezer.freeze():
        log.add("b")
    assert log.taken() == "-first"


def test_one_that_was_removed_meanwhile_is_undone_if_it_was_called(log: Log) -> None:
    first = log.freezer.hook(log.note("+first"), log.note("-first"))

    def remove() -> None:
        first.remove()
        last.remove()

    log.freezer.hook(remove)
    last = log.freezer.hook(log.note("+last"), log.note("-last"))
    log.freezer.freeze().thaw()
    assert log.taken() == "+first -first"
    log.freezer.freeze().thaw()
    assert log.taken() == ""


def test_a_block_removes_its_hook(log: Log) -> None:
    with log.freezer.hook(log.note("+a"), name="mine") as hook:
        log.freezer.freeze().thaw()
        assert (hook.name, hook.phase) == ("mine", 0)
    hook.remove()
    log.freezer.freeze().thaw()
    assert log.taken() == "+a"


def test_an_after_that_thaws_changes_nothing(log: Log) -> None:
    """It is what is going on: the rest is undone afterwards, and then they are let go."""

    def thaw() -> None:
        world.thaw()
        log.freezer.freeze().thaw()
        log.calls.append(log.freezer.threads()[0].state.value)

    log.add("a")
    log.freezer.hook(after=thaw)
    with looping(log.freezer, 1):
        world = log.freezer.freeze()
        world.thaw()
    assert log.taken() == "+a frozen -a"


def test_who_thaws_as_well_comes_back_when_all_are_let_go(log: Log) -> None:
    pause = Pause()
    log.freezer.hook(after=pause)
    with actor() as first, actor() as second, looping(log.freezer, 1) as loops:
        world = first.do(log.freezer.freeze)
        thawing = first.tell(world.thaw)
        pause.wait()
        again = second.tell(world.thaw)
        unwinding = world._freeze.unwinding
        assert unwinding is not None
        wait_until(lambda: bool(unwinding._bells))
        assert not again.done()
        assert log.freezer.threads()[0].state is State.FROZEN
        pause.go()
        thawing.result(WAIT)
        again.result(WAIT)
        loops.progress()


# What there is to see.


def test_they_are_among_the_sites_and_statistics(log: Log) -> None:
    log.add("flush")
    log.freezer.hook(log.note("+"))
    for _ in range(2):
        log.freezer.freeze().thaw()
    sites = {site.label: site for site in log.freezer.sites() if site.kind == "hook"}
    assert sites["flush"].hits == sites[None].hits == 2
    assert sites["flush"].filename == __file__
    assert str(sites["flush"]).startswith("hook 'flush' at ")
    flush, other = log.freezer.statistics().hooks
    assert (flush.name, flush.before.count, flush.after.count) == ("flush", 2, 2)
    assert (other.name, other.before.count, other.after.count) == (
        "Log.note.<locals>.<lambda>",
        2,
        0,
    )


def test_names_that_a_program_makes_up_are_kept_to_a_thousand(log: Log) -> None:
    for number in range(1002):
        with log.freezer.hook(log.note(""), name=str(number)):
            log.freezer.freeze().thaw()
    assert len(log.freezer.statistics().hooks) == 1000


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((), {}, ValueError),
        ((1,), {}, TypeError),
        ((None, "x"), {}, TypeError),
        ((int,), {"phase": float("nan")}, TypeError),
        ((int,), {"phase": "1"}, TypeError),
        ((int,), {"phase": True}, TypeError),
        ((int,), {"name": 1}, TypeError),
    ],
)
def test_wrong_arguments(
    log: Log, arguments: tuple[object, ...], options: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        log.freezer.hook(*arguments, **options)  # type: ignore[arg-type]
    for stop in (log.freezer.freeze, log.freezer.hold):
        with pytest.raises(TypeError, match="hooks must be True or False"):
            stop(hooks=1)  # type: ignore[arg-type]
    assert not log.freezer.armed


def test_a_hook_is_not_copied_and_its_error_is(log: Log) -> None:
    hook = log.freezer.hook(int, name="one")
    with pytest.raises(TypeError):
        copy.copy(hook)
    error = pickle.loads(pickle.dumps(HookFailed("why", "one")))
    assert (str(error), error.hook) == ("why", "one")
    assert repr(hook) == "<Hook 'one', phase 0>"
