"""Libraries that wait in C of their own: what is replaced in them, when somebody imports them.

Nobody is made to import one. The rows for each stand in a module of `freezethreads.integrations`,
which is imported together with the library: at once, if that was imported before the installation,
or else at the end of its import. A finder that stands first in `sys.meta_path` learns of that. It
finds nothing itself: it asks the others, and has the loader that they name call back once. After
the import that loader, and all that the library's spec says, is what it would be without us.
"""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from freezethreads._install._patches import Patch, Row, find_patches
from freezethreads._refrigerator.waits import plumbing

# The module whose import completes what is replaced, and ours that says what that is.
LIBRARIES: Final = {
    "psycopg.waiting": "_psycopg",
    "uvloop": "_uvloop",
    "zmq": "_pyzmq",
}


def rows_of(name: str) -> Sequence[Row]:
    """What is replaced in that library, which has been imported."""
    ours: Any = importlib.import_module(f"freezethreads.integrations.{LIBRARIES[name]}")
    plumbing.add(ours.__file__)
    rows: Sequence[Row] = ours.TABLE
    return rows


def patches_so_far() -> list[Patch]:
    """Those for the libraries that have been imported."""
    loaded = [name for name in LIBRARIES if _is_loaded(name)]
    return [patch for name in loaded for patch in find_patches(rows_of(name))]


def _is_loaded(name: str) -> bool:
    """Whether it has been imported to its end."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


class Finder(MetaPathFinder):
    """Calls `imported` with each library's patches, in the thread that imports it, at the end of
    the import."""

    def __init__(self, imported: Callable[[list[Patch]], object]) -> None:
        self._imported = imported

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders find, if it is one of the libraries."""
        if name not in LIBRARIES:
            return None
        for finder in list(sys.meta_path):
            find: Any = getattr(finder, "find_spec", None)  # importlib minds none either
            if isinstance(finder, Finder) or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Notifying(spec.loader, self._imported)
                return spec
        return None


class _Notifying(Loader):
    """A loader that does what another one does, and calls back once."""

    def __init__(self, theirs: Any, imported: Callable[[list[Patch]], object]) -> None:
        self._theirs = theirs
        self._imported = imported

    def __getattr__(self, name: str) -> Any:
        return getattr(self._theirs, name)

    def __reduce__(self) -> tuple[object, ...]:
        return copy.copy, (self._theirs,)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the other one."""
        module: ModuleType | None = self._theirs.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """As the other one, with nothing of ours left in the module.

        It may be somebody's copy, which is no import of the library and has no spec perhaps.
        """
        module.__loader__ = self._theirs
        if module.__spec__ is not None:
            module.__spec__.loader = self._theirs
        self._theirs.exec_module(module)
        if sys.modules.get(module.__name__) is module:
            self._imported(find_patches(rows_of(module.__name__)))
