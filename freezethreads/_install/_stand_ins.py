"""What is put in the place of the standard library's locks and queues: classes of ours.

Whoever looks at one, or at the class of it, is to see what he would see of the original, as far as
that is seen at all: programs subclass the class of a lock, and some compare the names of it.
"""

from __future__ import annotations

from types import GenericAlias
from typing import Any, Final, NoReturn

from freezethreads._install._patches import Function, Switch
from freezethreads._refrigerator.waits import plumbing

plumbing.add(__file__)


class StandIn:
    """A class of ours instead of the original class; or a function that makes such objects, where
    the original is one.

    An object that the original made is an instance as well, and one of ours is one of the original
    class: `isinstance()` has to be right for what is older than the installation. What the original
    says of its arguments, and of being subclassed, it says still.
    """

    def __init__(self, ours: type) -> None:
        self._ours = ours

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        if isinstance(original, type):
            return self._make_class(original, switch)
        made = self._make_class(type(original()), switch)

        def make(*args: Any, **kwargs: Any) -> Any:
            thing = original(*args, **kwargs)  # also for its errors and warnings
            return self._make(made, thing) if switch.on else thing

        return make

    def _make_class(self, theirs: type, switch: Switch) -> type:
        make, ours = self._make, self._ours
        either: Final = (ours, theirs)
        name = f"{theirs.__module__}.{theirs.__qualname__}"

        class Meta(type(ours)):  # type: ignore[misc]
            def __call__(cls, *args: Any, **kwargs: Any) -> Any:
                if cls is not made:
                    return super().__call__(*args, **kwargs)
                thing = theirs(*args, **kwargs)
                return make(made, thing) if switch.on else thing

            def __instancecheck__(cls, instance: object) -> bool:
                if cls is made:
                    return isinstance(instance, either)
                return bool(super().__instancecheck__(instance))

            def __subclasscheck__(cls, subclass: type) -> bool:
                if cls is made:
                    return issubclass(subclass, either)
                return bool(super().__subclasscheck__(subclass))

        def new(cls: Any, *args: Any, **kwargs: Any) -> Any:
            """For a subclass. As in C all is made now, whatever its `__init__` does."""
            if cls.__init__ is made.__init__:  # type: ignore[misc]
                theirs(*args, **kwargs)
            return make(cls, None)

        def get_class(self: object) -> type:
            cls = type(self)
            return theirs if cls is made else cls

        def refuse(self: object) -> NoReturn:
            whose = name if type(self) is made else type(self).__name__
            raise TypeError(f"cannot pickle {whose!r} object")

        members: dict[str, Any] = {
            "__slots__": (),
            "_is_noted": False,  # see `ownership.owned`
            "__doc__": theirs.__doc__,
            "__module__": theirs.__module__,
            "__qualname__": theirs.__qualname__,
            "__class__": property(get_class),
            "__init__": lambda self, *args, **kwargs: None,
            "__new__": new,
            "__reduce__": refuse,
        }
        if not _is_acceptable_base(theirs):
            members["__init_subclass__"] = _refuse_subclass
        if hasattr(theirs, "__class_getitem__"):
            members["__class_getitem__"] = classmethod(GenericAlias)
        made: type = Meta(theirs.__name__, (ours,), members)
        return made

    def _make(self, cls: type, theirs: object) -> object:
        """An object of that class, instead of the one that the original has made."""
        thing: object = object.__new__(cls)
        self._ours.__init__(thing)  # type: ignore[misc]
        return thing


class Around(StandIn):
    """The same for a class of ours whose objects have one of the original's in them. It is no base
    of others."""

    def _make(self, cls: type, theirs: object) -> object:
        thing: object = object.__new__(cls)
        self._ours.__init__(thing, theirs)  # type: ignore[misc]
        return thing


def _is_acceptable_base(original: type) -> bool:
    try:
        type("", (original,), {})
    except TypeError:
        return False
    return True


def _refuse_subclass(cls: type) -> NoReturn:
    base = cls.__mro__[1]
    raise TypeError(f"type '{base.__module__}.{base.__qualname__}' is not an acceptable base type")
