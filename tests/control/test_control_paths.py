"""The directory of the sockets: whose it is, and who may enter it."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from control_programs import runtime as runtime
from freezethreads import FreezeError, default_freezer
from freezethreads.control import find_processes
from freezethreads.control._paths import find_sockets, make_directory, sockets_of


def test_it_is_made_for_this_user_alone(runtime: Path) -> None:
    for _ in range(2):
        assert make_directory() == runtime
        assert runtime.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("value", [None, "", "relative", "/nowhere/at/all", "/" + 99 * "x"])
def test_without_a_runtime_directory_it_is_with_the_temporary_files(
    runtime: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv("XDG_RUNTIME_DIR")
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    directory = make_directory()
    assert directory == Path(tempfile.gettempdir(), f"freezethreads-{os.geteuid()}")
    assert directory.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def temporary(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory there, which somebody else may have made before."""
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    return Path(tempfile.gettempdir(), f"freezethreads-{os.geteuid()}")


def refused(match: str) -> None:
    with pytest.raises(FreezeError, match=match):
        make_directory()
    with pytest.raises(FreezeError, match=match):
        default_freezer.serve()
    assert list(find_sockets(os.geteuid())) == []


def test_one_that_others_may_enter_is_not_trusted(temporary: Path) -> None:
    temporary.mkdir()
    temporary.chmod(0o711)
    refused("others may enter")


def test_one_of_somebody_else_is_not_trusted(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary.mkdir(mode=0o700)
    lstat = Path.lstat

    def of_another(self: Path) -> os.stat_result:
        values = list(lstat(self))
        values[4] += self == temporary  # the user
        return os.stat_result(values)

    monkeypatch.setattr(Path, "lstat", of_another)
    refused("this belongs to user")


def test_a_link_is_not_followed(temporary: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    temporary.symlink_to(tmp_path)
    refused("this is no directory")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_its_place(temporary: Path) -> None:
    temporary.touch()
    refused("File exists")


def test_only_sockets_with_a_number_are_found(runtime: Path) -> None:
    make_directory()
    for name in ("12.sock", "0.sock", "x.sock", "13.sockets"):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(runtime / name))
    (runtime / "14.sock").touch()
    (runtime / "15.sock").symlink_to("12.sock")
    assert list(find_sockets(os.geteuid())) == [(12, runtime / "12.sock")]
    assert sockets_of(12, os.geteuid()) == [runtime / "12.sock"]
    assert sockets_of(14, os.geteuid()) == []


def test_a_process_of_another_environment_is_found_as_well(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was started without XDG_RUNTIME_DIR, and whoever looks for it has that."""
    with monkeypatch.context() as patch:
        patch.delenv("XDG_RUNTIME_DIR")
        serving = default_freezer.serve()
    with serving:
        assert serving.path.parent != runtime
        assert find_processes() == [os.getpid()]
