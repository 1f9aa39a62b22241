"""Public classes and functions are to be found where they are public: by pickle, `repr` and help.

So which room of the package a class lives in can change, and what was pickled before is read after.
"""

from __future__ import annotations

import sys
from types import FunctionType


def export(module: str) -> None:
    """Have what `module` lists in its `__all__`, but takes from a private one, say it is there."""
    public = sys.modules[module]
    for name in public.__all__:
        if name in vars(public):  # else it is loaded when somebody asks for it
            value = getattr(public, name)  # and not from `vars`, where an import may be lazy
            if isinstance(value, (type, FunctionType)) and "._" in value.__module__:
                value.__module__ = module
