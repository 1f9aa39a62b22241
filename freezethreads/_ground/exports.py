"""Public classes and functions are to be found where they are public: by pickle, `repr` and help.

So which room of the package a class lives in can change, and what was pickled before is read after.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Final

_MARK: Final = "PYTEST_DONT_REWRITE"


class Docstring(str):
    """A docstring without its end that is for pytest, which finds it there all the same.

    Pytest, which has a plugin here, would warn where the package was imported before.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Docstring:
        return super().__new__(cls, text.partition(_MARK)[0].rstrip())

    def __contains__(self, text: str, /) -> bool:  # type: ignore[override] # as that of str
        return text == _MARK or super().__contains__(text)


def export(module: str) -> None:
    """Have what `module` lists in its `__all__`, but takes from a private one, say it is there."""
    public = sys.modules[module]
    for name in public.__all__:
        if name in vars(public):  # else it is loaded when somebody asks for it
            value = getattr(public, name)  # and not from `vars`, where an import may be lazy
            if isinstance(value, (type, FunctionType)) and "._" in value.__module__:
                value.__module__ = module
