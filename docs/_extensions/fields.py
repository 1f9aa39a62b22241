"""What is said of the fields of a public class, and of the members of an enumeration.

Autodoc looks for it in the source of the module that a class says it is in. Ours say that they are
in the package where they are public, and their source is in a private module of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.pycode import ModuleAnalyzer

PUBLIC = (
    "freezethreads",
    "freezethreads.checkpoint",
    "freezethreads.control",
    "freezethreads.integrations",
    "freezethreads.testing",
)


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx whom to ask."""
    app.connect("builder-inited", show_sources)
    return {"parallel_read_safe": True}


def show_sources(app: Any) -> None:
    """Give each public package what its private modules say of fields."""
    for name in PUBLIC:
        shown = ModuleAnalyzer.for_module(name)  # which Sphinx keeps, and comes back to
        shown.analyze()
        folder = Path(shown.srcname).parent
        for path in folder.rglob("*.py"):
            if path.relative_to(folder).parts[0].startswith("_"):
                private = ModuleAnalyzer.for_file(path, name)
                private.analyze()
                shown.attr_docs.update(private.attr_docs)
                shown.annotations.update(private.annotations)
