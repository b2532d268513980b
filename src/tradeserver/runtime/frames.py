"""The bytes of a write-ahead log segment: header, frames, and how damage is told from an end. Pure functions.

A segment is a header of 128 bytes and frames back to back; a preallocated rest is zeros.

    header   magic 8, version u32, reserved u32, first sequence u64, chain 8, CRC32 of all that
    64, 96   two slots "synced position u64, CRC32", written in turn: the greater valid one counts, so that a torn
             write of one leaves the other
    frame    length u32, CRC32 u32, sequence u64, chain 8, payload (one record, JSON)

`chain` is an 8-byte BLAKE2b of the frame before (the header's chain before the first frame), the sequence number and
the payload; the CRC covers chain and payload. The first frame is a checkpoint: it takes no sequence number of its own
and carries that of the last record before it. Integers are little-endian.
"""

from __future__ import annotations

import struct
import zlib
from hashlib import blake2b
from typing import Final, NamedTuple

MAGIC: Final = b"TRADEWAL"
VERSION: Final = 1
HEADER_SIZE: Final = 128
FRAME_HEAD: Final = struct.Struct("<IIQ8s")
NO_CHAIN: Final = bytes(8)

_FIXED: Final = struct.Struct("<8sIIQ8s")
_CRC: Final = struct.Struct("<I")
_SLOT: Final = struct.Struct("<QI")
_SLOTS: Final = (64, 96)
_U64: Final = struct.Struct("<Q")


class Header(NamedTuple):
    """What a segment says about itself."""

    first_seq: int
    chain: bytes
    synced: int  # every byte before this position is on the disk


class Frame(NamedTuple):
    """One whole frame; `end` is the position after it."""

    seq: int
    chain: bytes
    payload: bytes
    end: int


class BadHeaderError(Exception):
    """Not a header. `blank`: all zeros or cut short, as a power cut leaves a file that was just created."""

    def __init__(self, text: str, blank: bool = False) -> None:
        super().__init__(text)
        self.blank = blank


def encode_header(first_seq: int, chain: bytes) -> bytes:
    """A header with nothing synced yet."""
    fixed = _FIXED.pack(MAGIC, VERSION, 0, first_seq, chain)
    header = bytearray(HEADER_SIZE)
    header[: len(fixed) + 4] = fixed + _CRC.pack(zlib.crc32(fixed))
    for at in _SLOTS:
        header[at : at + _SLOT.size] = encode_slot(0)
    return bytes(header)


def encode_slot(synced: int) -> bytes:
    """One copy of the synced position."""
    return _SLOT.pack(synced, zlib.crc32(_U64.pack(synced)))


def slot_position(turn: int) -> int:
    """Where the copy of this turn goes."""
    return _SLOTS[turn % len(_SLOTS)]


def decode_header(data: bytes) -> Header:
    """From the first bytes of a segment. Raises BadHeaderError."""
    head = data[:HEADER_SIZE]
    if len(head) < HEADER_SIZE or not any(head):
        raise BadHeaderError("the header was never written", blank=True)
    magic, version, _, first_seq, chain = _FIXED.unpack_from(head)
    if magic != MAGIC:
        raise BadHeaderError("it does not begin as a write-ahead log segment")
    if _CRC.unpack_from(head, _FIXED.size)[0] != zlib.crc32(head[: _FIXED.size]):
        raise BadHeaderError("the header's checksum is wrong")
    if version != VERSION:
        raise BadHeaderError(f"it has version {version}, this program writes {VERSION}")
    return Header(first_seq, chain, decode_synced(head))


def decode_synced(head: bytes) -> int:
    """The synced position in a header. Raises BadHeaderError when neither slot is whole."""
    found = -1
    for at in _SLOTS:
        position, crc = _SLOT.unpack_from(head, at)
        if crc == zlib.crc32(_U64.pack(position)):
            found = max(found, position)
    if found < 0:
        raise BadHeaderError("both copies of the synced position are damaged")
    return found


def encode_frame(seq: int, chain: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """(head of the frame, its chain); the payload follows the head. `chain` is that of the frame before."""
    chain = blake2b(chain + _U64.pack(seq) + payload, digest_size=8).digest()
    return FRAME_HEAD.pack(len(payload), zlib.crc32(payload, zlib.crc32(chain)), seq, chain), chain


def decode_frame(data: bytes, at: int, seq: int, chain: bytes) -> Frame | str:
    """The frame at position `at`, which must carry `seq` and follow `chain`; or why there is no whole one."""
    if len(data) - at < FRAME_HEAD.size:
        return "cut inside a frame's head"
    length, crc, found_seq, found_chain = FRAME_HEAD.unpack_from(data, at)
    start = at + FRAME_HEAD.size
    if length == 0 or length > len(data) - start:
        return "cut inside a frame, or its length is damaged"
    payload = data[start : start + length]
    if crc != zlib.crc32(payload, zlib.crc32(found_chain)):
        return "a checksum is wrong"
    if found_seq != seq:
        return f"sequence {found_seq} where {seq} should be"
    if found_chain != blake2b(chain + _U64.pack(seq) + payload, digest_size=8).digest():
        return "the chain of hashes is broken"
    return Frame(seq, found_chain, payload, start + length)


def rest_is_blank(data: bytes, at: int) -> bool:
    """Whether nothing was ever written from `at` on."""
    return not data[at:].strip(b"\0")
