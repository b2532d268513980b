"""Binance's market streams, in simulated time: names, wrapping, continuity, pace, pings, limits."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeserver.simulator.front import Close, Ping
from tradeserver.simulator.types import RecordedFrame, Side
from venue_kit import MS, D, S, Venue, binance, body_of, limit_order


def move(venue: Venue, price: str, quantity: str = "5") -> None:
    venue.exchange.add_participant("XRP/USDT", Side.BUY, D(price), D(quantity))
    venue.exchange.flush("XRP/USDT", venue.now)


def test_raw_and_combined_and_live() -> None:
    venue = Venue("binance")
    raw = venue.connect("/ws/xrpusdt@bookTicker")
    combined = venue.connect("/stream", "streams=xrpusdt@bookTicker/btcusdt@depth@100ms")
    bare = venue.connect("/ws")
    other = venue.connect("/ws/0")
    venue.send(bare, {"method": "SUBSCRIBE", "params": ["xrpusdt@bookTicker"], "id": None})
    venue.send(other, {"method": "SUBSCRIBE", "params": ["xrpusdt@bookTicker"], "id": "6da87002-56af"})
    assert venue.heard(bare) == [{"result": None, "id": None}]
    assert venue.heard(other) == [{"result": None, "id": "6da87002-56af"}]
    move(venue, "1.1345")
    venue.wait(10 * MS)
    ticker = {
        "u": 1021,  # twenty levels since 1000, and this one
        "s": "XRPUSDT",
        "b": "1.13450000",
        "B": "5.00000000",
        "a": "1.13500000",
        "A": "100.00000000",
    }
    assert venue.heard(raw) == venue.heard(bare) == venue.heard(other) == [ticker]
    assert venue.heard(combined) == [{"stream": "xrpusdt@bookTicker", "data": ticker}]


def test_subscriptions_are_listed_and_ended() -> None:
    venue = Venue("binance")
    conn = venue.connect("/ws/xrpusdt@trade")
    venue.send(conn, {"method": "SUBSCRIBE", "params": ["xrpusdt@depth"], "id": 1})
    venue.send(conn, {"method": "LIST_SUBSCRIPTIONS", "id": 2})
    venue.send(conn, {"method": "UNSUBSCRIBE", "params": ["xrpusdt@trade"], "id": 3})
    venue.send(conn, {"method": "LIST_SUBSCRIPTIONS", "id": 4})
    answers = venue.heard(conn)
    assert answers[1] == {"result": ["xrpusdt@trade", "xrpusdt@depth"], "id": 2}
    assert answers[3] == {"result": ["xrpusdt@depth"], "id": 4}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", 3),
        ('{"method":"JUMP","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1),
        ('{"method":"SET_PROPERTY","params":["colour",true],"id":1}', 0),
    ],
)
def test_errors(frame: str, code: int) -> None:
    venue = Venue("binance")
    conn = venue.connect("/ws")
    venue.send(conn, frame)
    [answer] = venue.heard(conn)
    assert answer["code"] == code
    assert answer["msg"]


def test_set_property_wraps() -> None:
    venue = Venue("binance")
    conn = venue.connect("/ws/xrpusdt@bookTicker")
    venue.send(conn, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 5})
    move(venue, "1.1345")
    venue.wait(10 * MS)
    answers = venue.heard(conn)
    assert answers[0] == {"result": None, "id": 5}
    assert answers[1]["stream"] == "xrpusdt@bookTicker"


def test_depth_comes_each_100_ms_and_chains_onto_the_snapshot() -> None:
    venue = Venue("binance")
    conn = venue.connect("/ws/xrpusdt@depth@100ms")
    snapshot = body_of(venue.http("GET", "/api/v3/depth", "symbol=XRPUSDT&limit=5000"))
    for _ in range(30):
        move(venue, "1.1341")
        venue.wait(10 * MS)
    events = venue.heard(conn)
    assert len(events) == 3
    assert [event["E"] - 1700000000000 for event in events] == [100, 200, 300]
    assert events[0]["U"] == snapshot["lastUpdateId"] + 1
    assert all(later["U"] == event["u"] + 1 for event, later in pairwise(events))
    assert events[0].keys() == {"e", "E", "s", "U", "u", "b", "a"}
    assert events[-1]["b"] == [["1.13410000", "150.00000000"]]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["buy", "sell", "take-buy", "take-sell", "order"]),
            st.integers(0, 30),
            st.integers(1, 90),
            st.integers(1, 70),
        ),
        max_size=40,
    )
)
def test_a_naive_book_of_snapshot_and_diffs_is_the_exchanges(moves: list[tuple[str, int, int, int]]) -> None:
    """The twin: absolute quantities in a dict, exactly as the document tells clients to do it."""
    venue = Venue("binance")
    conn = venue.connect("/ws/xrpusdt@depth@100ms/xrpusdt@bookTicker")
    snapshot = body_of(venue.http("GET", "/api/v3/depth", "symbol=XRPUSDT&limit=5000"))
    for kind, ticks, quantity, pause_ms in moves:
        away = D("0.0001") * ticks
        bid, ask = venue.exchange.quote("XRP/USDT")
        if kind == "buy" and ask[0]:
            venue.exchange.add_participant(
                "XRP/USDT", Side.BUY, min(D("1.1345"), ask[0] - D("0.0001")) - away, D(quantity)
            )
        elif kind == "sell" and bid[0]:
            venue.exchange.add_participant(
                "XRP/USDT", Side.SELL, max(D("1.1346"), bid[0] + D("0.0001")) + away, D(quantity)
            )
        elif kind == "order":
            price = str(D("1.1400") - away)
            binance(venue, "POST /api/v3/order", **limit_order(price=price, quantity=str(quantity), timeInForce="IOC"))
        else:
            side = Side.BUY if kind == "take-buy" else Side.SELL
            cap = D("1.15") if side is Side.BUY else D("1.12")
            venue.exchange.take("XRP/USDT", side, D(quantity), cap, venue.now)
        venue.exchange.flush("XRP/USDT", venue.now)
        venue.wait(pause_ms * MS)
    venue.wait(200 * MS)
    book = {side: {D(p): D(q) for p, q in snapshot[side]} for side in ("bids", "asks")}
    last, tops = snapshot["lastUpdateId"], {}
    for frame in venue.heard(conn):
        if "e" not in frame:
            tops[frame["u"]] = (D(frame["b"]), D(frame["B"]), D(frame["a"]), D(frame["A"]))
            continue
        assert frame["U"] == last + 1
        last = frame["u"]
        for side, rows in (("bids", frame["b"]), ("asks", frame["a"])):
            for price, left in rows:
                book[side].pop(D(price), None)
                if D(left):
                    book[side][D(price)] = D(left)
        newest = max((u for u in tops if u <= last), default=None)
        if newest is not None:
            assert top(book) == tops[newest]
    depth = venue.exchange.depth("XRP/USDT")
    assert (book["bids"], book["asks"]) == (dict(depth.bids), dict(depth.asks))
    assert last == depth.sequence


def top(book: dict[str, dict[Decimal, Decimal]]) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    bid, ask = max(book["bids"], default=D(0)), min(book["asks"], default=D(0))
    return bid, book["bids"].get(bid, D(0)), ask, book["asks"].get(ask, D(0))


def test_trades_and_partial_depth() -> None:
    venue = Venue("binance")
    trades = venue.connect("/ws/xrpusdt@trade/xrpusdt@aggTrade")
    partial = venue.connect("/ws/xrpusdt@depth5@100ms")
    binance(venue, "POST /api/v3/order", **limit_order(side="SELL", quantity="30", price="1.134", timeInForce="IOC"))
    trade, aggregate = venue.heard(trades)
    assert trade == {
        "e": "trade",
        "E": 1700000000000,
        "s": "XRPUSDT",
        "t": 1001,
        "p": "1.13400000",
        "q": "30.00000000",
        "T": 1700000000000,
        "m": True,
        "M": True,
    }
    assert (aggregate["e"], aggregate["f"], aggregate["l"], aggregate["q"]) == ("aggTrade", 1001, 1001, "30.00000000")
    venue.wait(100 * MS)
    [depth] = venue.heard(partial)
    assert depth.keys() == {"lastUpdateId", "bids", "asks"}
    assert len(depth["bids"]) == 5
    assert depth["bids"][0] == ["1.13400000", "70.00000000"]


def test_recorded_frames_pass_as_they_are() -> None:
    venue = Venue("binance")
    raw, combined = venue.connect("/ws/xrpusdt@depth@100ms"), venue.connect("/stream", "streams=xrpusdt@depth@100ms")
    text = '{"e":"depthUpdate","E":1,"s":"XRPUSDT","U":1,"u":2,"b":[],"a":[["1.1", "0"]]}'
    venue.exchange.emit(RecordedFrame("XRP/USDT", "xrpusdt@depth@100ms", text, venue.now))
    venue.front.tick(venue.now)
    assert [frame for _, frame in venue.front.outgoing] == [
        text,
        '{"stream":"xrpusdt@depth@100ms","data":' + text + "}",
    ]
    assert venue.heard(raw)
    assert venue.heard(combined)


def test_a_subscription_starts_the_recordings_clock() -> None:
    venue = Venue("binance")
    conn = venue.connect("/ws")
    assert venue.exchange.first_subscribed_ns == 0
    venue.send(conn, {"method": "SUBSCRIBE", "params": ["xrpusdt@depth@100ms"], "id": 1})
    assert venue.exchange.first_subscribed_ns == venue.now


def test_microsecond_streams() -> None:
    venue = Venue("binance")
    conn = venue.connect("/ws/xrpusdt@trade", "timeUnit=MICROSECOND")
    venue.exchange.take("XRP/USDT", Side.BUY, D(1), D("1.135"), venue.now)
    venue.wait(0)
    assert venue.heard(conn)[0]["E"] == 1700000000000000


# ---- pings and limits ----


def test_a_client_that_answers_pings_stays_and_one_that_does_not_goes() -> None:
    venue = Venue("binance")
    good, bad = venue.connect("/ws"), venue.connect("/ws")
    for _ in range(8):
        venue.wait(10 * S)
        for frame in venue.heard(good):
            assert isinstance(frame, Ping)
            venue.front.pong(good, frame.payload, venue.now)
        venue.front.pong(bad, b"unsolicited", venue.now)
    kinds = [type(frame) for frame in venue.heard(bad)]
    assert kinds == [Ping, Ping, Ping, Close], "pings at 20, 40, 60 s; closed 60 s after the first, at 80 s"
    venue.front.closed(bad, venue.now)
    venue.wait(S)
    assert not venue.heard(good)


def test_five_frames_a_second() -> None:
    venue = Venue("binance")
    conn = venue.connect("/ws")
    for number in range(5):
        venue.send(conn, {"method": "LIST_SUBSCRIPTIONS", "id": number})
    assert not any(isinstance(frame, Close) for frame in venue.heard(conn))
    venue.wait(S)
    for _ in range(4):
        venue.front.ping(conn, b"", venue.now)
    venue.send(conn, {"method": "LIST_SUBSCRIPTIONS", "id": 5})
    assert not any(isinstance(frame, Close) for frame in venue.heard(conn))
    venue.front.pong(conn, b"", venue.now)
    assert isinstance(venue.heard(conn)[-1], Close), "pings, pongs and JSON all count"


def test_too_many_streams_and_too_many_connections() -> None:
    venue = Venue("binance")
    conn = venue.connect("/ws")
    venue.send(conn, {"method": "SUBSCRIBE", "params": [f"s{n}@trade" for n in range(1025)], "id": 1})
    assert venue.heard(conn)[0]["code"] == 2
    for number in range(2, 301):
        assert venue.front.connect(number, "/ws", "", {}, "127.0.0.1", venue.now) is True
    refused = venue.front.connect(301, "/ws", "", {}, "127.0.0.1", venue.now)
    assert not isinstance(refused, bool)
    assert (refused.status, json.loads(refused.body)["code"]) == (429, -1034)


def test_a_connection_lives_a_day() -> None:
    venue = Venue("binance")
    conn = venue.connect("/ws")
    closed = False
    for _ in range(24 * 180):
        venue.wait(20 * S)
        for frame in venue.heard(conn):
            if isinstance(frame, Ping):
                venue.front.pong(conn, frame.payload, venue.now)
            closed = closed or isinstance(frame, Close)
        assert closed == (venue.now - 1_700_000_000 * S >= 24 * 3600 * S)


def test_server_shutdown_is_announced() -> None:
    venue = Venue("binance")
    raw, combined, api = venue.connect("/ws"), venue.connect("/stream"), venue.connect("/ws-api/v3")
    venue.front.shutdown(venue.now)  # type: ignore[union-attr]
    event = {"e": "serverShutdown", "E": 1700000000000}
    assert venue.heard(raw) == [event]
    assert venue.heard(combined) == [{"stream": "!serverShutdown", "data": event}]
    assert venue.heard(api) == [{"event": event}]


def test_who_was_told_of_a_shutdown_is_cut_after_its_grace_and_who_came_later_is_not() -> None:
    venue = Venue("binance")
    told, told_api = venue.connect("/stream"), venue.connect("/ws-api/v3")
    venue.front.shutdown(venue.now, S)  # type: ignore[union-attr]
    later = venue.connect("/stream")
    venue.wait(S - 1)
    assert not any(isinstance(frame, Close) for conn in (told, told_api, later) for frame in venue.heard(conn))
    venue.wait(1)
    cut = [any(isinstance(frame, Close) for frame in venue.heard(conn)) for conn in (told, told_api, later)]
    assert cut == [True, True, False]
