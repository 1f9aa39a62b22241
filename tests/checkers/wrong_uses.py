"""Wrong uses, which mypy and pyright have to refuse. Nobody runs this.

Each line with a `type: ignore` is an error for both; where one of the two has nothing against it,
the comment is unused, and that is an error of the linting.
"""

from __future__ import annotations

import threading

import freezethreads
from freezethreads import Freezer, Thread, ThreadPoolExecutor
from freezethreads.checkpoint import Checkpointer, FileStore
from freezethreads.control import connect
from freezethreads.integrations import asyncio_loop
from freezethreads.sync import Lock, Queue, SimpleQueue, sleep

me = threading.current_thread()
freezer = Freezer()


def half(number: int) -> float:
    return number / 2


# What is called, and in whom.
freezethreads.todo("w", print)  # type: ignore[arg-type]
freezethreads.todo(None, print)  # type: ignore[arg-type]
freezethreads.todo(me.ident, print)  # type: ignore[arg-type]
freezethreads.todo(me, half)  # type: ignore[arg-type]
freezethreads.todo(me, half, "3")  # type: ignore[arg-type]
freezethreads.todo(me, half, number=3)  # type: ignore[call-arg, arg-type]
freezethreads.todo(me, half(3))  # type: ignore[arg-type]
freezethreads.todo(me, half, 3, priority="high")  # type: ignore[arg-type]
freezethreads.todo_all(half, "3")  # type: ignore[arg-type]
freezethreads.run_frozen(half, "3")  # type: ignore[arg-type]
freezethreads.run_frozen(half(3))  # type: ignore[arg-type]
label: str = freezethreads.run_frozen(half, 3)  # type: ignore[assignment]

# A freeze, and what is got of it.
freezethreads.freeze("io")  # type: ignore[call-arg, arg-type]
freezethreads.freeze(5.0)  # type: ignore[call-arg]
freezethreads.freeze(group=None)  # type: ignore[arg-type]
freezethreads.freeze(lease="60")  # type: ignore[arg-type]
with freezethreads.freeze() as world:
    world.call("w", half, 3)  # type: ignore[arg-type]
    world.call(me, half)  # type: ignore[arg-type]
    world.threads = ()  # type: ignore[misc]
with freezethreads.hold() as hold:
    hold.call(me, half, 3)  # type: ignore[attr-defined]
with asyncio_loop.freeze():  # type: ignore[attr-defined]
    pass


async def enter_the_wrong_way() -> None:
    async with freezethreads.freeze():  # type: ignore[attr-defined]
        pass
    async with freezethreads.hold():  # type: ignore[attr-defined]
        pass
    asyncio_loop.freeze("io")  # type: ignore[arg-type]


# The threads' side.
freezethreads.register(7)  # type: ignore[arg-type]
freezethreads.register(waker=7)  # type: ignore[arg-type]
freezethreads.safepoint(7)  # type: ignore[arg-type]
freezethreads.blocking(7)  # type: ignore[arg-type]
freezethreads.install("io")  # type: ignore[arg-type]
Thread(freezer="io")  # type: ignore[arg-type]
ThreadPoolExecutor(freezer="io")  # type: ignore[arg-type]
ThreadPoolExecutor().submit(half, "3")  # type: ignore[arg-type]

# The other rooms.
Lock().acquire(timeout=None)  # type: ignore[arg-type]
sleep(seconds=1)  # type: ignore[call-arg]
Queue[int]().put("3")  # type: ignore[arg-type]
SimpleQueue[int]().put("3")  # type: ignore[arg-type]
Checkpointer(freezer, "state", dict)  # type: ignore[arg-type]
Checkpointer(freezer, FileStore("state"), dict, mode="thread")  # type: ignore[arg-type]
Checkpointer(freezer, FileStore("state"), {})  # type: ignore[arg-type]
connect("1234")  # type: ignore[arg-type]
