"""Every stored Binance payload decodes through our shapes and re-encodes to all of its fields, or stands on a list.

Which is which stands in `binance_samples.py`.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from binance_samples import (
    CANCELED,
    EMPTY,
    EXPIRED,
    HAND_WRITTEN,
    LISTED,
    MIXED,
    NAMED,
    NAUTILUS,
    NAUTILUS_LISTED,
    NO_RESULT,
    NOT_CALLED,
    SAMPLES,
    WS_RESULT,
    Name,
    S,
)
from tradeserver.wire import binance as w

# ---- the stored samples ---------------------------------------------------------------------------------------------


def stored(shared_data: Path) -> dict[Name, dict[str, Any]]:
    rows = json.loads((shared_data / "binance" / "docs_payloads.json").read_text())["payloads"]
    return {(row["doc"], row["n"]): row for row in rows}


def sample_of(row: dict[str, Any]) -> Any:
    """The payload, with one slip of the transcription mended: exchangeInfo's rate limits were comments, and are empty
    objects now."""
    payload = row["payload"]
    if isinstance(payload, dict) and payload.get("rateLimits") == [{}]:
        return payload | {"rateLimits": []}
    return payload


def round_trip(sample: Any, shape: Any) -> Any:
    return json.loads(msgspec.json.encode(msgspec.json.decode(json.dumps(sample), type=shape)))


def test_every_sample_is_accounted_for(shared_data: Path) -> None:
    rows = stored(shared_data)
    assert len(rows) == 171
    counted = Counter([*SAMPLES, *MIXED, *LISTED])
    assert set(counted) == set(rows)
    assert set(counted.values()) == {1}  # each once: decoded, or listed
    assert (len(SAMPLES) + len(MIXED), len(LISTED)) == (146, 25)
    assert all(LISTED.values())


def test_documented_samples_keep_all_their_fields(shared_data: Path) -> None:
    rows = stored(shared_data)
    kept = 0
    for name, shape in SAMPLES.items():
        sample = sample_of(rows[name])
        assert round_trip(sample, shape) == sample, name
        assert shape is not EMPTY or sample == {}, name
        kept += 1
    assert kept >= 144


def test_an_error_has_no_result_to_decode(shared_data: Path) -> None:
    rows = stored(shared_data)
    seen = 0
    for number, shape in WS_RESULT.items():
        if shape is NO_RESULT:
            payload = rows["web-socket-api.md", number]["payload"]
            assert "error" in payload
            assert "result" not in payload
            seen += 1
    assert seen == 4


def test_the_answer_to_a_cancel_all_mixes_orders_and_lists(shared_data: Path) -> None:
    rows = stored(shared_data)
    kinds: Counter[Any] = Counter()
    for name, key in MIXED.items():
        payload = rows[name]["payload"]
        entries = payload[key] if key else payload
        if key:
            assert round_trip(payload, w.WsAnswer[msgspec.Raw]) == payload
        for entry in entries:
            shape = w.OrderListReport[S] if "contingencyType" in entry else CANCELED
            assert round_trip(entry, shape) == entry
            kinds[shape] += 1
    assert kinds[CANCELED] == 3
    assert kinds[w.OrderListReport[S]] == 2


def test_what_an_error_carries_keeps_all_its_fields(shared_data: Path) -> None:
    """`data` of an error is raw in `ErrorBody`: the two halves of a cancelReplace, or when to come again."""
    seen: Counter[str] = Counter()
    for row in stored(shared_data).values():
        payload = row["payload"]
        error = payload.get("error", payload) if isinstance(payload, dict) else {}
        data = error.get("data") if "code" in error else error if "cancelResult" in error else None
        if data is None:
            continue
        if "retryAfter" in data:
            assert round_trip(data, w.Throttle) == data
            seen["throttle"] += 1
            continue
        assert round_trip(data, w.CancelReplace) == data
        for half, placed in (("cancelResponse", CANCELED), ("newOrderResponse", w.OrderAnswer[S])):
            answer = data[half]
            shape = type(None) if answer is None else w.ErrorBody if "code" in answer else placed
            assert round_trip(answer, shape) == answer
            seen[str(shape)] += 1
    assert seen["throttle"] >= 1
    assert sum(seen.values()) >= 15
    assert len(seen) == 5


def test_third_party_samples_keep_all_their_fields(shared_data: Path) -> None:
    folder = shared_data / "binance" / "nautilus_spot"
    files = {path.name for path in folder.iterdir()}
    assert len(files) == 20
    assert files == NAUTILUS.keys() | NAUTILUS_LISTED.keys()
    assert not NAUTILUS.keys() & NAUTILUS_LISTED.keys()
    for name, shape in NAUTILUS.items():
        sample = json.loads((folder / name).read_text())
        assert round_trip(sample, shape) == sample, name


# ---- what is named may not be listed --------------------------------------------------------------------------------


def test_nothing_that_is_named_is_listed(shared_data: Path) -> None:
    rows = stored(shared_data)
    sections = {row["section"] for row in rows.values()}
    files = NAUTILUS.keys() | NAUTILUS_LISTED.keys()
    needed = {where for shown in NAMED.values() for where in shown}
    assert needed <= sections | files  # no section is misspelt here
    assert not needed & {rows[name]["section"] for name in LISTED}
    assert not needed & NAUTILUS_LISTED.keys()
    assert len(NAMED) >= 85


def test_everything_that_is_named_has_a_sample_stored_or_by_hand(shared_data: Path) -> None:
    by_hand = {name for name, _, _ in HAND_WRITTEN}
    without = {name for name, shown in NAMED.items() if not shown}
    assert without == by_hand
    assert len(without) >= 15


def test_the_names_of_rest_endpoints_are_the_venues(shared_data: Path) -> None:
    rows = json.loads((shared_data / "binance" / "rest_endpoints.json").read_text())["endpoints"]
    known = {f"{row['method']} {row['path']}" for row in rows}
    named = {name for name in [*NAMED, *NOT_CALLED] if " /api/" in name and "userDataStream" not in name}
    assert named <= known
    assert len(named) >= 24


# ---- captures and recordings ----------------------------------------------------------------------------------------


def test_a_captured_exchange_info_of_2021_keeps_all_its_fields(shared_data: Path) -> None:
    """Old symbols carry `permissions` and MIN_NOTIONAL instead of `permissionSets` and NOTIONAL."""
    sample = json.loads((shared_data / "binance" / "exchangeInfo_capture_2021-10-12.json").read_text())
    assert len(sample["symbols"]) == 11
    assert round_trip(sample, w.ExchangeInfo[S]) == sample
    info = msgspec.json.decode(json.dumps(sample), type=w.ExchangeInfo[Decimal], strict=False)
    assert [symbol.symbol for symbol in info.symbols] == [symbol["symbol"] for symbol in sample["symbols"]]


STREAMS = {
    "depth": w.Combined[w.DepthUpdate[S]],
    "bookTicker": w.Combined[w.BookTicker[S]],
    "trade": w.Combined[w.TradeEvent[S]],
    "aggTrade": w.Combined[w.AggTrade[S]],
    "kline_1m": w.Combined[w.KlineEvent[S]],
}


def recorded(folder: Path) -> Iterator[Any]:
    """Frames and snapshots of both spot recordings."""
    with gzip.open(folder / "binance_spot_btcusdt_20240808.gz", "rt") as lines:
        for _, line in zip(range(1_500), lines, strict=False):
            yield json.loads(line.partition(" ")[2])
    with gzip.open(folder / "binance_spot_4symbols_2021-10-12.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if row["kind"] in ("ws", "rest"):
                yield row["frame"] if row["kind"] == "ws" else row["body"]


def test_recorded_frames_keep_all_their_fields(shared_data: Path) -> None:
    seen: Counter[str] = Counter()
    for frame in recorded(shared_data / "recordings"):
        kind = frame["stream"].split("@")[1] if "stream" in frame else "snapshot"
        shape = STREAMS[kind] if "stream" in frame else w.DepthSnapshot[S]
        assert round_trip(frame, shape) == frame
        seen[kind] += 1
    assert seen.keys() == STREAMS.keys() | {"snapshot"}
    assert sum(seen.values()) >= 1_700
    assert min(seen.values()) >= 2


@pytest.mark.parametrize(("name", "shape", "sample"), [*HAND_WRITTEN, ("IOC rest", w.ExecutionReport[S], EXPIRED)])
def test_hand_written_samples_keep_all_their_fields(name: str, shape: Any, sample: Any) -> None:
    assert round_trip(sample, shape) == sample


def test_numbers_come_as_the_type_that_was_asked_for() -> None:
    frame = b'{"e":"depthUpdate","E":1,"s":"XRPUSDT","U":7,"u":9,"b":[["0.5123","20"]],"a":[]}'
    assert msgspec.json.decode(frame, type=w.DepthUpdate[float], strict=False).bids == [(0.5123, 20.0)]
    assert msgspec.json.decode(frame, type=w.DepthUpdate[Decimal]).bids == [(Decimal("0.5123"), Decimal(20))]


def test_the_futures_dialect_shows_in_a_depth_update() -> None:
    spot = b'{"e":"depthUpdate","E":1,"s":"XRPUSDT","U":7,"u":9,"b":[],"a":[]}'
    futures = b'{"e":"depthUpdate","E":1,"T":1,"s":"XRPUSDT","U":7,"u":9,"pu":6,"b":[],"a":[]}'
    assert msgspec.json.decode(spot, type=w.DepthUpdate[float]).futures_previous_id is msgspec.UNSET
    assert msgspec.json.decode(futures, type=w.DepthUpdate[float]).futures_previous_id == 6
