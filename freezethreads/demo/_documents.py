"""The documents to index: which there are, and what is in one."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sysconfig
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Document", "Tokens", "list_documents", "standard_library"]


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it was when it was listed. Compares equal if it has not changed since."""

    path: str
    """Relative to the root, with slashes; what is no UTF-8 in it stands there as an escape."""
    size: int
    modified: int
    """Nanoseconds, as `os.stat` gives them."""
    file: str = field(default="", compare=False)
    """What to open."""


def standard_library() -> Path:
    """The directory of this interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib")).resolve()


def list_documents(root: Path) -> list[Document]:
    """List the ``.py`` files below `root`, in an order that depends on their paths alone.

    Packages that were installed below the standard library are not part of it and are left out.
    The order looks random, so that the first thousand documents are a fair sample of all.
    """
    skipped = {"site-packages", "dist-packages"} if root == standard_library() else set()
    found = []
    for folder, folders, files in os.walk(root):
        if folder == str(root):
            folders[:] = [name for name in folders if name not in skipped]
        paths = (os.path.join(folder, name) for name in files if name.endswith(".py"))
        found += [document for path in paths if (document := _look_at(root, path))]
    return sorted(found, key=lambda found: hashlib.sha256(found.path.encode()).digest())


def _look_at(root: Path, path: str) -> Document | None:
    """Describe one file; None if it is no regular one, or is gone already."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    name = os.fsencode(Path(path).relative_to(root).as_posix()).decode("utf-8", "backslashreplace")
    return Document(name, found.st_size, found.st_mtime_ns, path)


class Tokens:
    """The tokens of `source` that are not mere white space. For one thread, and one pass.

    Source that cannot be tokenized to its end just ends earlier. `problem` says then why, and is
    empty before and otherwise.
    """

    def __init__(self, source: bytes) -> None:
        self.problem = ""
        self._tokens = self._read(source)

    def __iter__(self) -> Iterator[str]:
        return self._tokens

    def _read(self, source: bytes) -> Iterator[str]:
        try:
            for token in tokenize.tokenize(io.BytesIO(source).readline):
                if token.type != tokenize.ENCODING and token.string.strip():
                    yield _storable(token.string)
        except MemoryError:
            raise  # says nothing about the source
        except Exception as error:  # noqa: BLE001 - source may name any codec, which raises what it likes
            self.problem = _storable(f"{type(error).__name__}: {error}")


def _storable(text: str) -> str:
    """Return `text` without what not every database takes: NUL, and a codec's lone surrogates."""
    text = text.replace("\0", "\\0")
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
