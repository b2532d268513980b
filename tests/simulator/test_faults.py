"""The fault language: what its sentences mean, and that wrong ones are refused in one sentence."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tradeserver.simulator.faults import SEND, Action, Answer, FaultError, Faults, Reach, Refusal, parse

MS, S = 1_000_000, 1_000_000_000
START = 1_700_000_000 * S


def armed(*texts: str) -> Faults:
    faults = Faults(random.Random(3))
    for text in texts:
        faults.add(text, START)
    return faults


def out(faults: Faults, at_ns: int = 0, where: str = "binance.market", text: str = "x") -> Action:
    return faults.on_out(*where.split("."), text, START + at_ns)


def test_without_faults_everything_is_sent_as_it_is():
    assert out(armed()) is SEND
    assert armed().on_in("binance", "orders", "x", START)
    assert armed().refusal("binance", "x", START) is None


def test_drop_by_chance():
    faults = armed("drop kucoin.user 5%")
    lost = sum(out(faults, where="kucoin.user").copies == 0 for _ in range(10_000))
    assert 400 < lost < 600
    assert all(out(faults, where="kucoin.orders").copies == 1 for _ in range(100))


def test_the_same_seed_loses_the_same_frames():
    def run():
        faults = armed("drop kucoin.user 50%")
        return [out(faults, where="kucoin.user").copies for _ in range(64)]

    first = run()
    assert first == run()
    assert set(first) == {0, 1}


def test_drop_by_text_and_time():
    faults = armed("drop binance.market match=depthUpdate after=1s for=5s")
    at = [0, S - 1, S, 6 * S - 1, 6 * S]
    assert [out(faults, t, text='{"e":"depthUpdate"}').copies for t in at] == [1, 1, 0, 0, 1]
    assert [out(faults, t, text='{"u":1}').copies for t in at] == [1] * 5


def test_drop_what_clients_send():
    faults = armed("drop binance.orders side=in first=2")
    assert [faults.on_in("binance", "orders", "place", START) for _ in range(4)] == [False, False, True, True]
    assert out(faults, where="binance.orders") == SEND


def test_delay_and_duplicate_add_up():
    faults = armed("delay binance.* 200ms", "delay *.market 50ms", "duplicate binance.market first=1")
    assert out(faults, 7) == Action(2, START + 7 + 200 * MS)
    assert out(faults, 7) == Action(1, START + 7 + 200 * MS)
    assert out(faults, 7, "kucoin.market") == Action(1, START + 7 + 50 * MS)
    assert out(faults, 7, "kucoin.user") == SEND


def test_a_stall_ends_at_one_moment_and_comes_again():
    faults = armed("stall binance.market 5s after=20s every=60s")
    ends = [out(faults, t * S).not_before_ns for t in (19, 20, 24, 25, 79, 80, 84, 85)]
    first, second = START + 25 * S, START + 85 * S
    assert ends == [0, first, first, 0, 0, second, second, 0]
    once = armed("stall binance 5s")
    assert [out(once, t * S).not_before_ns for t in (0, 4, 5, 1000)] == [START + 5 * S, START + 5 * S, 0, 0]


def test_refusals_carry_the_venues_code():
    faults = armed('refuse binance.orders code=-2010 msg="Account has insufficient balance" first=2 match=BTCUSDT')
    refusal = Refusal("-2010", "Account has insufficient balance")
    asked = ["BTCUSDT", "ETHUSDT", "BTCUSDT", "BTCUSDT"]
    assert [faults.refusal("binance", text, START) for text in asked] == [refusal, None, refusal, None]
    assert faults.refusal("kucoin", "BTCUSDT", START) is None


def test_disconnects_are_told_once_each():
    faults = armed("disconnect kucoin.orders at=30s every=60s", "disconnect binance")
    told = [(t, faults.disconnects(START + t * S)) for t in (0, 1, 29, 30, 31, 89, 90, 300)]
    assert [pair for pair in told if pair[1]] == [
        (0, [("binance", "*")]),
        (30, [("kucoin", "orders")]),
        (90, [("kucoin", "orders")]),
        (300, [("kucoin", "orders")]),  # several rounds passed unseen: one cut
    ]


def test_clear_ends_all():
    faults = armed("drop *.*")
    assert out(faults).copies == 0
    faults.clear()
    assert out(faults) == SEND


def test_reordered_frames_are_late_and_may_be_overtaken():
    faults = armed("reorder kucoin.user 50ms first=1")
    assert out(faults, 7, "kucoin.user") == Action(1, START + 7 + 50 * MS, overtaken=True)
    assert out(faults, 8, "kucoin.user") == SEND


def test_text_is_rewritten_on_its_way_to_clients():
    faults = armed("""rewrite binance.orders find='"(FILL)ED"' with='"\\1ET"' first=1""")
    asked = ['{"a":"NEW"}', '{"a":"FILLED"}', '{"a":"FILLED"}']
    assert [faults.rewritten("binance", "orders", text, START) for text in asked] == [
        '{"a":"NEW"}',
        '{"a":"FILLET"}',
        '{"a":"FILLED"}',
    ]


def test_answers_instead_of_the_venues_own():
    faults = armed('answer binance.rest status=403 body="<html>" side=in first=1', "answer kucoin.orders status=502")
    assert faults.answer("binance", "rest", "x", START, "out") is None
    assert faults.answer("binance", "rest", "x", START, "in") == Answer(403, "<html>")
    assert faults.answer("binance", "rest", "x", START, "in") is None
    assert faults.answer("kucoin", "orders", "x", START, "out") == Answer(502, "<html></html>")
    assert faults.afterthought("kucoin", "x", START) is None


def test_a_placement_that_is_carried_out_and_answered_with_a_code():
    faults = armed("answer binance.orders code=-1007 match=XRP")
    assert faults.afterthought("binance", "BTC", START) is None
    assert faults.afterthought("binance", "XRP", START) == Refusal("-1007", "")
    assert faults.refusal("binance", "XRP", START) is None


def test_a_black_hole_swallows_both_ways_and_nobody_reaches_it():
    faults = armed("blackhole binance.user at=1s for=2s", "unreachable kucoin")
    assert [out(faults, t * S, "binance.user").copies for t in (0, 1, 2, 3)] == [1, 0, 0, 1]
    assert not faults.on_in("binance", "user", "x", START + S)
    assert faults.on_in("binance", "orders", "x", START + S)
    assert faults.reach("binance", "user", START + S) is Reach.BLACKHOLE
    assert faults.reach("binance", "user", START) is Reach.OPEN
    assert faults.reach("kucoin", "rest", START) is Reach.UNREACHABLE
    assert out(faults, 0, "kucoin.user") == SEND


def test_clocks_and_shares():
    faults = armed("skew binance +2s at=1s for=1s", "skew * -500ms", "partial kucoin.orders share=0.4 match=sell")
    assert [faults.skew_ns("binance", START + t * S) for t in (0, 1, 2)] == [-500 * MS, 1500 * MS, -500 * MS]
    assert faults.share("kucoin", "XRP/USDT sell a", START) == Decimal("0.4")
    assert faults.share("kucoin", "XRP/USDT buy a", START) == 1


def test_moments_are_told_once_each():
    faults = armed("throttle binance 10s at=2s", "balance kucoin asset=XRP change=-5 every=4s")
    told = [[fault.kind for fault in faults.moments(START + t * S)] for t in (0, 1, 2, 3, 4, 12, 13)]
    assert told == [["balance"], [], ["throttle"], [], ["balance"], ["balance"], []]


def test_who_watches_sees_every_hit():
    faults = armed("drop binance.user match=fill", "disconnect kucoin.orders")
    seen = []
    faults.witness = lambda fault, venue, channel, text, now: seen.append((fault.kind, venue, channel, text))
    out(faults, 0, "binance.user", "a fill")
    out(faults, 0, "binance.user", "nothing")
    faults.disconnects(START)
    assert seen == [("drop", "binance", "user", "a fill"), ("disconnect", "kucoin", "orders", "")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a fault is KIND VENUE.CHANNEL"),
        ("explode binance.market", "KIND one of drop"),
        ("drop bitstamp.market", "no venue 'bitstamp'"),
        ("drop binance.trades", "no channel 'trades'"),
        ("delay binance.market", "delay needs a duration"),
        ("delay binance.market 5 s", "'5' is no duration"),
        ("drop binance.market 5s", "drop takes no duration"),
        ("drop binance.market 105%", "between 0% and 100%"),
        ("drop binance.market x%", "'x%' has no number"),
        ("drop binance.market code=1", "drop has no option 'code'; it has after, at, first, for, match, side"),
        ("drop binance.market side=up", "side is in or out"),
        ("refuse binance.orders", "refuse needs code="),
        ("refuse binance.market code=1", "only orders can be refused"),
        ("stall binance.market 5s 10%", "stall takes no probability"),
        ('drop binance.market match="x', "No closing quotation"),
        ("answer binance.rest", "answer needs either status= .* or code="),
        ("answer binance.rest status=x", "status='x' is no number"),
        ("rewrite binance.market find=[", "find is no regular expression"),
        ("partial binance", "partial needs share="),
        ("throttle binance", "throttle needs a duration"),
        ("throttle binance.rest 5s", "throttle is for"),
        ("ban kucoin 2m", "ban is for binance"),
        ("shutdown kucoin", "shutdown is for binance"),
        ("status binance symbol=A/B to=asleep", "to is trading, halted, cancel_only"),
        ("foreign binance symbol=A/B quantity=1", "side is buy or sell"),
        ("delay binance -5s", "only a skew may be negative"),
    ],
)
def test_wrong_sentences_are_refused_with_the_reason(text, complaint):
    with pytest.raises(FaultError, match=complaint.replace("(", r"\(")) as error:
        parse(text)
    assert "\n" not in str(error.value)
