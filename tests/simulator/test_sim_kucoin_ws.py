"""KuCoin's WebSockets: tokens, topics, order life cycle, order entry; in simulated time."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeserver.simulator.front import Close
from tradeserver.simulator.tape import TapeBook
from tradeserver.simulator.types import BookChange, QuoteChange, RecordedFrame, Side
from venue_kit import (
    KUCOIN_KEY,
    KUCOIN_PASSPHRASE,
    KUCOIN_SECRET,
    MS,
    D,
    S,
    Venue,
    b64_hmac,
    body_of,
    entry,
    kucoin,
    kucoin_order,
    push,
)

ORDERS = "POST /api/v1/hf/orders"
V1, V2, BALANCE = "/spotMarket/tradeOrders", "/spotMarket/tradeOrdersV2", "/account/balance"


def add(venue: Venue, price: str, quantity: str = "5") -> None:
    venue.exchange.add_participant("XRP/USDT", Side.BUY, D(price), D(quantity))
    venue.exchange.flush("XRP/USDT", venue.now)


# ---- tokens and the session ----


def test_a_bullet_leads_back_here() -> None:
    venue = Venue("kucoin")
    bullet = body_of(venue.http("POST", "/api/v1/bullet-public"))["data"]
    [server] = bullet["instanceServers"]
    assert server["endpoint"] == "ws://127.0.0.1:40123/endpoint"
    assert (server["pingInterval"], server["pingTimeout"]) == (18000, 10000)
    conn = venue.connect("/endpoint", f"token={bullet['token']}&connectId=abc")
    assert venue.heard(conn) == [{"id": "abc", "type": "welcome"}]
    assert body_of(venue.http("POST", "/api/v1/bullet-public"))["data"]["token"] != bullet["token"]
    assert venue.http("POST", "/api/v1/bullet-private").status == 401


@pytest.mark.parametrize(("age_s", "kind"), [(86_399, "welcome"), (86_400, "error")])
def test_a_token_lives_a_day(age_s: int, kind: str) -> None:
    venue = Venue("kucoin")
    token = body_of(venue.http("POST", "/api/v1/bullet-public"))["data"]["token"]
    venue.now += age_s * S
    conn = venue.connect("/endpoint", f"token={token}&connectId=abc")
    frames = venue.heard(conn)
    assert frames[0]["type"] == kind
    if kind == "error":
        assert (frames[0]["code"], frames[0]["data"]) == (401, "token is invalid")
        assert isinstance(frames[1], Close)


def test_pings_keep_alive_and_silence_closes() -> None:
    venue = Venue("kucoin")
    good, bad = push(venue), push(venue)
    for number in range(3):
        venue.wait(18 * S)
        venue.send(good, {"id": f"p{number}", "type": "ping"})
        assert venue.heard(good) == [{"id": f"p{number}", "type": "pong"}]
        venue.front.ping(bad, b"", venue.now)
    error, closed = venue.heard(bad)
    assert (error["code"], error["data"]) == (400, "ping timeout")
    assert isinstance(closed, Close)


def test_ids_come_back_as_text_and_acks_only_on_demand() -> None:
    venue = Venue("kucoin")
    conn = push(venue)
    venue.send(conn, {"id": 17, "type": "subscribe", "topic": "/market/match:XRP-USDT", "response": True})
    assert venue.heard(conn) == [{"id": "17", "type": "ack"}]
    venue.send(conn, {"id": 18, "type": "unsubscribe", "topic": "/market/match:XRP-USDT", "response": False})
    assert venue.heard(conn) == []


@pytest.mark.parametrize(
    ("frame", "code", "text"),
    [
        ({"type": "subscribe", "topic": "/market/level2:BSV-BTC"}, 404, "topic /market/level2:BSV-BTC is not found"),
        ({"type": "subscribe", "topic": "/odd/thing"}, 404, "topic /odd/thing is not found"),
        ({"type": "subscribe", "topic": V2}, 403, "login is required"),
        ({"type": "subscribe"}, 406, "topic is required"),
        ({"type": "dance", "topic": "x"}, 415, "command type is invalid"),
        (
            {"type": "subscribe", "topic": "/market/level2:" + ",".join(["XRP-USDT"] * 101)},
            509,
            "exceed max subscription count limitation of 100 per time",
        ),
    ],
)
def test_refused_subscriptions(frame: dict[str, Any], code: int, text: str) -> None:
    venue = Venue("kucoin")
    conn = push(venue)
    venue.send(conn, {"id": "9", "response": True, **frame})
    assert venue.heard(conn) == [{"id": "9", "type": "error", "code": code, "data": text}]


def test_a_hundred_messages_in_ten_seconds() -> None:
    venue = Venue("kucoin")
    conn = push(venue)
    for number in range(101):
        venue.send(conn, {"id": str(number), "type": "ping"})
    answers = venue.heard(conn)
    assert [answer["type"] for answer in answers] == ["pong"] * 100 + ["error"]
    assert answers[-1]["code"] == 509
    venue.wait(10 * S)
    venue.send(conn, {"id": "x", "type": "ping"})
    assert venue.heard(conn) == [{"id": "x", "type": "pong"}]


# ---- public topics ----


def test_level2_comes_at_once_and_chains() -> None:
    venue = Venue("kucoin")
    conn = push(venue, "/market/level2:XRP-USDT,BTC-USDT")
    snapshot = body_of(kucoin(venue, "GET /api/v3/market/orderbook/level2?symbol=XRP-USDT"))["data"]
    add(venue, "1.13412")
    venue.wait(0)
    add(venue, "1.13413")
    venue.wait(0)
    one, two = venue.heard(conn)
    assert one == {
        "topic": "/market/level2:XRP-USDT",
        "subject": "trade.l2update",
        "type": "message",
        "data": {
            "changes": {"asks": [], "bids": [["1.13412", "5", "1021"]]},
            "sequenceStart": 1021,
            "sequenceEnd": 1021,
            "symbol": "XRP-USDT",
            "time": 1700000000000,
        },
    }
    assert int(snapshot["sequence"]) + 1 == one["data"]["sequenceStart"]
    assert two["data"]["sequenceStart"] == one["data"]["sequenceEnd"] + 1


def test_a_sequence_that_moves_without_a_level_is_a_row_of_price_zero() -> None:
    venue = Venue("kucoin")
    conn = push(venue, "/market/level2:XRP-USDT")
    venue.exchange.emit(BookChange("XRP/USDT", 1021, 1023, (), (), venue.now))
    venue.wait(0)
    [frame] = venue.heard(conn)
    assert frame["data"]["changes"] == {"asks": [["0", "0", "1023"]], "bids": []}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["add", "take", "order"]), st.integers(0, 40), st.integers(1, 90)), max_size=40)
)
def test_a_naive_book_of_snapshot_and_messages_is_the_exchanges(moves: list[tuple[str, int, int]]) -> None:
    """The twin follows the document: skip what the snapshot has, chain by sequence, set absolute sizes."""
    venue = Venue("kucoin")
    conn = push(venue, "/market/level2:XRP-USDT")
    half = len(moves) // 2
    for move in moves[:half]:
        play(venue, *move)
    snapshot = body_of(kucoin(venue, "GET /api/v3/market/orderbook/level2?symbol=XRP-USDT"))["data"]
    for move in moves[half:]:
        play(venue, *move)
    book = {side: {D(p): D(q) for p, q in snapshot[side]} for side in ("bids", "asks")}
    last = int(snapshot["sequence"])
    for frame in venue.heard(conn):
        update = frame["data"]
        if update["sequenceEnd"] <= last:
            continue
        assert update["sequenceStart"] == last + 1
        last = update["sequenceEnd"]
        for side, rows in update["changes"].items():
            for price, size, sequence in rows:
                assert update["sequenceStart"] <= int(sequence) <= update["sequenceEnd"]
                book[side].pop(D(price), None)
                if D(size):
                    book[side][D(price)] = D(size)
    depth = venue.exchange.depth("XRP/USDT")
    assert (book["bids"], book["asks"], last) == (dict(depth.bids), dict(depth.asks), depth.sequence)


def play(venue: Venue, kind: str, ticks: int, quantity: int) -> None:
    ask = venue.exchange.quote("XRP/USDT")[1][0] or D("1.135")
    if kind == "add":
        add(venue, str(ask - D("0.0001") * (ticks + 1)), str(quantity))
    elif kind == "take":
        venue.exchange.take("XRP/USDT", Side.SELL, D(quantity), D("1.13"), venue.now)
        venue.exchange.flush("XRP/USDT", venue.now)
    else:
        order = kucoin_order(clientOid=f"o-{venue.now}", size=str(quantity), price="1.14", timeInForce="IOC")
        kucoin(venue, ORDERS, order)
    venue.wait(3 * MS)


def test_level1_at_most_each_10_ms() -> None:
    venue = Venue("kucoin")
    conn = push(venue, "/spotMarket/level1:XRP-USDT")
    for number in range(5):
        add(venue, str(D("1.1341") + number * D("0.0001")))
        venue.wait(4 * MS)
    frames = venue.heard(conn)
    assert [frame["data"]["timestamp"] - 1700000000000 for frame in frames] == [4, 16]
    assert frames[0]["data"] == {"asks": ["1.135", "100"], "bids": ["1.1341", "5"], "timestamp": 1700000000004}
    venue.wait(10 * MS)
    [last] = venue.heard(conn)
    assert last["data"]["bids"] == ["1.1345", "5"], "the latest state comes when the pace allows"
    venue.wait(100 * MS)
    assert venue.heard(conn) == []


def test_each_quote_of_a_recording_is_shown() -> None:
    """Three within one millisecond, as a busy feed has them: nothing waits for the pace, nothing is left out."""
    venue = Venue("kucoin")
    venue.exchange.books["XRP/USDT"] = TapeBook()
    conn = push(venue, "/spotMarket/level1:XRP-USDT")
    for number in range(3):
        bid = (D("1.1341") + number * D("0.0001"), D(5))
        venue.exchange.emit(QuoteChange("XRP/USDT", number, bid, (D("1.135"), D(7)), venue.now + number * 400_000))
    venue.wait(0)
    assert [(f["data"]["bids"], f["data"]["timestamp"] - 1700000000000) for f in venue.heard(conn)] == [
        (["1.1341", "5"], 0),
        (["1.1342", "5"], 0),
        (["1.1343", "5"], 0),
    ]
    venue.wait(100 * MS)
    assert venue.heard(conn) == []


def test_other_topics() -> None:
    venue = Venue("kucoin")
    topics = ("/market/ticker", "/market/match", "/spotMarket/level2Depth5", "/spotMarket/level2Depth50")
    conn = push(venue, *(f"{topic}:XRP-USDT" for topic in topics), "/market/candles:XRP-USDT_1min")
    every = push(venue, "/market/ticker:all")
    venue.exchange.take("XRP/USDT", Side.SELL, D(30), D("1.134"), venue.now)
    venue.exchange.flush("XRP/USDT", venue.now)
    venue.wait(0)
    frames = {frame["topic"].partition(":")[0]: frame for frame in venue.heard(conn)}
    match = frames["/market/match"]["data"]
    assert (match["side"], match["price"], match["size"], match["time"]) == (
        "sell",
        "1.134",
        "30",
        "1700000000000000000",
    )
    assert frames["/market/ticker"]["data"]["bestBidSize"] == "70"
    assert len(frames["/spotMarket/level2Depth5"]["data"]["bids"]) == 5
    assert len(frames["/spotMarket/level2Depth50"]["data"]["bids"]) == 10
    assert frames["/market/candles"]["subject"] == "trade.candles.update"
    assert frames["/market/candles"]["data"]["candles"][:3] == ["1699999980", "1.134", "1.134"]
    assert [frame["subject"] for frame in venue.heard(every)] == ["XRP-USDT"]


def test_recorded_frames_pass_as_they_are_and_start_with_a_subscriber() -> None:
    venue = Venue("kucoin")
    conn = push(venue)
    assert venue.exchange.first_subscribed_ns == 0
    conn = push(venue, "/market/level2:XRP-USDT")
    assert venue.exchange.first_subscribed_ns == venue.now
    text = '{"topic":"/market/level2:XRP-USDT",  "data":{}}'
    venue.exchange.emit(RecordedFrame("XRP/USDT", "/market/level2:XRP-USDT", text, venue.now))
    venue.front.tick(venue.now)
    assert venue.front.outgoing == [(conn, text)]


# ---- private topics ----


def life(frames: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(frame["data"]["type"], frame["data"]["status"]) for frame in frames if frame["subject"] == "orderChange"]


def test_the_life_of_a_taker_order() -> None:
    venue = Venue("kucoin")
    conn, older = push(venue, V2, private=True), push(venue, V1, private=True)
    order = body_of(kucoin(venue, ORDERS, kucoin_order(size="150", price="1.136", timeInForce="IOC")))["data"]
    frames = venue.heard(conn)
    assert life(frames) == [("received", "new"), ("match", "match"), ("match", "match"), ("filled", "done")]
    assert life(venue.heard(older)) == life(frames)[1:], "the first version has no received"
    assert frames[0]["data"] == {
        "clientOid": "c-1",
        "orderId": order["orderId"],
        "orderTime": 1700000000000,
        "orderType": "limit",
        "originSize": "150",
        "side": "buy",
        "status": "new",
        "symbol": "XRP-USDT",
        "ts": 1700000000000000000,
        "type": "received",
        "price": "1.136",
    }
    first = frames[1]["data"]
    assert (first["matchPrice"], first["matchSize"], first["filledSize"], first["remainSize"]) == (
        "1.135",
        "100",
        "100",
        "50",
    )
    assert (first["liquidity"], first["feeType"], "fee" in first) == ("taker", "takerFee", False)
    assert {"userId", "channelType"} <= frames[1].keys()
    assert frames[3]["data"]["filledSize"] == "150"


def test_the_life_of_a_maker_order() -> None:
    venue = Venue("kucoin")
    conn = push(venue, V2, private=True)
    order = body_of(kucoin(venue, ORDERS, kucoin_order(price="1.1345")))["data"]
    venue.exchange.take("XRP/USDT", Side.SELL, D(15), D("1.1345"), venue.now)
    venue.exchange.flush("XRP/USDT", venue.now)
    venue.wait(0)
    kucoin(venue, f"DELETE /api/v1/hf/orders/{order['orderId']}?symbol=XRP-USDT")
    frames = venue.heard(conn)
    assert life(frames) == [("received", "new"), ("open", "open"), ("match", "open"), ("canceled", "done")]
    assert (frames[1]["data"]["remainSize"], frames[1]["data"]["filledSize"]) == ("20", "0")
    last = frames[3]["data"]
    assert (last["filledSize"], last["canceledSize"], last["remainSize"]) == ("15", "5", "0")


def test_an_ioc_rest_is_canceled() -> None:
    venue = Venue("kucoin")
    conn = push(venue, V2, private=True)
    kucoin(venue, ORDERS, kucoin_order(size="150", price="1.135", timeInForce="IOC"))
    assert life(venue.heard(conn)) == [("received", "new"), ("match", "match"), ("canceled", "done")]


def test_balances() -> None:
    """A buy of 20 at 1.135: 22.7 and its fee of 0.0227 are held, then paid; 20 XRP come."""
    venue = Venue("kucoin")
    conn = push(venue, BALANCE, private=True)
    kucoin(venue, ORDERS, kucoin_order(price="1.135", timeInForce="IOC"))
    frames = venue.heard(conn)
    hold = frames[0]["data"]
    assert hold == {
        **hold,
        "currency": "USDT",
        "total": "100000",
        "available": "99977.2773",
        "hold": "22.7227",
        "availableChange": "-22.7227",
        "holdChange": "22.7227",
        "relationEvent": "trade.hold",
        "time": "1700000000000",
    }
    assert hold["relationContext"]["symbol"] == "XRP-USDT"
    settled = {f["data"]["currency"]: f["data"] for f in frames if f["data"]["relationEvent"] == "trade.setted"}
    assert (settled["XRP"]["total"], settled["XRP"]["availableChange"]) == ("10020", "20")
    assert (settled["USDT"]["total"], settled["USDT"]["hold"]) == ("99977.2773", "0")
    assert settled["XRP"]["relationContext"]["tradeId"] == "1001"


# ---- order entry ----


def entry_query(venue: Venue, **changes: str) -> str:
    stamp = changes.pop("timestamp", str(venue.now // MS))
    values = {
        "apikey": KUCOIN_KEY,
        "timestamp": stamp,
        "sign": b64_hmac(KUCOIN_SECRET, KUCOIN_KEY + stamp),
        "passphrase": b64_hmac(KUCOIN_SECRET, KUCOIN_PASSPHRASE),
        **changes,
    }
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in values.items() if value)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"apikey": "nobody"}, "400003"),
        ({"sign": "AAAA"}, "400005"),
        ({"passphrase": "AAAA"}, "400004"),
        ({"passphrase": ""}, "400001"),
        ({"timestamp": "1699999994999"}, "400002"),
    ],
)
def test_refused_urls(changes: dict[str, str], code: str) -> None:
    venue = Venue("kucoin")
    conn = venue.connect("/v1/private", entry_query(venue, **changes))
    told, closed = venue.heard(conn)
    assert told["code"] == code
    assert isinstance(closed, Close)


def test_the_challenge() -> None:
    venue = Venue("kucoin")
    conn = venue.connect("/v1/private", entry_query(venue))
    [challenge] = venue.heard(conn)
    assert list(challenge) == ["sessionId", "timestamp"]
    venue.send(conn, b64_hmac(KUCOIN_SECRET, json.dumps(challenge)))  # other spacing, other text
    told, closed = venue.heard(conn)
    assert (told["code"], told["msg"], type(closed)) == ("400011", "Session verification failed.", Close)
    late = venue.connect("/v1/private", entry_query(venue))
    venue.heard(late)
    venue.wait(30 * S)
    assert venue.heard(late) == []
    venue.wait(1)
    told, closed = venue.heard(late)
    assert (told["code"], type(closed)) == ("400012", Close)


def test_orders_by_websocket() -> None:
    venue = Venue("kucoin")
    conn, user = entry(venue), push(venue, V2, private=True)
    venue.send(conn, {"id": "1", "op": "spot.order", "args": kucoin_order()})
    [answer] = venue.heard(conn)
    assert answer == {
        "id": "1",
        "op": "spot.order",
        "code": "200000",
        "data": {"orderId": answer["data"]["orderId"], "clientOid": "c-1"},
        "inTime": 1700000000000,
        "outTime": 1700000000000,
        "userRateLimit": {"limit": 4000, "reset": 30000, "remaining": 3989},
    }, "the token cost 10, the order 1"
    assert life(venue.heard(user)) == [("received", "new"), ("open", "open")]
    cancel = {"symbol": "XRP-USDT", "clientOid": "c-1"}
    venue.send(conn, {"id": "2", "op": "spot.cancel", "args": cancel})
    assert venue.heard(conn)[0]["data"] == {"clientOid": "c-1"}
    venue.send(conn, {"id": "3", "op": "spot.sync_cancel", "args": cancel})
    gone = venue.heard(conn)[0]
    assert (gone["id"], gone["code"], gone["msg"]) == ("3", "400100", "order_not_exist_or_not_allow_to_cancel")
    order = kucoin_order(clientOid="c-2", price="1.135", timeInForce="IOC")
    venue.send(conn, {"id": "4", "op": "spot.sync_order", "args": order})
    assert venue.heard(conn)[0]["data"]["dealSize"] == "20"


def test_order_entry_pings_and_faults_of_form() -> None:
    venue = Venue("kucoin")
    conn = entry(venue)
    venue.send(conn, {"id": "7", "op": "ping", "timestamp": 1})
    assert venue.heard(conn) == [{"id": "7", "op": "pong", "timestamp": 1700000000000}]
    venue.send(conn, {"op": "spot.order", "args": kucoin_order()})
    assert venue.heard(conn)[0]["code"] == "4001002"
    venue.send(conn, {"id": "8", "op": "spot.dance", "args": {}})
    assert venue.heard(conn)[0]["code"] == "400100"
    venue.wait(28 * S)
    assert venue.heard(conn) == []
    venue.wait(1)
    assert isinstance(venue.heard(conn)[0], Close)


def test_the_documented_challenge(shared_data: Any) -> None:
    """The answer that the official SDK gave to a known challenge is the one that this venue waits for."""
    from tradeserver.simulator.kucoin import auth

    vectors = json.loads((shared_data / "signing/kucoin_documented.json").read_text())["vectors"]
    [vector] = [v for v in vectors if "challenge" in v]
    assert auth.sign(vector["secret"], vector["challenge"].encode()) == vector["answer"]


def test_channels_for_faults() -> None:
    venue = Venue("kucoin")
    assert venue.front.channel_of(push(venue)) == "market"
    assert venue.front.channel_of(push(venue, private=True)) == "user"
    assert venue.front.channel_of(entry(venue)) == "orders"
