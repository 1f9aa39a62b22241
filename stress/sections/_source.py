"""A random module: functions that acquire locks in each of the forms that are read from bytecode.

All is chosen by one `random.Random`. What the stated rules leave out is not written: a call that
does not tell that it holds a lock, and a name that leads elsewhere before its block ends.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

DEEPEST: Final = 3  # blocks inside each other
_MOST: Final = 3  # statements in a block

# The locks of each function, as they are written in it. Nobody waits for one, so that a function
# has those alone that no other has.
LOCKS: Final = {
    "main": ("a", "b", "o.x", "o.inner.x", "G", "holding()"),
    "called": ("c", "o.y", "H", "locks[0]", "Holder()"),
    "generated": ("d", "o.z", "o.lock_of_property", "o.get_lock()"),
}

# What is called in a `with` statement and holds a lock, which is K or L here. (It is true, as all
# are that are given a name: another block may look at that name.)
_CALLED: Final = """\
@contextmanager
def holding():
    with K:
        yield True
class Holder:
    def __enter__(self):
        return L.acquire()
    def __exit__(self, *_):
        L.release()
"""


def can_be_told(lock: str) -> bool:
    """Whether it is a name or a chain of attributes whose value can be had without a call."""
    return not any(sign in lock for sign in ("[", "(", "property"))


class Source:
    """Writes one module: `main(o, a, b, c, d, locks)` calls what is defined in it."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._lines: list[str] = []
        self._depth = 0
        self._loops = 0
        self._generates = False
        self._stays = False  # whether nothing may leave the block
        self._function = "main"
        self._free: list[str] = []

    def write(self) -> str:
        """The module's text."""
        self._lines += _CALLED.splitlines()
        self._line("def main(o, a, b, c, d, locks):")
        self._depth += 1
        for function in ("called", "generated"):
            self._line(f"def {function}():")
            self._body(function)
        self._body("main", deeper=0)
        return "\n".join(self._lines) + "\n"

    def _body(self, function: str, deeper: int = 1) -> None:
        self._function, self._free = function, list(LOCKS[function])
        self._depth += deeper
        self._block()
        if function == "generated":
            self._line("yield probe()")
        self._block()
        self._line("return probe()")
        self._depth -= deeper

    def _line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    def _block(self) -> None:
        for _ in range(self._dice.randint(1, _MOST)):
            self._statement()

    def _inside(self, *before: str) -> None:
        """The block below what was written last."""
        self._depth += 1
        for line in before:
            self._line(line)
        self._block()
        self._depth -= 1

    def _statement(self) -> None:
        simple: list[Callable[[], None]] = [self._probe, self._comprehend]
        if not self._stays:
            simple.append(self._leave)
            if self._function == "main":
                simple += [self._call, self._call]
            if self._function == "generated":
                simple += [lambda: self._line("yield probe()")] * 2
        if self._depth >= DEEPEST + (self._function != "main"):
            self._dice.choice(simple)()
            return
        locking = [self._with, self._with, self._acquire, self._acquire] if self._free else []
        compound = [self._if, self._loop, self._try, self._suppress, self._stack]
        self._dice.choice([*simple, *locking, *locking, *compound])()

    # What does something, or leaves.

    def _probe(self) -> None:
        self._line("probe()")

    def _comprehend(self) -> None:
        self._line(self._dice.choice(("[probe() for _ in range(2)]", "any(map(probe, ()))")))

    def _call(self) -> None:
        if self._generates or self._dice.random() < 0.5:
            self._line("called()")
            return
        # It has its locks as long as it is suspended, and there are no others for a second one.
        self._line("with closing(generated()) as steps:")
        self._depth += 1
        self._line("for _ in steps:")
        self._generates = True
        self._loops += 1
        self._inside()
        self._loops -= 1
        self._generates = False
        self._depth -= 1

    def _leave(self) -> None:
        ways = ["return probe()", "return", "raise Wrong"]
        if self._loops:
            ways += ["break", "continue"] * 2
        self._line("if chance():")
        self._line(f"    {self._dice.choice(ways)}")

    # What has a block.

    def _if(self) -> None:
        self._line("if chance():")
        self._inside()
        if self._dice.random() < 0.5:
            self._line("else:")
            self._inside()

    def _loop(self) -> None:
        self._line(self._dice.choice(("for i in range(2):", "while chance():")))
        self._loops += 1
        self._inside()
        self._loops -= 1

    def _try(self) -> None:
        self._line("try:")
        self._inside()
        caught = self._dice.random() < 0.6
        if caught:
            if self._dice.random() < 0.5:  # mostly nobody else comes to the handler
                self._depth += 1
                self._line("if chance():")
                self._line("    raise Wrong")
                self._depth -= 1
            self._line(self._dice.choice(("except Wrong:", "except Wrong as error:")))
            self._depth += 1
            if self._dice.random() < 0.5:  # what a handler has acquired itself is easily mistaken
                self._acquire()
            self._block()
            self._depth -= 1
            if self._dice.random() < 0.3:
                self._line("else:")
                self._inside()
        if not caught or self._dice.random() < 0.4:
            self._line("finally:")
            loops, self._loops = self._loops, 0  # Python 3.14 warns of a jump out of it
            self._depth += 1
            self._line("probe()")
            self._depth -= 1
            self._loops = loops

    def _suppress(self) -> None:
        self._line("with suppress(Wrong):")
        self._inside()

    def _stack(self) -> None:
        self._line("with ExitStack() as stack:")
        self._inside("stack.callback(probe)")

    # Locks.

    def _take(self, most: int = 1) -> list[str]:
        taken = self._dice.sample(self._free, min(most, len(self._free)))
        self._free = [one for one in self._free if one not in taken]
        return taken

    def _take_named(self) -> list[str]:
        """One that is a name or a chain of attributes: no other's `acquire` is seen."""
        named = [one for one in self._free if can_be_told(one)]
        taken = self._dice.sample(named, min(1, len(named)))
        self._free = [one for one in self._free if one not in taken]
        return taken

    def _give_back(self, taken: Sequence[str]) -> None:
        self._free += taken

    def _with(self) -> None:
        taken = self._take(self._dice.choice((1, 1, 1, 2)))
        forms = ("{}", "{}", "{} as got", "(got := {})")
        contexts = [self._dice.choice(forms).format(one) for one in taken]
        self._line(f"with {', '.join(contexts)}:")
        self._inside()
        self._give_back(taken)

    def _acquire(self) -> None:
        taken = self._take_named()
        if not taken:
            self._probe()
        for lock in taken:
            form = self._dice.randrange(11)
            others = (self._if_acquired, self._several, self._bare, self._renamed)
            write = others[form] if form < len(others) else self._acquired
            write(lock, form)
        self._give_back(taken)

    def _if_acquired(self, lock: str, form: int) -> None:
        self._line(f"if {lock}.acquire(timeout=1):")
        self._depth += 1
        self._until_released(lock)
        self._depth -= 1

    def _several(self, lock: str, form: int) -> None:
        others = self._take_named()
        for one in (lock, *others):
            self._line(f"{one}.acquire()")
        self._until_released(*others, lock)
        self._give_back(others)

    def _bare(self, lock: str, form: int) -> None:
        """Without a `try`: so nothing may leave what is between the two."""
        stayed, self._stays = self._stays, True
        self._line(f"{lock}.acquire()")
        self._block()
        self._line(f"{lock}.release()")
        self._stays = stayed

    def _renamed(self, lock: str, form: int) -> None:
        take, give = (f"{method}_{lock.replace('.', '_')}" for method in ("take", "give"))
        self._line(f"{take} = {lock}.acquire")
        self._line(f"{give} = {lock}.release")
        self._line(f"{take}()")
        self._until(f"{give}()")

    def _acquired(self, lock: str, form: int) -> None:
        before, release = {
            4: ((f"{lock}.acquire()",), f"{lock}.release()"),
            5: ((f"{lock}.acquire(True, 1)",), f"{lock}.release()"),
            6: ((f"if not {lock}.acquire(blocking=False):", "    return"), f"{lock}.release()"),
            7: ((f"got = {lock}.acquire()",), f"{lock}.release()"),
            8: ((f"while not {lock}.acquire(True, 0.1):", "    probe()"), f"{lock}.release()"),
            9: ((f"got = {lock}.acquire()",), f"if got:\n{lock}.release()"),
            10: ((f"while not {lock}.acquire():", "    pass"), f"{lock}.release()"),
        }[form]
        for line in before:
            self._line(line)
        self._until(*release.split("\n"))

    def _until_released(self, *locks: str) -> None:
        self._until(*[f"{lock}.release()" for lock in locks])

    def _until(self, *releases: str) -> None:
        self._line("try:")
        self._inside()
        self._line("finally:")
        self._depth += 1
        for line in releases:
            self._line(line)
            self._depth += line.startswith("if ")
        self._depth -= 1 + sum(line.startswith("if ") for line in releases)
