"""How Sphinx makes the site: `tools/docs` runs it, with warnings as errors."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "freezethreads"
author = "the freezethreads authors"
copyright = author
release = version = version_of("freezethreads")

extensions = ["sphinx.ext.autodoc", "myst_parser", "names", "help_texts", "fields"]
exclude_patterns = ["_build", "_extensions"]

# A name in single backticks in a docstring is a reference, and one that leads nowhere an error.
default_role = "any"
nitpicky = True

autodoc_member_order = "bysource"
autodoc_default_options = {"show-inheritance": True}

myst_enable_extensions = ["deflist"]
# So that a link to a heading of a page is checked as well.
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"freezethreads {release}"
html_favicon = "favicon.svg"  # in a light colour where the browser is dark
html_copy_source = False
# The reference and the search have what would be in an index, which is too wide for a phone.
html_use_index = False
html_domain_indices = False
# Whose names of modules are not underlined like links.
pygments_dark_style = "github-dark"
