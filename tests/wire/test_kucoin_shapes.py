"""Every stored KuCoin payload decodes through our shapes and re-encodes to all of its fields, or stands on a list.

Which is which stands in `kucoin_samples.py`.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kucoin_samples import ANSWERS, BODIES, FLAT, HAND, LISTED, NAMED, NOT_OURS, TOPICS
from tradeserver.wire import kucoin as w


def round_trip(sample: object, shape: Any) -> object:
    decoded = msgspec.json.decode(msgspec.json.encode(sample), type=shape)
    return msgspec.json.decode(msgspec.json.encode(decoded))


def endpoints(shared_data: Path) -> dict[str, dict[str, Any]]:
    rows = json.loads((shared_data / "kucoin" / "rest_examples.json").read_text())["endpoints"]
    return {f"{row['method']} {row['path']}": row for row in rows}


def topics(shared_data: Path) -> dict[str, Any]:
    """The example of each topic, with one slip of the document mended: its own field table and the wire say "time"."""
    found = {}
    for row in json.loads((shared_data / "kucoin" / "ws_examples.json").read_text())["topics"]:
        data = row["example"]["data"]
        if "Time" in data:
            data["time"] = data.pop("Time")
        found[row["topic"]] = row["example"]
    return found


# ---- the stored samples ---------------------------------------------------------------------------------------------


def test_every_sample_is_accounted_for(shared_data: Path) -> None:
    calls, pushes = endpoints(shared_data), topics(shared_data)
    assert (len(calls), len(pushes)) == (47, 16)
    counted = Counter([*ANSWERS, *TOPICS, *LISTED])
    assert set(counted) == calls.keys() | pushes.keys()
    assert set(counted.values()) == {1}  # each once: decoded, or listed
    assert (len(ANSWERS), len(TOPICS), len(LISTED)) == (38, 12, 13)
    assert all(LISTED.values())
    posted = {name for name, row in calls.items() if name.startswith("POST") and row["request_example"] is not None}
    assert posted == BODIES.keys()


def test_documented_answers_keep_all_their_fields(shared_data: Path) -> None:
    calls = endpoints(shared_data)
    for name, shape in ANSWERS.items():
        sample = calls[name]["response_example"]
        assert sample["code"] == w.OK
        assert round_trip(sample, w.Envelope[shape]) == sample, name
    assert len(ANSWERS) >= 38


def test_documented_requests_keep_all_their_fields(shared_data: Path) -> None:
    """Bodies through the shapes of orders; queries are flat tables."""
    kept: Counter[str] = Counter()
    for name, row in endpoints(shared_data).items():
        sample = row["request_example"]
        if sample is None:
            assert not row["body_required"]
            kept["none"] += 1
            continue
        assert round_trip(sample, BODIES.get(name, FLAT)) == sample, name
        kept["body" if name in BODIES else "query"] += 1
    assert kept == {"body": 5, "query": 30, "none": 12}


def test_documented_pushes_keep_all_their_fields(shared_data: Path) -> None:
    pushes = topics(shared_data)
    for topic, shape in TOPICS.items():
        assert round_trip(pushes[topic], w.Message[shape]) == pushes[topic], topic
    assert len(TOPICS) >= 12


def test_pushes_decode_by_their_subject(shared_data: Path) -> None:
    """The shapes by which the trader reads the same frames say the same data."""
    market = w.Level2Push[str] | w.TickerPush[str] | w.Level1Push[str] | w.MatchPush[str]
    seen: Counter[type] = Counter()
    for topic, frame in topics(shared_data).items():
        for union in (market, w.OrderPush[str] | w.BalancePush[str]):
            try:
                push = msgspec.json.decode(msgspec.json.encode(frame), type=union)
            except msgspec.ValidationError:
                continue
            assert push.topic == frame["topic"]
            assert msgspec.json.decode(msgspec.json.encode(push.data)) == frame["data"], topic
            seen[type(push)] += 1
    assert len(seen) == 6
    assert sum(seen.values()) == 7  # the two order topics have one subject


# ---- what is named may not be listed --------------------------------------------------------------------------------


def test_everything_that_is_named_has_a_sample_stored_or_by_hand() -> None:
    by_hand = {name for name, _, _ in HAND}
    assert len(NAMED) == len(set(NAMED)) >= 65
    assert not set(NAMED) & LISTED.keys()
    assert set(NAMED) <= ANSWERS.keys() | TOPICS.keys() | by_hand
    assert by_hand <= set(NAMED)
    assert not set(NOT_OURS) & set(NAMED)


# ---- captures and recordings ----------------------------------------------------------------------------------------


def test_symbols_captured_in_2021_lack_the_newer_fields(shared_data: Path) -> None:
    sample = json.loads((shared_data / "kucoin" / "symbols_capture_2021-04-25.json").read_text())
    assert len(sample["data"]) == 9
    assert round_trip(sample, w.Envelope[list[w.SymbolRow[str]]]) == sample


def test_error_frames_seen_in_the_wild(shared_data: Path) -> None:
    frames = json.loads((shared_data / "kucoin" / "errors.json").read_text())["error_frame_seen_in_the_wild"]
    assert len(frames) == 2
    for frame in frames:
        assert round_trip(frame, w.ErrorFrame) == frame


SUBJECTS: dict[str, Any] = {
    "trade.l2update": w.Level2Update[str],
    "trade.ticker": w.Ticker[str],
    "trade.l3match": w.Match[str],
    "trade.candles.update": w.CandleUpdate[str],
    "trade.candles.add": w.CandleUpdate[str],
}


def shape_of(row: dict[str, Any]) -> Any:
    """What a line of the recording is: a client's frame, a push, a control frame, a snapshot."""
    if row["kind"] == "client":
        return w.Subscribe
    if row["kind"] == "rest":
        return w.Envelope[w.BookRows[str]]
    return w.Message[SUBJECTS[row["frame"]["subject"]]] if row["frame"]["type"] == "message" else w.Control


def test_recorded_frames_keep_all_their_fields(shared_data: Path) -> None:
    seen: Counter[str] = Counter()
    with gzip.open(shared_data / "recordings" / "kucoin_spot_5symbols_2021-04-25.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if row["kind"] not in ("client", "ws", "rest"):
                continue
            sample = row["body"] if row["kind"] == "rest" else row["frame"]
            assert round_trip(sample, shape_of(row)) == sample, line
            seen[sample.get("subject") or row["kind"]] += 1
    assert sum(seen.values()) >= 4_000
    assert {"client", "ws", "rest", "trade.l2update", "trade.ticker", "trade.l3match"} <= seen.keys()


def test_client_frames_of_foreign_clients_decode(shared_data: Path) -> None:
    seen = 0
    for name in ("ccxt_kucoin.jsonl", "kucoin-universal-sdk.jsonl"):
        for line in (shared_data / "client_traces" / name).read_text().splitlines():
            row = json.loads(line)
            if row["t"] == "ws-in" and '"type"' in row["data"]:
                sample = json.loads(row["data"])
                assert round_trip(sample, w.Subscribe) == sample
                seen += 1
    assert seen >= 3


# ---- by hand --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shape", "sample"), HAND, ids=[name for name, _, _ in HAND])
def test_hand_written_samples_keep_all_their_fields(name: str, shape: Any, sample: Any) -> None:
    assert round_trip(sample, shape) == sample


def test_one_declaration_serves_floats_and_decimals() -> None:
    """The trader reads floats from strings, the simulator writes Decimals as strings."""
    update = w.Message[w.Level2Update[Decimal]](
        topic="/market/level2:XRP-USDT",
        subject="trade.l2update",
        data=w.Level2Update(
            changes=w.Changes(asks=[(Decimal("0.5100"), Decimal("12"), "41")], bids=[]),
            sequence_start=41,
            sequence_end=41,
            symbol="XRP-USDT",
            time=1742000000123,
        ),
    )
    read = msgspec.json.decode(msgspec.json.encode(update), type=w.Message[w.Level2Update[float]], strict=False)
    assert read.data.changes.asks == [(0.51, 12.0, "41")]


def test_any_frame_of_the_server_fits_the_sorting_shape() -> None:
    frame = msgspec.json.decode(
        b'{"id":"1","type":"error","code":509,"data":"exceed max permits per second"}', type=w.Frame
    )
    assert (frame.type, frame.code) == ("error", 509)
    assert frame.topic is msgspec.UNSET
