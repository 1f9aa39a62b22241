"""Consistent checkpoints of a running program, on disk.

::

    store = SQLiteStore("state.sqlite")
    state = store.load() or State()                 # what the last run saved, or a fresh one
    with Checkpointer(freezer, store, lambda: state, every=5.0) as checkpointer:
        run(state)                                  # threads with safepoints
        checkpointer.stop(final=True)

Every five seconds all registered threads of ``freezer`` stop at their safepoints, the state is
taken while nobody changes it, they go on, and it is made durable: after a ``kill -9`` or a power
failure the store has the newest checkpoint that was acknowledged, or a newer one, and never half of
one.

A `Store` is `FileStore`, `SQLiteStore`, or anything with the same three methods. Damage is
logged with the logger ``freezethreads.checkpoint``.
"""

from freezethreads._ground.exports import export as _export
from freezethreads.checkpoint._checkpointer import Checkpoint, Checkpointer
from freezethreads.checkpoint._errors import CheckpointError, ForkUnsafe, StoreError
from freezethreads.checkpoint._filestore import FileStore
from freezethreads.checkpoint._sqlitestore import SQLiteStore
from freezethreads.checkpoint._store import Store

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Checkpointer",
    "FileStore",
    "ForkUnsafe",
    "SQLiteStore",
    "Store",
    "StoreError",
]

_export(__name__)
