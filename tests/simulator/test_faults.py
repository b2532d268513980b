"""The fault language: what its sentences mean, and that wrong ones are refused in one sentence."""

from __future__ import annotations

import random

import pytest

from tradeserver.simulator.faults import SEND, Action, FaultError, Faults, Refusal, parse

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
    ],
)
def test_wrong_sentences_are_refused_with_the_reason(text, complaint):
    with pytest.raises(FaultError, match=complaint.replace("(", r"\(")) as error:
        parse(text)
    assert "\n" not in str(error.value)
