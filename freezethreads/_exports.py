"""Public classes and functions are to be found where they are public: by pickle, `repr` and help.

So which room of the package a class lives in can change, and what was pickled before is read after.
"""

from __future__ import annotations

import sys
from types import FunctionType


def export(module: str) -> None:
    """Have what `module` lists in its `__all__`, but takes from a private one, say it is there."""
    names = vars(sys.modules[module])
    for name in names["__all__"]:
        value = names.get(name)  # None: it is loaded when it is asked for
        if isinstance(value, (type, FunctionType)) and "._" in value.__module__:
            value.__module__ = module
