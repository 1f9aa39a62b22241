"""The wheel: what it holds, what it asks for, and that it works where nothing else is."""

from __future__ import annotations

import configparser
import email
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from helpers import ROOT

# Building takes a few seconds, and a minute where other runs keep the machine busy.
pytestmark = pytest.mark.timeout(180)


def run(*command: str | Path, cwd: Path) -> str:
    """Run `command`, and show what it printed if it fails."""
    result = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout. It is built of a copy, since building writes beside setup.cfg."""
    source = tmp_path_factory.mktemp("wheel") / "source"
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=ignored)
    # Isolation would fetch setuptools anew; the test extra has installed it.
    output = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", cwd=source)
    assert "deprecat" not in output.lower(), output
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path, names: set[str]) -> Message:
    (name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        return email.message_from_bytes(archive.read(name))


def test_holds_the_whole_package_and_nothing_else(names: set[str]) -> None:
    files = [path for path in (ROOT / "freezethreads").rglob("*") if path.suffix != ".pyc"]
    package = {str(path.relative_to(ROOT)) for path in files if path.is_file()}
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped == package


def test_holds_types_and_licence(names: set[str]) -> None:
    assert "freezethreads/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_tells_pytest_of_the_plugin(wheel: Path, names: set[str]) -> None:
    (name,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
    entries = configparser.ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        entries.read_string(archive.read(name).decode())
    assert dict(entries["pytest11"]) == {"freezethreads": "freezethreads.testing.pytest_plugin"}


def test_is_for_every_platform(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")


def test_needs_nothing(metadata: Message) -> None:
    requirements = metadata.get_all("Requires-Dist", [])
    assert [line for line in requirements if "extra ==" not in line] == []


def test_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "freezethreads"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    extras = {"cli", "debug", "plot", "stress", "test"}
    assert extras <= set(metadata.get_all("Provides-Extra", []))


def test_installs_and_works_alone(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", "alone", cwd=tmp_path)
    python = tmp_path / "alone" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    run(*pip, "install", "--no-index", "--no-deps", wheel, cwd=tmp_path)
    run(*pip, "check", cwd=tmp_path)
    code = (
        "import freezethreads; freezethreads.safepoint()\n"
        "with freezethreads.freeze(): print(freezethreads.__file__)"
    )
    where = run(python, "-I", "-W", "error", "-c", code, cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path)
    assert run(tmp_path / "alone" / "bin" / "freezethreads", "--help", cwd=tmp_path)
