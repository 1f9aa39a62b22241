"""The interpreter exits while threads of all kinds are frozen: CPython's #137433."""

from __future__ import annotations

from freezethreads._ground.arguments import Where
from helpers import WAIT, run_python

PROGRAM = """
import sys, threading, time
import freezethreads as ft
from freezethreads import sync

def at_safepoint():
    with ft.register("at_safepoint", group="a"):
        up.release()
        while True:
            time.sleep(0)
            ft.safepoint()

def in_region():
    with ft.register("in_region", group="a"), ft.blocking():
        up.release()
        threading.Event().wait()

def in_wait():
    with ft.register("in_wait", group="a"):
        up.release()
        sync.Event().wait()

def registering():
    ft.register("registering", group="a")
    registered.append(True)

def start(work):
    for _ in range(int(sys.argv[2])):
        threading.Thread(target=work, daemon=True).start()

up = threading.Semaphore(0)
registered = []
for work in in_region, in_wait, at_safepoint:  # those last that take processors from the others
    start(work)
    for _ in range(int(sys.argv[2])):
        assert up.acquire(timeout=10)
frozen = getattr(ft, sys.argv[1])(timeout=10, group="a", where=sys.argv[3])
start(registering)
deadline = time.monotonic() + 10
while {info.state for info in ft.threads()} != {ft.State.FROZEN} or len(ft.threads()) < 4:
    assert time.monotonic() < deadline
    time.sleep(0.001)
assert not registered, "one has registered while its group was frozen"
print("ends")
"""


def exit_while_frozen(kind: str, threads: int, where: Where = "safepoint") -> None:
    """So many daemon threads of each kind are under a "freeze" or a "hold" when the main thread
    ends. The interpreter ends as well, and says that it has let them go."""
    result = run_python(PROGRAM, kind, str(threads), where, timeout=4 * WAIT + threads / 10)
    assert result.stdout == "ends\n"
    thaws = [line for line in result.stderr.splitlines() if "was thawed" in line]
    frozen = f"<{kind} of group 'a' by MainThread>"
    assert thaws == [f"{frozen} was thawed by the freezer: the main thread has ended"]
