"""One checkpoint as the bytes of a file: a header that says what must follow, then the payload.

::

    magic 8 | format 2 | raw 2 | length 8 | SHA-256 32 | payload

The magic is made as PNG's is (https://www.w3.org/TR/png/#5PNG-file-signature): a byte above 127,
both kinds of line end and an end of file, each of which some transfer of text destroys.
"""

from __future__ import annotations

import struct

from freezethreads.checkpoint._payload import Packed

__all__ = ["FORMAT", "MAGIC", "pack_header", "unpack_frame"]

MAGIC = b"\xf3FZ\r\n\x1a\n\0"
FORMAT = 1
_HEADER = struct.Struct(">8sHHQ32s")


def pack_header(packed: Packed) -> bytes:
    """Return what is to stand in the file before the payload's data."""
    return _HEADER.pack(MAGIC, FORMAT, packed.raw, len(packed.data), packed.checksum())


def unpack_frame(frame: bytes) -> Packed:
    """Return the payload in `frame`; ValueError says why it is not whole."""
    if len(frame) < _HEADER.size:
        raise ValueError(f"it has {len(frame)} bytes, less than a header")
    magic, version, raw, length, checksum = _HEADER.unpack_from(frame)
    if magic != MAGIC:
        raise ValueError("it does not begin as a checkpoint of this library does")
    if version != FORMAT:
        raise ValueError(f"it has format {version}, and this version knows {FORMAT}")
    if len(frame) != _HEADER.size + length:
        raise ValueError(f"it has {len(frame)} bytes, and should have {_HEADER.size + length}")
    packed = Packed(frame[_HEADER.size :], bool(raw))
    if raw > 1 or packed.checksum() != checksum:
        raise ValueError("the checksum differs")
    return packed
