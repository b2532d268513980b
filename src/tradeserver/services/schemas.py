"""The JSON schemas of the messages on NATS, one file a kind: `python -m tradeserver.services.schemas [DIRECTORY]`.

Generated from the record types by msgspec, then put into the public form of `messages.py`. A test fails when the files
in docs/schemas drift from the types.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from tradeserver.core.records import KINDS, Checkpoint
from tradeserver.services.messages import TIMES

MONEY: Final = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
_ENVELOPE: Final[dict[str, Any]] = {
    "instance": {"type": "string", "description": "The name of the instance that wrote it."},
    "sequence": {
        "type": "integer",
        "minimum": 1,
        "description": "Sequence number in the write-ahead log: unique, without gaps, the order of truth.",
    },
}


def schemas() -> dict[str, dict[str, Any]]:
    """Kind -> schema, for every record that is published (a checkpoint is not)."""
    return {kind: _schema(kind, record) for record, kind in KINDS.items() if record is not Checkpoint}


def _schema(kind: str, record: type) -> dict[str, Any]:
    (root,), parts = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    own = parts.pop(root["$ref"].rpartition("/")[2])
    shown = _shown(own)
    properties = {**_ENVELOPE, "kind": {"const": kind}, **shown["properties"]}
    properties["instance"] = _ENVELOPE["instance"]
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        "description": shown["description"],
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
    if parts:
        schema["$defs"] = {name: _shown(part) for name, part in sorted(parts.items())}
    return schema


def _shown(part: Any) -> Any:
    """A part of msgspec's schema in the public form: no type tag, money as a pattern, times by their public names."""
    if isinstance(part, list):
        return [_shown(item) for item in part]
    if not isinstance(part, dict):
        return part
    if part.get("format") == "decimal":
        return MONEY
    out = {key: _shown(value) for key, value in part.items() if key not in ("default", "required", "properties")}
    if "properties" in part:
        fields = {TIMES.get(name, name): _shown(field) for name, field in part["properties"].items() if name != "type"}
        out["properties"] = fields
        out["required"] = list(fields)  # defaults are written out
    return out


def files() -> dict[str, bytes]:
    """File name -> content, as they stand in docs/schemas."""
    return {
        f"{kind}.json": msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"
        for kind, schema in schemas().items()
    }


def main(directory: str = "docs/schemas") -> None:
    """Write them all; remove what is no kind any more."""
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = files()
    for name, content in wanted.items():
        (folder / name).write_bytes(content)
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
