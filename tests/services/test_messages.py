"""The public form of records, and the schemas that promise it."""

from __future__ import annotations

import enum
import json
import re
import types
import typing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeserver.core.records import KINDS, BalanceBooked, Checkpoint, PnlMarked, Record, RunStarted
from tradeserver.services.messages import TIMES, encode, message, public
from tradeserver.services.schemas import files, schemas
from tradeserver.services.secrets import Secret

DOCS = Path(__file__).resolve().parents[2] / "docs" / "schemas"


@pytest.mark.parametrize(
    ("money", "text"),
    [("1E-7", "0.0000001"), ("1E+2", "100"), ("0E-8", "0"), ("-0.0", "0"), ("-1.50", "-1.5"), ("2E+1", "20")],
)
def test_money_is_in_plain_notation_wherever_it_stands(money: str, text: str) -> None:
    mark = PnlMarked(ts=1, realised={"USDT": Decimal(money)}, unrealised={}, fees={})
    assert json.loads(encode("i", 1, mark))["realised"] == {"USDT": text}
    booked = BalanceBooked(ts=1, venue="v", asset="A", total=Decimal(money), previous=Decimal(money), reason="r")
    assert json.loads(encode("i", 1, booked))["total"] == text
    assert public((Decimal(money), [Decimal(money)])) == [text, [text]]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**12), max_value=10**12))
def test_money_keeps_its_value_and_has_no_exponent(money: Decimal) -> None:
    text = public(money)
    assert Decimal(text) == money
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text)


def test_the_envelope() -> None:
    booked = BalanceBooked(ts=5, venue="v", asset="A", total=Decimal(1), previous=Decimal(0), reason="opening")
    assert message("desk", 17, booked) == {
        "instance": "desk",
        "sequence": 17,
        "kind": "balance_booked",
        "ts_ns": 5,
        "venue": "v",
        "asset": "A",
        "total": "1",
        "previous": "0",
        "reason": "opening",
    }


def test_a_record_may_share_only_the_instance_with_the_envelope() -> None:
    for record in KINDS:
        shared = {"instance", "sequence", "kind"} & {TIMES.get(f, f) for f in record.__struct_fields__}  # type: ignore[attr-defined]
        assert shared <= ({"instance"} if record is RunStarted else set())


def test_what_has_no_public_form_is_an_error() -> None:
    for value in (Secret("x"), object(), b"bytes", {1}):
        with pytest.raises(TypeError):
            public({"deep": [value]})


def example(hint: Any) -> Any:
    """Some value of a field's type: how these tests fill a record without naming its fields."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return (example(args[0]),) if args[-1] is Ellipsis else tuple(example(a) for a in args)
    if origin is dict:
        return {"X": example(args[1])}
    if origin in (types.UnionType, typing.Union):
        return example(args[0])
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return next(iter(hint))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint(
            **{name: example(h) for name, h in typing.get_type_hints(hint).items() if name in hint.__struct_fields__}
        )
    return {int: 1, float: 0.5, str: "x", bool: True, Decimal: Decimal("1E-7")}[hint]


def conforms(value: Any, schema: Any, defs: dict[str, Any]) -> bool:
    """As much of JSON Schema as the generated files use."""
    if "$ref" in schema:
        return conforms(value, defs[schema["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in schema:
        return any(conforms(value, option, defs) for option in schema["anyOf"])
    if "const" in schema:
        return bool(value == schema["const"])
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema.get("type")
    if kind == "object":
        if "properties" in schema:
            keys = set(schema["properties"])
            return set(value) == keys == set(schema["required"]) and all(
                conforms(value[k], schema["properties"][k], defs) for k in keys
            )
        return all(conforms(item, schema["additionalProperties"], defs) for item in value.values())
    if kind == "array":
        items = schema.get("items")
        items = [items] * len(value) if isinstance(items, dict) else schema["prefixItems"]
        return isinstance(value, list) and all(conforms(v, s, defs) for v, s in zip(value, items, strict=True))
    if kind == "string":
        return isinstance(value, str) and re.search(schema.get("pattern", ""), value) is not None
    if kind == "boolean":
        return isinstance(value, bool)
    wanted = {"integer": int, "number": (int, float), "null": type(None)}[kind]
    return isinstance(value, wanted) and not isinstance(value, bool)  # type: ignore[arg-type]


@pytest.mark.parametrize("record", [r for r in KINDS if r is not Checkpoint], ids=lambda r: KINDS[r])
def test_every_kind_is_published_as_its_schema_says(record: type[Record]) -> None:
    schema = schemas()[KINDS[record]]
    made = example(record)
    body = json.loads(encode("i", 3, made))
    assert conforms(body, schema, schema.get("$defs", {}))
    body["sequence"] = "3"
    assert not conforms(body, schema, schema.get("$defs", {})), "the checker must be able to say no"


def test_the_schemas_in_the_documentation_are_the_generated_ones() -> None:
    assert {path.name: path.read_bytes() for path in DOCS.glob("*.json")} == files(), "run `make reference`"
