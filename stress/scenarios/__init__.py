"""The scenarios that come with the runner: each module of this folder has one or more."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

from freezethreads.testing import Scenario

__all__ = ["LoadError", "built_in", "load"]


class LoadError(Exception):
    """A file has no scenario, or cannot be loaded. The message says why, in one line."""


def built_in() -> dict[str, type[Scenario]]:
    """All that are in this folder, by name."""
    found: dict[str, type[Scenario]] = {}
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        found |= _scenarios_in(importlib.import_module(f"{__name__}.{module}"))
    return found


def load(path: str) -> dict[str, type[Scenario]]:
    """All that the file at `path` defines, by name. Raises `LoadError`."""
    spec = importlib.util.spec_from_file_location("stress_loaded", Path(path).resolve())
    if spec is None or spec.loader is None:
        raise LoadError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's file may raise anything
        raise LoadError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    found = _scenarios_in(module)
    if not found:
        raise LoadError(f"{path} defines no freezethreads.testing.Scenario")
    return found


def _scenarios_in(module: ModuleType) -> dict[str, type[Scenario]]:
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    return {
        each.name: each
        for each in classes
        if issubclass(each, Scenario) and each.__module__ == module.__name__
    }
