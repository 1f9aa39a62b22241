"""The directory of the sockets: whose it is, and who may enter it."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from control_programs import runtime as runtime
from freezethreads import FreezeError, default_freezer
from freezethreads.control import _client, connect, find_processes
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


def avoided(temporary: Path) -> None:
    """Another directory is used, by all processes of this user, and found by who looks for them."""
    with default_freezer.serve() as serving:
        directory = serving.path.parent
        assert directory != temporary
        assert directory.name.startswith(f"{temporary.name}-")
        assert directory.stat().st_mode & 0o777 == 0o700
        assert make_directory() == directory
        assert list(find_sockets(os.geteuid())) == [(os.getpid(), serving.path)]
        with connect(os.getpid()) as client:
            assert client.hello["pid"] == os.getpid()


def of_another(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `path` be another user's."""
    lstat = os.lstat

    def status_of(looked_at: Any, **options: Any) -> os.stat_result:
        values = list(lstat(looked_at, **options))
        values[4] += os.fspath(looked_at) == str(path)  # the user
        return os.stat_result(values)

    monkeypatch.setattr(os, "lstat", status_of)


def test_one_that_others_may_enter_is_not_trusted(temporary: Path) -> None:
    temporary.mkdir()
    temporary.chmod(0o711)
    avoided(temporary)


def test_one_of_somebody_else_is_not_trusted(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary.mkdir(mode=0o700)
    of_another(temporary, monkeypatch)
    avoided(temporary)


def test_a_link_is_not_followed(temporary: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    temporary.symlink_to(tmp_path)
    avoided(temporary)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_its_place(temporary: Path) -> None:
    temporary.touch()
    avoided(temporary)


def test_whoever_has_made_one_that_looks_like_that_hinders_nobody(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the first one in the order of names."""
    temporary.touch()
    first = temporary.with_name(f"{temporary.name}-")
    first.mkdir(mode=0o700)
    of_another(first, monkeypatch)
    first.with_name(f"{first.name}!").touch()
    first.with_name(f"{first.name}+").symlink_to(tmp_path)
    avoided(temporary)


def test_where_no_place_is_left_that_is_said(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere/at/all")
    long = runtime.with_name(90 * "x")
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(FreezeError, match=r"/nowhere.*: No such file.*: too long .*; too long"):
        make_directory()
    assert list(long.iterdir()) == []


def without_a_temporary_directory() -> str:
    raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")


def test_who_has_a_runtime_directory_needs_no_temporary_one(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", without_a_temporary_directory)
    with default_freezer.serve():
        assert find_processes() == [os.getpid()]
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with pytest.raises(FreezeError, match="No usable temporary directory"):
        default_freezer.serve()


# What another user does beside a directory that is good.


def test_a_link_to_it_does_not_hide_it(runtime: Path) -> None:
    """In the place where a process without a runtime directory would have it."""
    temporary = Path(tempfile.gettempdir(), f"freezethreads-{os.geteuid()}")
    with default_freezer.serve():
        temporary.symlink_to(runtime)
        temporary.with_name(f"{temporary.name}-x").symlink_to(runtime)
        assert find_processes() == [os.getpid()]
        with connect(os.getpid()) as client:
            assert client.hello["pid"] == os.getpid()


def coming_and_going(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a directory that is asked about come, or go, just before. Returns what was asked."""
    asked: list[str] = []
    real_mkdir = os.mkdir

    def change(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(path: Any, *args: Any, **options: Any) -> Any:
            if path in paths:
                asked.append(name)
                try:
                    os.rmdir(path)
                except FileNotFoundError:
                    real_mkdir(path, 0o700)
            return real(path, *args, **options)

        return call

    for path in paths:
        path.mkdir(mode=0o700)
    for name in ("lstat", "mkdir", "listdir", "stat"):
        monkeypatch.setattr(os, name, change(name))
    return asked


def test_one_that_comes_and_goes_hinders_nobody(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Path(tempfile.gettempdir(), f"freezethreads-{os.geteuid()}")
    with default_freezer.serve(), monkeypatch.context() as patch:
        asked = coming_and_going([usual, usual.with_name(f"{usual.name}-x")], patch)
        for _ in range(8):
            assert find_processes() == [os.getpid()]
    assert asked.count("listdir") >= 8
    asked = coming_and_going([usual.with_name(f"{usual.name}-y")], monkeypatch)
    for _ in range(3):
        with default_freezer.serve() as serving:
            assert serving.path.parent == runtime
    assert asked


def test_one_that_comes_and_goes_in_the_usual_place_hinders_nobody(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's, so that what is in the way there is never of use."""
    with monkeypatch.context() as patch:
        of_another(temporary, patch)
        asked = coming_and_going([temporary], patch)
        for _ in range(8):
            with default_freezer.serve() as serving:
                assert serving.path.parent != temporary
    assert {"mkdir", "lstat"} <= set(asked)


def test_a_socket_of_a_killed_process_that_somebody_else_removes(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two look for processes at the same time."""
    make_directory()
    path = runtime / f"{2**22 + 1}.sock"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))

    def answers(path: Path) -> bool:
        path.unlink()
        return False

    monkeypatch.setattr(_client, "answers", answers)
    assert find_processes() == []


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
