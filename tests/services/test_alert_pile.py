"""Ten thousand notices and a few messages: nothing is lost, nothing is said too often, the worst comes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradeserver.core.records import Severity
from tradeserver.services.alerting.notices import Notice
from tradeserver.services.alerting.pile import BURST, MORE, MOST_CODES, MOST_LINES, Pile

S = 1_000_000_000


def pile(per_minute: int = 10, gather_s: float = 0.5, repeat_s: float = 60, most_s: float = 240) -> Pile:
    return Pile(per_minute, int(gather_s * S), int(repeat_s * S), int(most_s * S))


def note(code: str, severity: Severity = Severity.WARNING, text: str = "it happened") -> Notice:
    return Notice(0, severity, code, text)


def test_ten_thousand_in_a_second_are_two_messages_in_a_minute() -> None:
    p, counts = pile(), []
    for n in range(60 * 100):  # a minute in steps of 10 ms; the first second is the storm
        now = S + n * S // 100
        if n < 100:
            for k in range(100):
                p.add(note("BURST", text=str(n * 100 + k)), n * 100 + k + 1, now)
        if lines := p.take(now):
            counts.append([line.count for line in lines])
            p.told(now)
    assert counts == [[5_100]], "half a second of it; the rest waits for the pause to end"
    lines = p.take(62 * S)
    assert [line.count for line in lines] == [4_900]
    assert lines[0].last.text == "9999"


def test_a_code_that_goes_on_is_told_at_doubling_pauses() -> None:
    p, told = pile(gather_s=0), []
    for second in range(1, 1_200):
        p.add(note("AGAIN"), second, second * S)
        if p.take(second * S):
            p.told(second * S)
            told.append(second)
    assert told == [1, 61, 181, 421, 661, 901, 1141], "60, 120, 240 and then no longer"


def test_after_a_quiet_time_it_is_news_again() -> None:
    p = pile(gather_s=0)
    p.add(note("X"), 1, S)
    assert p.take(S)
    p.told(S)
    p.add(note("X"), 2, 122 * S)
    assert p.take(122 * S), "twice the pause has passed without it"


def test_the_worst_comes_first_and_a_message_is_bounded() -> None:
    p = pile(gather_s=0)
    for n in range(12):
        p.add(note(f"W{n}"), n + 1, S)
    p.add(note("C", Severity.CRITICAL), 99, S)
    lines = p.take(S)
    assert len(lines) == MOST_LINES
    assert lines[0].first.code == "C"
    p.told(S)
    assert {line.first.code for line in p.take(S)} == {"W9", "W10", "W11"}


def test_messages_have_a_budget() -> None:
    p, sent = pile(per_minute=6, gather_s=0), []
    for second in range(1, 62):
        p.add(note(f"N{second}"), second, second * S)
        if p.take(second * S):
            p.told(second * S)
            sent.append(second)
    assert len(sent) == BURST + 6, "three at once, then one each ten seconds"


def test_codes_are_bounded_and_the_rest_is_counted() -> None:
    p = pile(gather_s=0)
    for n in range(MOST_CODES + 500):
        p.add(note(f"N{n}"), n + 1, S)
    assert len(p) == MOST_CODES + 1
    lines = []
    now = S
    while got := p.take(now):
        lines += got
        p.told(now)
        now += 10 * S
    assert sum(line.count for line in lines) == MOST_CODES + 500
    assert MORE not in {line.first.code for line in lines}, "what is in it keeps its own first text"


def test_what_was_not_delivered_waits_with_what_came_meanwhile() -> None:
    p = pile(gather_s=0)
    p.add(note("X", text="first"), 5, S)
    assert [line.count for line in p.take(S)] == [1]
    p.add(note("X", text="second"), 6, S)
    assert p.oldest == 5
    p.untold()
    (line,) = p.take(2 * S)
    assert (line.count, line.first.text, line.last.text, line.sequence) == (2, "first", "second", 5)
    p.told(2 * S)
    assert p.oldest == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * S), st.integers(0, 4), st.booleans()),
        max_size=60,
    )
)
def test_every_notice_is_in_exactly_one_delivered_line(script: list[tuple[int, int, bool]]) -> None:
    p, now, delivered = pile(per_minute=60, gather_s=0.2, repeat_s=2, most_s=4), S, 0
    for sequence, (step, code, works) in enumerate(script, 1):
        now += step
        p.add(note(f"N{code}"), sequence, now)
        if lines := p.take(now):
            if works:
                delivered += sum(line.count for line in lines)
                p.told(now)
            else:
                p.untold()
    while len(p):
        now += S
        if lines := p.take(now):
            delivered += sum(line.count for line in lines)
            p.told(now)
    assert delivered == len(script)
