"""Runs a random module, and compares at each of its instructions what is held with what is seen."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from types import CodeType, FrameType, SimpleNamespace
from typing import Any, Final

from freezethreads._machine.stacks import held_by, shelter_of
from stress.sections._source import LOCKS, Source, can_be_told

_FILE: Final = "<random>"  # from which the module is said to be
RUNS: Final = 4  # of each module, with other chances
_CHANCES: Final = 60  # in one run, after which nothing is done by chance any more


class Wrong(Exception):
    """What the functions raise, and some of them catch."""


class Told:
    """A lock that is written in Python, and calls `ask` where somebody who waits would be."""

    def __init__(self, ask: Callable[[FrameType], object]) -> None:
        self._ask = ask
        self._inner = threading.Lock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        self._ask(sys._getframe())
        got = self._inner.acquire(blocking, timeout)
        return bool(got)

    def release(self) -> None:
        self._inner.release()

    def locked(self) -> bool:
        return self._inner.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def is_held(lock: Any) -> bool:
    """Whether somebody has it, which is the one thread that there is here."""
    return bool(lock._is_owned() if hasattr(lock, "_is_owned") else lock.locked())


class Things(SimpleNamespace):
    """What has locks as attributes; one of them nobody can tell without a call."""

    own: Any

    @property
    def lock_of_property(self) -> Any:
        return self.own


class Module:
    """One random module, and what was wrong with what was seen of it."""

    def __init__(self, dice: random.Random) -> None:
        self.text = Source(dice).write()
        self.wrong: list[str] = []
        self.asked = 0
        self._dice = dice
        self._space: dict[str, Any] = {
            "probe": self._probe,
            "chance": self._chance,
            "suppress": suppress,
            "ExitStack": ExitStack,
            "closing": closing,
            "contextmanager": contextmanager,
            "Wrong": Wrong,
            "__name__": "random_module",
        }
        self._code = compile(self.text, _FILE, "exec")
        self._codes = list(_codes_in(self._code))
        self._locks: dict[str, Any] = {}
        self._chances = 0
        self._seen: set[object] = set()  # in this run: where somebody has asked, and what was held

    def run(self) -> None:
        """With locks of each kind, several times. Appends what was wrong to `wrong`."""
        exec(self._code, self._space)
        written = [one for names in LOCKS.values() for one in names]
        with self._asked_at_each():
            for _ in range(RUNS):
                self._locks = {one: self._make_lock() for one in written}
                self._seen.clear()
                self._run_once()
                left = [one for one, lock in self._locks.items() if is_held(lock)]
                if left:
                    raise RuntimeError(f"left held: {left}, by\n{self.text}")

    def _run_once(self) -> None:
        locks = self._locks
        things = Things(x=locks["o.x"], y=locks["o.y"], z=locks["o.z"])
        things.own = locks["o.lock_of_property"]
        things.inner = SimpleNamespace(x=locks["o.inner.x"])
        things.get_lock = lambda: locks["o.get_lock()"]
        self._space.update(G=locks["G"], H=locks["H"], K=locks["holding()"], L=locks["Holder()"])
        self._chances = _CHANCES
        with suppress(Wrong):
            fast = [locks[name] for name in "abcd"]
            self._space["main"](things, *fast, [locks["locks[0]"]])

    def _make_lock(self) -> Any:
        kinds = (threading.Lock, threading.RLock, threading.Condition, threading.Semaphore)
        kind = self._dice.choice((*kinds[:3], lambda: Told(self._ask_waiting)))
        return kind()

    def _chance(self) -> bool:
        self._chances -= 1
        return self._chances > 0 and self._dice.random() < 0.4

    def _probe(self) -> bool:
        self._ask_waiting(sys._getframe())
        return False

    # What is true, and what is seen.

    def _held(self, frame: FrameType) -> set[str]:
        """The locks that the functions on this stack hold. (A generator that is suspended is on no
        stack, which is a stated rule.)"""
        names = [one for at in _frames_of_module(frame) for one in LOCKS.get(at.f_code.co_name, ())]
        return {one for one in names if is_held(self._locks[one])}

    def _is_new(self, frame: FrameType, held: set[str], running: bool) -> bool:
        """Whether nobody has asked there in this run while the same locks were held: the answer
        would be the same."""
        stack = tuple((at.f_code.co_name, at.f_lasti) for at in _frames_of_module(frame))
        case = (frame.f_code.co_name, frame.f_lasti, stack, frozenset(held), running)
        if case in self._seen:
            return False
        self._seen.add(case)
        self.asked += 1
        return True

    @contextmanager
    def _asked_at_each(self) -> Iterator[None]:
        """The interpreter asks before each instruction of the module, and of the locks."""
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
        instruction = monitoring.events.INSTRUCTION
        tool = next(tool for tool in (5, 4, 3, 2, 1, 0) if monitoring.get_tool(tool) is None)
        # (Not in `locked`, which is called at each of them to find out.)
        told = (Told.acquire, Told.release, Told.__enter__, Told.__exit__)
        codes = [*self._codes, *[method.__code__ for method in told]]
        monitoring.use_tool_id(tool, "sections")
        try:
            monitoring.register_callback(tool, instruction, self._ask_running)
            for code in codes:
                monitoring.set_local_events(tool, code, instruction)
            yield
        finally:
            for code in codes:
                monitoring.set_local_events(tool, code, 0)
            monitoring.register_callback(tool, instruction, None)
            monitoring.free_tool_id(tool)

    def _ask_running(self, code: CodeType, offset: int) -> None:
        """Nobody may be stopped before an instruction that finds a lock held."""
        frame = sys._getframe(1)
        held = self._held(frame)
        if not held or not self._is_new(frame, held, running=True):
            return
        if shelter_of(frame, "unlocked", running=True) is None:
            self._note(frame, f"holds {sorted(held)}, and may be stopped")

    def _ask_waiting(self, frame: FrameType) -> None:
        """Who waits there may be stopped unless it holds something, and it is known what."""
        held = self._held(frame)
        if not self._is_new(frame, held, running=False):
            return
        shelter = shelter_of(frame, "unlocked", running=False)
        if (shelter is not None) != bool(held):
            self._note(frame, f"holds {sorted(held)}, and waits in {shelter}")
        told = {id(lock) for lock, _, _ in held_by(frame, running=False)}
        known = {id(self._locks[one]) for one in held if can_be_told(one)}
        if told != known:
            names = sorted(one for one, lock in self._locks.items() if id(lock) in told)
            self._note(frame, f"holds {sorted(held)}, and is said to hold {names}")

    def _note(self, frame: FrameType, what: str) -> None:
        at = next(_frames_of_module(frame))
        where = f"line {at.f_lineno}, offset {at.f_lasti}"
        self.wrong.append(f"at {where} in {frame.f_code.co_name}: {what}")


def _frames_of_module(frame: FrameType | None) -> Iterator[FrameType]:
    """Those of a module's own functions, from the innermost on."""
    while frame is not None:
        if frame.f_code.co_filename == _FILE:
            yield frame
            if frame.f_code.co_name == "main":
                return
        frame = frame.f_back


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes_in(constant)
