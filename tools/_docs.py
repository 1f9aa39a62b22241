"""Builds the site of the documentation, with warnings as errors: `tools/docs`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def main(arguments: Sequence[str]) -> int:
    """Build all pages anew: a page that is kept from the last time gives no warnings."""
    options = parse(arguments)
    sphinx = [sys.executable, "-m", "sphinx", "--builder", "html", "--fresh-env", "--write-all"]
    strict = ["--fail-on-warning", "--keep-going", "--quiet"]
    built = subprocess.run([*sphinx, *strict, str(DOCS), str(options.out)], check=False)
    if built.returncode == 0:
        print(f"the site begins at {options.out / 'index.html'}")
    return built.returncode


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="tools/docs",
        description="Build the site of the documentation from docs/ and the docstrings. A name in "
        "a docstring or a link that leads nowhere is an error, as every warning is.",
    )
    default = DOCS / "_build"
    parser.add_argument(
        "--out", type=Path, default=default, metavar="DIR", help="default: docs/_build"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
