"""Objects that must not be copied."""

from __future__ import annotations

from typing import ClassVar, NoReturn, SupportsIndex


class Unique:
    """Something of which there is one, so that copying and pickling it raise TypeError.

    A copy of what lets threads go when it is dropped would let them go as well. `_IS` says what
    it is.
    """

    __slots__ = ()
    _IS: ClassVar[str]

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"cannot copy or pickle a {type(self).__name__}: it is {self._IS}")
