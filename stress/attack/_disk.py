"""A disk whose power fails: what was done to it and not made durable is there, or not, or in part.

It is as bad as POSIX allows. Until a file is synced each of its writes may be there, be lost or be
torn, whatever was written before or after it; what lies between is zeros. Until the folder is
synced each change of its names may be there or not, in whatever order they were made. A rename is
one change. What was synced stays.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

SECTOR = 512
"""Bytes that a disk writes at once, or not. It may also stop in the middle of them."""

Image: TypeAlias = dict[str, bytes]
"""What is in the folder after a power failure."""


@dataclass(frozen=True)
class Made:
    """A file was opened, and made if it was not there."""

    name: str


@dataclass(frozen=True)
class Written:
    """Data was written to a file; at its end, if there is no `offset`."""

    name: str
    offset: int | None
    data: bytes


@dataclass(frozen=True)
class Resized:
    """A file was cut, or made longer with zeros."""

    name: str
    size: int


@dataclass(frozen=True)
class Named:
    """A file got another name."""

    name: str
    other: str


@dataclass(frozen=True)
class Removed:
    """A file lost its name."""

    name: str


@dataclass(frozen=True)
class Synced:
    """A file was made durable; the names, if it is that of the folder."""

    name: str


@dataclass(frozen=True)
class Said:
    """The program told somebody something, which no power failure takes back."""

    text: bytes


Event: TypeAlias = Made | Written | Resized | Named | Removed | Synced | Said
Edit: TypeAlias = Written | Resized


@dataclass(eq=False)
class _File:
    """What is durable of a file, and what has been done to it since."""

    durable: bytes = b""
    edits: list[Edit] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        return _edited(self.durable, self.edits)


Keep: TypeAlias = Callable[[object], Iterable[object]]
"""What is left of one thing that was not durable: itself, nothing, or parts of it."""


class Disk:
    """One folder, to which events are played."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._names: dict[str, _File] = {}
        self._durable: dict[str, _File] = {}
        # Each is one change, of one name or of two.
        self._changes: list[dict[str, _File | None]] = []

    def play(self, event: Event) -> None:
        """Do what an event says."""
        match event:
            case Made(name):
                if name not in self._names:
                    self._change({name: _File()})
            case Named(name, other):
                self._change({name: None, other: self._names[name]})
            case Removed(name):
                self._change({name: None})
            case Synced(name) if name == self._folder:
                self._durable = dict(self._names)
                self._changes = []
            case Synced(name):
                file = self._names[name]
                file.durable, file.edits = file.content, []
            case Written(name, offset, data):
                file = self._names[name]
                file.edits.append(
                    Written(name, len(file.content) if offset is None else offset, data)
                )
            case Resized(name):
                self._names[name].edits.append(event)

    def _change(self, change: dict[str, _File | None]) -> None:
        self._changes.append(change)
        self._names = _renamed(self._names, change)

    def failures(self, choose: random.Random, times: int) -> Iterator[Image]:
        """What may be there if the power fails now: all that is extreme, and some at random.

        Each image comes once.
        """
        seen: set[int] = set()
        for keep in (*self._extremes(), *(_at_random(choose) for _ in range(times))):
            image = self._image(keep)
            key = hash(tuple(sorted(image.items())))
            if key not in seen:
                seen.add(key)
                yield image

    def _loose(self) -> list[object]:
        """All that is not durable."""
        files = [*self._names.values(), *self._durable.values()]
        files += [file for change in self._changes for file in change.values() if file]
        edits: list[object] = [edit for file in dict.fromkeys(files) for edit in file.edits]
        return [*self._changes, *edits]

    def _extremes(self) -> Iterator[Keep]:
        """All is there, nothing is, only names, only data; each thing alone, and all but that."""
        yield lambda thing: [thing]
        yield lambda thing: []
        yield lambda thing: [thing] if isinstance(thing, dict) else []
        yield lambda thing: [] if isinstance(thing, dict) else [thing]
        for one in self._loose():
            yield lambda thing, one=one: [thing] if thing is one else []  # type: ignore[misc]
            yield lambda thing, one=one: [] if thing is one else [thing]  # type: ignore[misc]

    def _image(self, keep: Keep) -> Image:
        names = self._durable
        for change in self._changes:
            for kept in keep(change):
                assert isinstance(kept, dict)
                names = _renamed(names, kept)
        contents: dict[_File, bytes] = {}
        for file in names.values():
            if file not in contents:
                edits = [part for edit in file.edits for part in keep(edit)]
                contents[file] = _edited(file.durable, edits)
        return {name: contents[file] for name, file in names.items()}


def _renamed(names: dict[str, _File], change: dict[str, _File | None]) -> dict[str, _File]:
    return {name: file for name, file in {**names, **change}.items() if file is not None}


def _edited(content: bytes, edits: Iterable[object]) -> bytes:
    data = bytearray(content)
    for edit in edits:
        if isinstance(edit, Resized):
            del data[edit.size :]
            data.extend(bytes(edit.size - len(data)))
        else:
            assert isinstance(edit, Written)
            assert edit.offset is not None
            data.extend(bytes(max(0, edit.offset - len(data))))
            data[edit.offset : edit.offset + len(edit.data)] = edit.data
    return bytes(data)


def _at_random(choose: random.Random) -> Keep:
    """More or less is there, and of a write perhaps some sectors, the last of them cut."""
    share = choose.random()

    def keep(thing: object) -> list[object]:
        if choose.random() < 0.3 and isinstance(thing, Written):
            return list(_torn(thing, choose))
        return [thing] if choose.random() < share else []

    return keep


def _torn(write: Written, choose: random.Random) -> Iterator[Written]:
    assert write.offset is not None
    for start in range(0, len(write.data), SECTOR):
        sector = write.data[start : start + SECTOR]
        if choose.random() < 0.2:
            sector = sector[: choose.randrange(len(sector) + 1)]
        if sector and choose.random() < 0.6:
            yield Written(write.name, write.offset + start, sector)
