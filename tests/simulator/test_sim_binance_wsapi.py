"""Binance's WS API: sessions, orders, rate limits in answers, and the user data stream."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tradeserver.simulator.accounts import ApiKey
from tradeserver.simulator.front import Ping
from tradeserver.simulator.types import Side
from venue_kit import (
    BINANCE_KEY,
    BINANCE_SECRET,
    MS,
    D,
    S,
    Venue,
    binance,
    limit_order,
    settings,
    ws_params,
)

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_PEM = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
ED_KEY = "SIMed25519"
KEYS = (ApiKey(key=BINANCE_KEY, secret=BINANCE_SECRET), ApiKey(key=ED_KEY, public_key=PUBLIC_PEM))


def ed25519(params: dict[str, Any], now_ns: int) -> dict[str, Any]:
    full = {"apiKey": ED_KEY, "timestamp": now_ns // MS, **params}
    payload = "&".join(f"{name}={full[name]}" for name in sorted(full))
    return {**full, "signature": base64.b64encode(PRIVATE.sign(payload.encode())).decode()}


def ask(venue: Venue, conn: int, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    venue.send(conn, {"id": "q", "method": method, "params": params or {}})
    frames = venue.heard(conn)
    answer = next(frame for frame in frames if isinstance(frame, dict) and frame.get("id") == "q")
    venue.front.outgoing[:0] = []
    return answer


def error(answer: dict[str, Any]) -> tuple[int, int]:
    return answer["status"], answer["error"]["code"]


def api(venue: Venue | None = None) -> tuple[Venue, int]:
    venue = venue or Venue("binance", KEYS)
    return venue, venue.connect("/ws-api/v3")


def test_public_calls_and_ids() -> None:
    venue, conn = api()
    for request_id in (1, "fcc3786b-3c31", None):
        venue.send(conn, {"id": request_id, "method": "v3/time"})
        [answer] = venue.heard(conn)
        assert answer["id"] == request_id
        assert answer["result"] == {"serverTime": 1700000000000}
    assert answer["rateLimits"] == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 5}
    ], "connecting weighs 2, each time 1"
    assert "rateLimits" not in ask(venue, conn, "time", {"returnRateLimits": False})
    depth = ask(venue, conn, "depth", {"symbol": "XRPUSDT", "limit": 1})
    assert depth["result"]["bids"] == [["1.13400000", "100.00000000"]]
    quiet = venue.connect("/ws-api/v3", "returnRateLimits=false")
    assert "rateLimits" not in ask(venue, quiet, "time")


def test_bad_requests() -> None:
    venue, conn = api()
    venue.send(conn, "{")
    [answer] = venue.heard(conn)
    assert (answer["id"], error(answer)) == (None, (400, -1135))
    assert error(ask(venue, conn, "order.dance")) == (400, -1020)
    assert error(ask(venue, conn, "depth", {"symbol": "NOPE"})) == (400, -1121)


def test_logon_needs_ed25519() -> None:
    venue, conn = api()
    assert error(ask(venue, conn, "session.logon", ws_params({}, venue.now))) == (400, -4056)
    status = ask(venue, conn, "session.logon", ed25519({}, venue.now))
    assert status["result"]["apiKey"] == ED_KEY
    assert status["result"]["authorizedSince"] == 1700000000000
    assert status["result"]["userDataStream"] is False
    wrong = ed25519({}, venue.now)
    wrong["timestamp"] += 1
    assert error(ask(venue, conn, "session.logon", wrong)) == (400, -1022)
    lower = ed25519({}, venue.now)
    lower["signature"] = lower["signature"].lower()
    assert error(ask(venue, conn, "session.logon", lower)) == (400, -1022), "base64 is case-sensitive"


def test_after_logon_a_timestamp_is_enough() -> None:
    venue, conn = api()
    order = limit_order(timestamp=venue.now // MS)
    assert error(ask(venue, conn, "order.place", order)) == (401, -2014)
    ask(venue, conn, "session.logon", ed25519({}, venue.now))
    assert ask(venue, conn, "order.place", order)["status"] == 200
    assert error(ask(venue, conn, "order.place", limit_order())) == (400, -1102)
    assert error(ask(venue, conn, "order.place", limit_order(timestamp=venue.now // MS - 5001))) == (400, -1021)
    assert ask(venue, conn, "session.logout")["result"]["apiKey"] is None
    assert error(ask(venue, conn, "order.place", order)) == (401, -2014)


def test_orders_show_their_counts() -> None:
    venue, conn = api()
    placed = ask(venue, conn, "order.place", ws_params(limit_order(newClientOrderId="w-1"), venue.now))
    assert placed["result"]["status"] == "NEW"
    assert [(row["rateLimitType"], row["interval"], row["count"]) for row in placed["rateLimits"]] == [
        ("ORDERS", "SECOND", 1),
        ("ORDERS", "DAY", 1),
        ("REQUEST_WEIGHT", "MINUTE", 2),
    ]
    seen = ask(venue, conn, "order.status", ws_params({"symbol": "XRPUSDT", "origClientOrderId": "w-1"}, venue.now))
    assert seen["result"]["clientOrderId"] == "w-1"
    ended = ask(venue, conn, "order.cancel", ws_params({"symbol": "XRPUSDT", "origClientOrderId": "w-1"}, venue.now))
    assert (ended["result"]["status"], len(ended["rateLimits"])) == ("CANCELED", 1)
    gone = ask(venue, conn, "order.cancel", ws_params({"symbol": "XRPUSDT", "origClientOrderId": "w-1"}, venue.now))
    assert gone["error"] == {"code": -2011, "msg": "Unknown order sent."}
    counts = ask(venue, conn, "account.rateLimits.orders", ws_params({}, venue.now))["result"]
    assert [row["count"] for row in counts] == [1, 1]


def test_every_method_answers() -> None:
    venue, conn = api()
    ask(venue, conn, "session.logon", ed25519({}, venue.now))
    stamp = {"timestamp": venue.now // MS}
    for method, params in (
        ("ping", {}),
        ("exchangeInfo", {"symbols": ["XRPUSDT"]}),
        ("ticker.book", {"symbol": "XRPUSDT"}),
        ("session.status", {}),
        ("order.test", limit_order(**stamp)),
        ("openOrders.status", stamp),
        ("allOrders", {"symbol": "XRPUSDT", **stamp}),
        ("myTrades", {"symbol": "XRPUSDT", **stamp}),
        ("account.status", stamp),
        ("account.commission", {"symbol": "XRPUSDT", **stamp}),
        ("session.subscriptions", {}),
    ):
        assert ask(venue, conn, method, params)["status"] == 200, method
    assert error(ask(venue, conn, "openOrders.cancelAll", {"symbol": "XRPUSDT", **stamp})) == (400, -2011)


def test_throttled_answers_carry_an_absolute_time() -> None:
    venue, conn = api(Venue("binance", KEYS, settings("binance", request_weight_1m=20)))
    answer = ask(venue, conn, "exchangeInfo")
    assert error(answer) == (429, -1003)
    assert answer["error"]["data"] == {"serverTime": 1700000000000, "retryAfter": 1700000040000}
    for _ in range(5):
        answer = ask(venue, conn, "ping")
    assert error(answer) == (418, -1003)
    assert answer["error"]["data"]["retryAfter"] == 1700000120000


# ---- user data ----


def subscribed(venue: Venue | None = None) -> tuple[Venue, int]:
    venue, conn = api(venue)
    answer = ask(venue, conn, "userDataStream.subscribe.signature", ws_params({}, venue.now))
    assert answer["result"] == {"subscriptionId": 0}
    return venue, conn


def test_subscribing_twice_and_ending() -> None:
    venue, conn = subscribed()
    again = ask(venue, conn, "userDataStream.subscribe.signature", ws_params({}, venue.now))
    assert again["error"] == {"code": -2035, "msg": "User Data Stream subscription already active."}
    venue.send(conn, {"id": "u", "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 0}})
    answer, ended = venue.heard(conn)
    assert (answer["status"], answer["result"]) == (200, {})
    assert ended == {"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": 1700000000000}}
    assert error(ask(venue, conn, "userDataStream.unsubscribe")) == (400, -2036)
    fresh = ask(venue, conn, "userDataStream.subscribe.signature", ws_params({}, venue.now))
    assert fresh["result"] == {"subscriptionId": 1}


def test_subscribing_by_session() -> None:
    venue, conn = api()
    assert error(ask(venue, conn, "userDataStream.subscribe")) == (401, -1002)
    ask(venue, conn, "session.logon", ed25519({}, venue.now))
    assert ask(venue, conn, "userDataStream.subscribe")["result"] == {"subscriptionId": 0}
    venue.send(conn, {"id": "o", "method": "session.logout"})
    assert [frame.get("event", {}).get("e") for frame in venue.heard(conn)] == [None, "eventStreamTerminated"]


def events(venue: Venue, conn: int) -> list[dict[str, Any]]:
    return [frame["event"] for frame in venue.heard(conn) if isinstance(frame, dict) and "event" in frame]


def test_a_taker_order_in_events() -> None:
    """Buy 150 up to 1.136: 100 at 1.1350, 50 at 1.1360; 170.30 USDT of the 100000 and 0.1 % of the XRP."""
    venue, conn = subscribed()
    order = limit_order(quantity="150", price="1.136", timeInForce="IOC", newClientOrderId="e-1")
    binance(venue, "POST /api/v3/order", **order)
    told = events(venue, conn)
    reports = [event for event in told if event["e"] == "executionReport"]
    assert [(r["x"], r["X"], r["l"], r["z"], r["L"], r["n"], r["N"], r["t"]) for r in reports] == [
        ("NEW", "NEW", "0.00000000", "0.00000000", "0.00000000", "0", None, -1),
        ("TRADE", "PARTIALLY_FILLED", "100.00000000", "100.00000000", "1.13500000", "0.10000000", "XRP", 1001),
        ("TRADE", "FILLED", "50.00000000", "150.00000000", "1.13600000", "0.05000000", "XRP", 1002),
    ]
    assert [r["Z"] for r in reports] == ["0.00000000", "113.50000000", "170.30000000"]
    assert {r["c"] for r in reports} == {"e-1"}
    assert {r["C"] for r in reports} == {""}
    assert [event["e"] for event in told][-1] == "outboundAccountPosition"
    last = {row["a"]: (row["f"], row["l"]) for event in told if "B" in event for row in event["B"]}
    assert last == {"USDT": ("99829.70000000", "0.00000000"), "XRP": ("10149.85000000", "0.00000000")}


def test_the_documented_keys_of_an_execution_report() -> None:
    venue, conn = subscribed()
    binance(venue, "POST /api/v3/order", **limit_order())
    [report, position] = events(venue, conn)
    keys = "e E s c S o f q p P F g C x X r i l z L n N T t I w m M O Z Y Q W V"
    assert list(report) == keys.split(), "the order of user-data-stream.md, without the conditional v"
    assert report["w"] is True
    assert list(position) == ["e", "E", "u", "B"]
    assert position["B"] == [{"a": "USDT", "f": "99977.40000000", "l": "22.60000000"}]


def test_a_cancel_in_events() -> None:
    venue, conn = subscribed()
    binance(venue, "POST /api/v3/order", **limit_order(newClientOrderId="a-1"))
    events(venue, conn)
    binance(venue, "DELETE /api/v3/order", symbol="XRPUSDT", origClientOrderId="a-1", newClientOrderId="x-1")
    [report, position] = events(venue, conn)
    assert (report["x"], report["X"], report["c"], report["C"]) == ("CANCELED", "CANCELED", "x-1", "a-1")
    assert position["B"] == [{"a": "USDT", "f": "100000.00000000", "l": "0.00000000"}]


def test_an_ioc_rest_expires_in_events() -> None:
    venue, conn = subscribed()
    binance(venue, "POST /api/v3/order", **limit_order(quantity="150", price="1.135", timeInForce="IOC"))
    reports = [event for event in events(venue, conn) if event["e"] == "executionReport"]
    assert [(r["x"], r["X"]) for r in reports] == [
        ("NEW", "NEW"),
        ("TRADE", "PARTIALLY_FILLED"),
        ("EXPIRED", "EXPIRED"),
    ]
    assert (reports[-1]["z"], reports[-1]["eR"]) == ("100.00000000", "UNFILLED_IOC_QUANTITY_EXPIRED")


def test_a_market_order_by_quote_amount_is_filled_by_its_last_trade() -> None:
    venue, conn = subscribed()
    market = {"symbol": "XRPUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "130"}
    binance(venue, "POST /api/v3/order", **market)
    reports = [event for event in events(venue, conn) if event["e"] == "executionReport"]
    # 100 at 1.1350 leave 16.5, which buy 14 whole XRP at 1.1360.
    assert [(r["X"], r["l"]) for r in reports[1:]] == [("PARTIALLY_FILLED", "100.00000000"), ("FILLED", "14.00000000")]


def test_a_maker_fill_in_events() -> None:
    venue, conn = subscribed()
    binance(venue, "POST /api/v3/order", **limit_order(price="1.1345", quantity="30"))
    events(venue, conn)
    venue.exchange.take("XRP/USDT", Side.SELL, D(10), D("1.1345"), venue.now)
    venue.exchange.flush("XRP/USDT", venue.now)
    venue.wait(0)
    [report, _] = events(venue, conn)
    assert (report["X"], report["m"], report["w"], report["n"], report["N"]) == (
        "PARTIALLY_FILLED",
        True,
        True,
        "0.01000000",
        "XRP",
    )


def test_others_hear_nothing_and_pings_come() -> None:
    venue, conn = subscribed()
    _, stranger = api(venue)
    binance(venue, "POST /api/v3/order", **limit_order())
    assert venue.heard(stranger) == []
    assert venue.front.channel_of(conn) == "user"
    venue.wait(20 * S)
    assert [type(frame) for frame in venue.heard(stranger)] == [Ping]
