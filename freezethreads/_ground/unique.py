"""Objects that must not be copied, and those that nobody makes by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn, Self, SupportsIndex


class Unique:
    """Something of which there is one, so that copying and pickling it raise TypeError.

    A copy of what lets threads go when it is dropped would let them go as well. `_IS` says what
    it is.
    """

    __slots__ = ()
    _IS: ClassVar[str]

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"cannot copy or pickle a {type(self).__name__}: it is {self._IS}")


class Given(Unique):
    """Something that a function of this library returns, so that to make it by hand is a TypeError.

    `_WRITE` is what to write instead.
    """

    __slots__ = ()
    _WRITE: ClassVar[str]

    if not TYPE_CHECKING:  # a type checker is to look at `__init__`

        def __new__(cls, *parts: object, **named: object) -> Self:
            """What it is made of comes in order, and nobody else has as much of it."""
            made_by = cls.__init__
            needed = made_by.__code__.co_argcount - 1 - len(made_by.__defaults__ or ())
            if named or len(parts) < needed:
                raise TypeError(f"a {cls.__name__} is not made by hand: write `{cls._WRITE}`")
            return super().__new__(cls)
