"""Payloads as bytes: what two different stores do alike, and a checksum cannot tell apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from freezethreads.checkpoint._errors import StoreError

__all__ = ["Packed", "Packer", "check_payload"]


@dataclass(frozen=True, slots=True)
class Packed:
    """A payload turned to bytes, which nothing that the application does can change any more."""

    data: bytes
    raw: bool
    """Whether the payload was these very bytes, rather than something that `dumps` made them of."""

    def checksum(self) -> bytes:
        """SHA-256 of all that makes this payload what it is."""
        digest = hashlib.sha256(b"raw" if self.raw else b"dumps")
        digest.update(len(self.data).to_bytes(8, "big"))
        digest.update(self.data)
        return digest.digest()


class Packer:
    """Packs payloads with one pair of functions. Immutable; used from any thread."""

    def __init__(
        self,
        dumps: Callable[[Any], bytes],
        loads: Callable[[bytes], Any],
    ) -> None:
        for name, function in (("dumps", dumps), ("loads", loads)):
            if not callable(function):
                raise TypeError(f"{name} must be callable, not {function!r}")
        self._dumps = dumps
        self._loads = loads

    def pack(self, payload: Any) -> Packed:
        """Return `payload` packed: bytes as they are, anything else through `dumps`."""
        if isinstance(payload, Packed):
            return payload
        if type(payload) is bytes:
            return Packed(payload, raw=True)
        data = self._dumps(payload)
        if type(data) is not bytes:
            raise TypeError(f"dumps must return bytes, not {type(data).__name__}")
        return Packed(data, raw=False)

    def unpack(self, packed: Packed) -> Any:
        """Return what was packed. StoreError if `loads` fails on bytes that are known good."""
        if packed.raw:
            return packed.data
        try:
            return self._loads(packed.data)
        except Exception as error:
            raise StoreError(
                f"the checkpoint is whole, but loads() cannot read it: {error!r}. "
                "It was saved by another version of the program, or with another dumps()"
            ) from error


def check_payload(payload: Any) -> Any:
    """Return `payload`; raise ValueError for None, with which `load()` says "nothing saved"."""
    if payload is None:
        raise ValueError("the payload is None, which stands for no checkpoint; save something else")
    return payload
