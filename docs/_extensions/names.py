"""Names in single backticks in the docstrings: each is a reference, or at least exists.

What Sphinx finds by itself it finds by the end of a name, so that `serve()` could be two things.
Here a name is looked up from where it is written: as an argument of that function, as a member of
that class, in that module, in `freezethreads`, in its `Freezer`, and in the standard library. What
is ours and public becomes a link. What exists otherwise stays as it is. The rest is left to Sphinx,
which finds nothing, and says so.
"""

from __future__ import annotations

import builtins
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref

from freezethreads._ground.unique import Given

OWNER = re.compile(r":docstring of ([\w.]+)$")
NAME = re.compile(r"([A-Za-z_][\w.]*)(\(.*\))?")
STANDARD = ("", "threading", "queue", "select", "os", "asyncio.AbstractEventLoop", "builtins")
"""Where a bare name may be from that is not ours."""


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx whom to ask."""
    app.connect("doctree-read", look_names_up)
    app.connect("missing-reference", accept_what_exists)
    app.connect("autodoc-skip-member", skip_what_is_not_ours)
    app.connect("autodoc-process-bases", leave_private_bases_out)
    app.connect("autodoc-process-signature", leave_private_signatures_out)
    return {"parallel_read_safe": True}


def look_names_up(app: Any, doctree: nodes.document) -> None:
    """Give each name of a docstring its full name, or take what is no link out of the links."""
    for node in list(doctree.findall(pending_xref)):
        owner = OWNER.search(node.source or "")
        match = NAME.fullmatch(node["reftarget"])
        if node["reftype"] != "any" or not owner or not match:
            continue
        if match[1] in arguments_of(owner[1]):
            node.replace_self(node.children)
            continue
        for full in candidates(owner[1], match[1]):
            if find(full) is not None:
                if full.startswith("freezethreads") and "._" not in full:
                    node["reftarget"] = full
                else:
                    node.replace_self(node.children)
                break


def candidates(owner: str, name: str) -> Iterator[str]:
    """The full names that `name` may mean in the docstring of `owner`, the nearest first."""
    parts = owner.split(".")
    for length in range(len(parts), 0, -1):
        yield public(".".join([*parts[:length], name]))
    yield f"freezethreads.Freezer.{name}"
    yield f"freezethreads.World.{name}"
    for module in STANDARD:
        yield f"{module}.{name}" if module else name


def public(full: str) -> str:
    """The name under which something is documented, which may live in a private module."""
    parts = full.split(".")
    for length in range(len(parts), 1, -1):
        found = find(".".join(parts[:length]))
        if inspect.isclass(found) or (inspect.isfunction(found) and not is_method(found)):
            return ".".join([found.__module__, found.__qualname__, *parts[length:]])
    return full


def is_method(found: FunctionType) -> bool:
    """Whether it is one of a class of ours, which says where it is public."""
    return found.__module__.startswith("freezethreads.") and "." in found.__qualname__


def find(full: str) -> object | None:
    """What has this full name, or None. Fields of dataclasses count."""
    try:
        return pkgutil.resolve_name(full) or full
    except (ImportError, AttributeError, ValueError):
        holder, _, name = full.rpartition(".")
        if not holder or holder == full:
            return None
        try:
            return fields_of(pkgutil.resolve_name(holder)).get(name)
        except (ImportError, AttributeError, ValueError):
            return None


def fields_of(found: object) -> dict[str, object]:
    """The fields of a dataclass, and what is annotated in a class."""
    return dict(getattr(found, "__annotations__", {})) if inspect.isclass(found) else {}


def arguments_of(owner: str) -> set[str]:
    """The arguments of a function, of its class, and of what it overrides there."""
    found = find(owner)
    holder, _, name = owner.rpartition(".")
    around = find(holder) if holder else None
    overridden = [vars(base).get(name) for base in getattr(around, "__mro__", ())]
    return set().union(*map(parameters_of, (found, around, *overridden)))


def parameters_of(found: object) -> set[str]:
    """What it is called with, or made with, and its fields."""
    try:
        own = set(inspect.signature(found).parameters) if callable(found) else set()
    except ValueError:  # a class of C, which does not say
        own = set()
    return own | set(fields_of(found))


def accept_what_exists(app: Any, env: Any, node: pending_xref, shown: nodes.Node) -> Any:
    """A class of the standard library in an annotation, or a type variable: no link, no error.

    What an annotation has in quotes comes as the words of it, one by one.
    """
    if node.get("refdomain") != "py" or node["reftype"] == "any":
        return None
    words = re.findall(r"[\w.]+", node["reftarget"])
    known = all(hasattr(builtins, word) or find(word) is not None for word in words)
    # The one is loaded late, and of the other there are several.
    return shown if known or words in (["Serving"], ["Ts"]) else None


def skip_what_is_not_ours(
    app: Any, what: str, name: str, found: object, skip: bool, options: Any
) -> bool | None:
    """Leave out what the standard library has, and we leave as it is.

    For a field without a default Sphinx has a mark of its own.
    """
    function = getattr(found, "fget", found)
    module = getattr(inspect.unwrap(function) if callable(function) else function, "__module__", "")
    foreign = what in ("class", "exception") and not str(module).startswith(
        ("freezethreads", "sphinx")
    )
    return True if foreign else None


def leave_private_bases_out(app: Any, name: str, of: type, options: Any, bases: list[Any]) -> None:
    """Show no base that nobody can import."""
    bases[:] = [base for base in bases if "._" not in getattr(base, "__module__", "")] or [object]


def leave_private_signatures_out(
    app: Any, what: str, name: str, of: object, options: Any, arguments: str | None, result: Any
) -> tuple[str, Any] | None:
    """Show no constructor that nobody can call: what is got from elsewhere."""
    is_given = inspect.isclass(of) and issubclass(of, Given)
    if what == "class" and (is_given or re.search(r"\bfreezethreads\._", str(arguments))):
        return "", None
    return None
