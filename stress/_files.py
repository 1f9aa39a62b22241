"""The files that a run leaves, if it is asked to: ``--json``, ``--html`` and ``--trace``."""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path

from freezethreads.testing import Result
from stress._page import page_of
from stress._rows import foot, what_runs
from stress._trace import trace_of


def check_files(options: argparse.Namespace) -> str:
    """Why one of the files cannot be written, in one line; empty if all can, as far as is known."""
    for option in ("json", "html", "trace"):
        file: Path | None = getattr(options, option)
        if file is None:
            continue
        if file.is_dir():
            return f"--{option} {file}: it is a directory; name a file"
        if not file.absolute().parent.is_dir():
            return f"--{option} {file}: {file.absolute().parent} is no directory"
    if options.mutants is not None and (options.html or options.trace):
        return "--html and --trace show scenarios; with --mutants there is --json"
    if options.html is not None and importlib.util.find_spec("jinja2") is None:
        return "--html needs jinja2: pip install jinja2"
    return ""


def write_files(options: argparse.Namespace, results: list[Result], of: int) -> None:
    """Write those that were asked for; `of` so many scenarios were to be run."""
    if options.json is not None:
        content = {"seed": options.seed, "results": [result.as_dict() for result in results]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    if options.trace is not None:
        options.trace.write_text(trace_of(results))
    if options.html is not None:
        what = what_runs(options.seed, options.threads, options.seconds)
        page = page_of(results, what, foot(results, of), options.load)
        options.html.write_text(page, encoding="utf-8")
