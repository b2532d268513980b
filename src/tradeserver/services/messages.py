"""Records as the world sees them: the JSON on NATS, in the control socket's answers and behind every `--json`.

Money is a string in plain notation, never with an exponent; times are integers whose names end in `_ns`; rates are
floats; enumerations are their values. A message is one flat object: `instance`, `sequence` (of the write-ahead log),
`kind`, then the record's fields. The schemas in docs/schemas are generated from the same types (`schemas.py`).
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any, Final

import msgspec

from tradeserver.core.records import Record, kind_of
from tradeserver.core.types import plain

TIMES: Final = {
    "ts": "ts_ns",
    "venue_ts": "venue_ts_ns",
    "opened": "opened_ns",
    "until": "until_ns",
    "began": "began_ns",
}
"""Fields that are times without saying so; inside the core every time is in nanoseconds, outside the name tells."""

_names: dict[type, tuple[tuple[str, str], ...]] = {}


def public(value: Any) -> Any:
    """`value` as plain JSON data. Raises TypeError for what has no public form (a Secret, an object, bytes)."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, msgspec.Struct):
        return {name: public(getattr(value, field)) for field, name in _fields(type(value))}
    if isinstance(value, dict):
        return {str(k): public(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [public(v) for v in value]
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no public form")


def message(instance: str, sequence: int, record: Record) -> dict[str, Any]:
    """One record as its NATS message."""
    # The record's own fields come first, so that the envelope's `instance` stands where a record has one too.
    envelope = {"instance": instance, "sequence": sequence, "kind": kind_of(record)}
    return {**envelope, **public(record), **envelope}


def encode(instance: str, sequence: int, record: Record) -> bytes:
    """`message` as JSON bytes."""
    return msgspec.json.encode(message(instance, sequence, record))


def _fields(kind: type) -> tuple[tuple[str, str], ...]:
    found = _names.get(kind)
    if found is None:
        found = _names[kind] = tuple((name, TIMES.get(name, name)) for name in kind.__struct_fields__)  # type: ignore[attr-defined]
    return found
