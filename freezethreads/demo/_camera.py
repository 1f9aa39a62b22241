"""Two ways to take the same snapshots: of a world that stands still, and of one that does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from freezethreads import Freezer
from freezethreads.checkpoint import Checkpoint, Checkpointer
from freezethreads.demo._snapshot import Recorder, TornSnapshot
from freezethreads.demo._store import IndexStore

__all__ = ["Camera", "Freeze", "FreezingCamera", "LooseCamera"]


@dataclass(frozen=True)
class Freeze:
    """One freeze. All in seconds."""

    at: float
    """When it was asked for, since the run began."""
    waited: float
    """Until all stood."""
    frozen: float
    """From then to the thaw."""
    saving: float
    """From then until the checkpoint was durable, while the workers were working."""


class Camera:
    """Takes snapshots of the index and saves them. For one thread.

    `tell` gets a line about each.
    """

    def __init__(
        self, store: IndexStore, recorder: Recorder, tell: Callable[[str], object]
    ) -> None:
        self.snapshots = 0
        """How many were tried while the workers worked."""
        self.torn: list[str] = []
        """What was wrong with each that was torn."""
        self.freezes: list[Freeze] = []
        self._store = store
        self._recorder = recorder
        self._tell = tell

    def snap(self, at: float) -> None:
        """Take one, `at` seconds after the run began. Raises what the store raises."""
        raise NotImplementedError


class FreezingCamera(Camera):
    """Has a `Checkpointer` stop the workers. A torn snapshot would not be saved."""

    def __init__(
        self,
        store: IndexStore,
        recorder: Recorder,
        tell: Callable[[str], object],
        freezer: Freezer,
    ) -> None:
        super().__init__(store, recorder, tell)
        self._checkpointer = Checkpointer(freezer, store, recorder.take_whole)

    def snap(self, at: float) -> None:
        """As in `Camera`. Raises FreezeTimeout too."""
        self.snapshots += 1
        try:
            made = self.save()
        except TornSnapshot as error:
            self.torn.append(str(error))
            self._tell(f"torn: {error}")
        else:
            self.freezes.append(Freeze(at, made.waited, made.frozen, made.saving))

    def save(self) -> Checkpoint:
        """Make a checkpoint, whether anybody works or not. Raises TornSnapshot too."""
        made = self._checkpointer.checkpoint()
        self._recorder.keep()
        self._tell(
            f"checkpoint {self._store.checkpoint}: stopped in {made.waited * 1e3:.1f} ms, "
            f"frozen for {made.frozen * 1e3:.1f} ms, saved in {made.saving * 1e3:.1f} ms"
        )
        return made


class LooseCamera(Camera):
    """Reads the structures while the workers change them, and saves what it finds."""

    def snap(self, at: float) -> None:
        """As in `Camera`."""
        self.snapshots += 1
        try:
            snapshot = self._recorder.take()
        except RuntimeError as error:  # a dict changed its size while it was gone through
            self._count_torn(f"RuntimeError: {error}")
            return
        for disagreement in islice(snapshot.disagreements(), 1):
            self._count_torn(disagreement)
        # Saved all the same: whoever does not freeze does not check either, and it costs the same.
        self._store.save(snapshot)
        self._recorder.keep()

    def _count_torn(self, why: str) -> None:
        self.torn.append(why)
        self._tell(f"torn: {why}")
