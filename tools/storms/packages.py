"""Packages that live on threads: their releases, pinned, and their own suites, run from the sdist.

What a suite needs lies in a folder of its own below .venvs/: the source as it was released, and
the package with the suite's requirements as `pip install --target` puts them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from storms.suites import Suite
from storms.worker import ROOT

CACHE = ROOT / ".venvs" / "storm"


class FetchError(Exception):
    """A package cannot be had; the message says why."""


@dataclass(frozen=True)
class Package:
    """A release, and what its tests need besides pytest."""

    name: str
    version: str
    needs: tuple[str, ...]
    arguments: tuple[str, ...]
    """Pytest's."""
    excluded: dict[str, str] = field(default_factory=dict)
    """Tests that are not run in the storm, each with the reason."""

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def folder(self) -> Path:
        return folder_of(f"{self.name}-{self.version}")


PACKAGES = (
    Package("pykka", "4.5.0", ("pytest-mock==3.14.1",), ("-p", "pytest_mock", "tests")),
    Package(
        "fasteners",
        "0.20",
        ("diskcache==5.6.3", "more-itertools==10.7.0"),
        ("tests",),
        excluded={
            "fasteners-0.20/tests/test_process_lock.py::test_interprocess_lock": "gives a child "
            "0.1 s to end, and a freeze that times out has stopped its parent for as long"
        },
    ),
)


def folder_of(name: str) -> Path:
    """Of this interpreter's own, since a requirement may have been compiled for it."""
    tag = f"{sys.implementation.cache_tag}{sysconfig.get_config_var('abiflags') or ''}"
    return CACHE / f"{name}-{tag}"


def install(folder: Path, requirements: Sequence[str]) -> None:
    """Have these in `site` of that folder, if that was not done before. Raises FetchError."""
    command = [*_pip(), "install", "--only-binary", ":all:", *_site(folder), *requirements]
    _fill_once(folder, " ".join(requirements), lambda: _run(command))


def fetch(package: Package) -> Suite:
    """The package's suite; downloads it if that was not done before. Raises FetchError."""
    _fill_once(package.folder, package.requirement, lambda: _download(package))
    (source,) = (package.folder / "source").glob("*/")
    return Suite(
        package.name,
        "pytest",
        ("-p", "no:cacheprovider", "-o", "addopts=", "-q", *package.arguments),
        folder=source,
        paths=(str(package.folder / "site"),),
        excluded=package.excluded,
    )


def _fill_once(folder: Path, what: str, fill: Callable[[], object]) -> None:
    """Fill an empty folder, unless it was filled with the same before."""
    done = folder / "done"
    if not done.exists() or done.read_text() != what:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"fetching {what} ...", file=sys.stderr, flush=True)
        fill()
        done.write_text(what)


def _download(package: Package) -> None:
    folder = package.folder
    source_only = ["--no-deps", "--no-binary", package.name]
    _run([*_pip(), "download", *source_only, "--dest", str(folder), package.requirement])
    _run(
        [*_pip(), "install", "--prefer-binary", *_site(folder), package.requirement, *package.needs]
    )
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "source", filter="data")
    # Where pytest stops looking for settings, if the package has none: the checkout has some.
    (folder / "source" / "pytest.ini").touch()


def _pip() -> list[str]:
    return [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def _site(folder: Path) -> list[str]:
    return ["--target", str(folder / "site")]


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode != 0:
        print(result.stdout, file=sys.stderr, flush=True)
        raise FetchError(f"status {result.returncode} of {' '.join(command)}; its output is above")
