"""A connection made while the venue throttles us stays silent until it may speak: each log-on refused is a step towards
a ban (Binance spot API docs, rest-api.md "IP limits", 2026-07-21)."""

from __future__ import annotations

from binance_talk import HMAC, MS, SECOND, Talk
from tradeserver.core.events import LinkUp, RateLimited


def throttled(seconds: int) -> Talk:
    """Everything is up; then REST answers 429 and the user stream is lost."""
    talk = Talk(HMAC).ready()
    talk.codec._setup.refresh_rules()
    talk.tick(20 * SECOND)
    body = {"code": -1003, "msg": "Too much request weight used."}
    talk.answer("/api/v3/exchangeInfo", body, 429, {"retry-after": str(seconds)})
    talk.closed("user")
    talk.frames.clear()
    return talk


def test_no_log_on_before_the_time_is_over() -> None:
    talk = throttled(seconds=30)
    talk.opened("user")
    talk.tick(29 * SECOND)
    assert talk.frames == []
    assert not [reset for reset in talk.resets if reset[0] == "user"]  # nothing is overdue that was never asked
    talk.tick(2 * SECOND)
    ((channel, asked),) = talk.frames
    assert (channel, asked["method"]) == ("user", "userDataStream.subscribe.signature")
    assert asked["params"]["timestamp"] >= talk.ts // MS - 1_000  # signed when it is sent
    (up,) = talk.answer_frame({"subscriptionId": 0})
    assert isinstance(up, LinkUp)


def test_a_log_on_refused_with_429_is_repeated_on_the_same_connection() -> None:
    talk = Talk(HMAC).ready()
    talk.closed("user")
    talk.frames.clear()
    talk.opened("user")
    channel, asked = talk.frames.pop(0)
    until = talk.ts // MS + 5_000
    error = {"code": -1003, "msg": "Way too much.", "data": {"serverTime": talk.ts // MS, "retryAfter": until}}
    events = talk.frame(channel, {"id": asked["id"], "status": 429, "error": error})
    assert [type(event) for event in events] == [RateLimited]
    talk.tick(4 * SECOND)
    assert talk.frames == talk.resets == []
    talk.tick(2 * SECOND)
    assert [frame["method"] for _, frame in talk.frames] == ["userDataStream.subscribe.signature"]
