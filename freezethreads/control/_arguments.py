"""A request's arguments, checked before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeVar, cast, get_args

from freezethreads._ground.arguments import Where, check_groups, check_settled
from freezethreads._ground.jsonable import LARGEST
from freezethreads.control._errors import RequestError

__all__ = ["Arguments", "check_names", "flag", "groups", "kinds", "seconds", "text", "where_of"]

T = TypeVar("T")

Arguments = Mapping[str, object]

_LONGEST: Final = 200  # characters of a name or a reason
_MOST: Final = 100  # kinds, or groups


def check_names(arguments: Arguments, known: Collection[str]) -> None:
    """Refuse arguments that a request does not have. Raises `RequestError`."""
    for name in arguments:
        if name not in known:
            takes = ", ".join(known) or "none"
            raise RequestError("wrong", f"no such argument: {name!r:.50}; it takes {takes}")


def text(arguments: Arguments, name: str, default: str = "") -> str:
    """Return a string of reasonable length."""
    value = arguments.get(name, default)
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise RequestError("wrong", f"{name} must be a string of at most {_LONGEST} characters")
    return value


def seconds(arguments: Arguments, name: str, default: float, least: float = 0.0) -> float:
    """Return a duration of more than `least`, which can be said in an answer."""
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RequestError("wrong", f"{name} must be a number of seconds")
    if not least < value < LARGEST:
        between = f"above {least:g} and below {LARGEST:g}"
        raise RequestError("wrong", f"{name} must be a number of seconds {between}")
    return float(value)


def where_of(arguments: Arguments) -> Where | None:
    """Return ``where`` threads are to be stopped; None if the request does not say it."""
    value = arguments.get("where")
    if value is not None and value not in get_args(Where):
        raise RequestError("wrong", f"where must be one of {', '.join(get_args(Where))}")
    return cast("Where | None", value)


def groups(arguments: Arguments) -> tuple[str, ...]:
    """Return the ``group`` that is to be stopped, or several in order."""
    return _names(arguments, "group", "", check_groups)


def kinds(arguments: Arguments) -> frozenset[str]:
    """Return the kinds that are to be ``settled``: one, or several."""
    return _names(arguments, "settled", [], check_settled)


def _names(arguments: Arguments, name: str, default: object, check: Callable[[object], T]) -> T:
    """Return a name or several of them, as `check` returns it."""
    value = arguments.get(name, default)
    several = value if isinstance(value, list) else [value]
    if len(several) > _MOST:
        raise RequestError("wrong", f"{name} must be at most {_MOST} names")
    try:
        return check([text({name: one}, name) for one in several])
    except (TypeError, ValueError) as error:
        raise RequestError("wrong", str(error)) from None


def flag(arguments: Arguments, name: str, default: bool) -> bool:
    """Return true or false."""
    value = arguments.get(name, default)
    if not isinstance(value, bool):
        raise RequestError("wrong", f"{name} must be true or false")
    return value
