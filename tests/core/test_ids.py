"""Client ids: their layout, there and back, and what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeserver.core.ids import ALPHABET, LENGTH, ClientId, ClientIds, base62, parse

START_S = 1_700_000_000


def test_the_layout() -> None:
    """Fixed places; the start second by plain long division."""
    value, digits = START_S, ""
    while value:
        value, rest = divmod(value, 62)
        digits = ALPHABET[rest] + digits
    client_id = ClientIds("T1", "demo", START_S).make(7, 1, 2)
    assert client_id == "T1" + "D" + digits.rjust(6, "0") + "00007" + "1" + "02"
    assert len(client_id) == LENGTH == 17
    assert client_id.isascii()
    assert client_id.isalnum()


@given(
    st.text(ALPHABET, min_size=2, max_size=2),
    st.sampled_from([("live", "L"), ("paper", "P"), ("demo", "D"), ("backtest", "B")]),
    st.integers(0, 62**6 - 1),
    st.integers(0, 62**5 - 1),
    st.integers(0, 61),
    st.integers(0, 62**2 - 1),
)
def test_there_and_back(tag: str, mode: tuple[str, str], start_s: int, arbitrage: int, leg: int, attempt: int) -> None:
    ids = ClientIds(tag, mode[0], start_s)
    client_id = ids.make(arbitrage, leg, attempt)
    assert parse(client_id) == ClientId(tag, mode[1], start_s, arbitrage, leg, attempt)
    assert ids.ours(client_id)
    assert client_id.startswith(ids.head)


def test_digits_sort_like_numbers() -> None:
    assert base62(61, 2) < base62(62, 2) < base62(62 * 62 - 1, 2)


@pytest.mark.parametrize(("arbitrage", "leg", "attempt"), [(62**5, 0, 0), (0, 0, 62**2), (-1, 0, 0), (1, 0, -1)])
def test_an_id_never_wraps(arbitrage: int, leg: int, attempt: int) -> None:
    with pytest.raises(OverflowError):
        ClientIds("T1", "live", START_S).make(arbitrage, leg, attempt)


@pytest.mark.parametrize("leg", [-1, 62])
def test_a_leg_has_one_digit(leg: int) -> None:
    with pytest.raises(OverflowError):
        ClientIds("T1", "live", START_S).make(1, leg, 0)


@pytest.mark.parametrize("tag", ["", "T", "T12", "T-", "é1"])
def test_a_tag_is_two_characters_of_the_alphabet(tag: str) -> None:
    with pytest.raises(ValueError, match="two base62"):
        ClientIds(tag, "live", START_S)


def test_foreign_ids() -> None:
    ids = ClientIds("T1", "live", START_S)
    ours = ids.make(1, 0, 0)
    assert ids.ours(ClientIds("T1", "live", START_S - 86_400).make(9, 1, 3))  # an earlier run's
    assert not ids.ours("T2" + ours[2:])
    assert not ids.ours(ours + "0")
    assert not ids.ours("T1-by-hand-123456"[:17])
    assert not ids.ours("web_12345")
    assert not ids.ours("")
    assert parse("web_1234567890123") is None
    assert parse("") is None
