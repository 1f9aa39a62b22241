"""Names that are looked for in the package, and are somewhere else: where that is."""

from __future__ import annotations

from typing import Final

METHODS: Final = {
    "thaw": "World.thaw",
    "call": "World.call",
    "move": "Registration.move",
    "uninstall": "Installation.uninstall",
}
_MAKERS: Final = {
    "World": "freeze() returns one, and `with freezethreads.freeze():` thaws by itself",
    "Registration": "register() returns one",
    "Installation": "install() returns one",
}
MODULES: Final = {
    "sync": "Barrier BoundedSemaphore Condition Event LifoQueue Lock PriorityQueue Queue RLock "
    "Semaphore SimpleQueue sleep",
    "checkpoint": "Checkpointer FileStore SQLiteStore",
    "control": "connect",
    "integrations.asyncio_loop": "enrol",
}


def where_is(name: str) -> str:
    """The end of a message that says that the package has no such name; "" if nobody knows."""
    if name in METHODS:
        kind = METHODS[name].partition(".")[0]
        return f"; {METHODS[name]}() is a method: {_MAKERS[kind]}"
    for module, names in MODULES.items():
        if name in names.split():
            return f"; it is in freezethreads.{module}"
    return ""
