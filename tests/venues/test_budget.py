"""Rate budget, clock series and error look-up: what both venues' codecs share."""

from __future__ import annotations

from tradeserver.core.events import OrderRejected, OrderUncertain, VenueFault
from tradeserver.venues.budget import RateBudget
from tradeserver.venues.clock import ClockSampler
from tradeserver.venues.errors import AUTH_CODE, UNLISTED, ErrorRow, ErrorTable, Fault, order_outcome

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
T0 = 1_700_000_040 * SECOND  # :00 of a minute


def budget(used: int = 0) -> RateBudget:
    made = RateBudget("v")
    made.limit("weight", 100, MINUTE)
    made.observe("weight", used, T0)
    return made


def test_ordinary_traffic_stops_before_the_share_of_safety_traffic() -> None:
    made = budget(used=75)
    assert made.refusal("weight", 5, T0) == ""
    assert made.refusal("weight", 6, T0) == "rate budget: weight 75 of 100"
    assert made.refusal("weight", 25, T0, safety=True) == ""
    assert made.refusal("weight", 26, T0, safety=True) != ""


def test_what_is_on_its_way_counts_until_the_server_counted_it() -> None:
    made = budget()
    made.sent("weight", 60)
    made.sent("weight", 20)
    assert made.used("weight", T0) == 80
    made.answered("weight", 60)
    made.observe("weight", 60, T0)
    assert made.used("weight", T0) == 80
    assert made.refusal("weight", 1, T0) != ""


def test_the_servers_figure_replaces_ours_also_downwards() -> None:
    """A fill gives order counts back (rest-api.md, "Unfilled order count")."""
    made = budget(used=90)
    made.observe("weight", 10, T0 + SECOND)
    assert made.used("weight", T0 + SECOND) == 10


def test_windows_end_at_the_venues_full_minute() -> None:
    made = budget()
    made.offset_ns = 3 * SECOND  # the venue is ahead of us
    made.observe("weight", 90, T0 + 10 * SECOND)
    assert made.used("weight", T0 + 57 * SECOND - 1) == 90
    assert made.used("weight", T0 + 57 * SECOND) == 0


def test_windows_may_end_when_the_server_says() -> None:
    made = budget()
    made.observe("weight", 90, T0, resets=T0 + 7 * SECOND)
    assert made.used("weight", T0 + 7 * SECOND - 1) == 90
    assert made.used("weight", T0 + 7 * SECOND) == 0


def test_what_was_never_answered_does_not_count_for_ever() -> None:
    made = RateBudget("v")
    made.limit("weight", 100, MINUTE)
    made.sent("weight", 95)
    assert made.refusal("weight", 10, T0, safety=True) != ""
    assert made.refusal("weight", 10, T0 + MINUTE, safety=True) == ""


def test_a_lost_connection_forgets_what_it_carried() -> None:
    made = budget()
    made.sent("weight", 95)
    made.lost("weight")
    assert made.used("weight", T0) == 0


def test_throttles_end_and_bans_name_everything() -> None:
    made = budget()
    limited = made.throttled("orders", T0 + SECOND, T0)
    assert (limited.scope, limited.until, limited.banned) == ("orders", T0 + SECOND, False)
    assert made.refusal("orders", 1, T0, safety=True) == "rate budget: orders throttled"
    assert made.refusal("weight", 1, T0) == ""
    assert made.refusal("orders", 1, T0 + SECOND) == ""
    made.throttled("weight", T0 + 2 * SECOND, T0, banned=True)
    assert made.refusal("orders", 1, T0 + SECOND, safety=True) == "rate budget: banned"
    assert made.refusal("orders", 1, T0 + 2 * SECOND) == ""


def test_limits_that_the_venue_never_named_refuse_nothing() -> None:
    made = budget()
    made.observe("unheard", 10**9, T0)
    made.sent("unheard", 10**9)
    assert made.refusal("unheard", 1, T0) == ""


# ---- clock ----


def test_the_slow_half_of_a_series_does_not_count() -> None:
    clock = ClockSampler("v")
    for rtt, offset in ((900, 440), (10, 5), (800, -390), (10, 7)):
        assert clock.sample(0, rtt // 2 + offset, rtt) is None
        assert not clock.known
    event = clock.sample(0, 5 + 6, 10)
    assert event is not None
    assert (event.offset_ns, event.rtt_ns) == (6, 10)
    assert (clock.offset_ns, clock.known) == (6, True)


def test_a_restarted_series_keeps_the_old_offset_until_it_is_complete() -> None:
    clock = ClockSampler("v")
    for _ in range(5):
        clock.sample(0, 105, 10)
    clock.sample(0, 999, 10)
    clock.restart()
    for _ in range(4):
        assert clock.sample(0, 205, 10) is None
    assert clock.offset_ns == 100
    assert clock.sample(0, 205, 10) is not None
    assert clock.offset_ns == 200


# ---- errors ----

TABLE = ErrorTable(
    [
        ErrorRow("7", "", Fault.REFUSED, Fault.BACKOFF, "any"),
        ErrorRow("7", "is closed", Fault.SYMBOL, Fault.SYMBOL, "closed"),
        ErrorRow("8", "", Fault.UNKNOWN, Fault.BACKOFF, "query"),
        ErrorRow("9", "", Fault.AUTH, Fault.AUTH, "stop"),
    ]
)


def outcome(code: str, text: str) -> list[object]:
    row = TABLE.lookup(code, text)
    return list(order_outcome(row, venue="v", channel="orders", client_id="a", code=code, text=text, ts=1))


def test_the_more_particular_row_wins() -> None:
    assert TABLE.lookup("7", "Market is closed.").action == "closed"
    assert TABLE.lookup("7", "anything").action == "any"
    assert TABLE.lookup("10", "Market is closed.") is UNLISTED


def test_only_proof_rejects_an_order() -> None:
    (rejected,) = outcome("7", "no")
    assert isinstance(rejected, OrderRejected)
    (uncertain,) = outcome("8", "?")
    assert isinstance(uncertain, OrderUncertain)
    uncertain, fault = outcome("10", "new")
    assert isinstance(uncertain, OrderUncertain)
    assert isinstance(fault, VenueFault)
    assert fault.code == "10"
    rejected, fault = outcome("9", "key")
    assert isinstance(rejected, OrderRejected)
    assert isinstance(fault, VenueFault)
    assert fault.code == AUTH_CODE
