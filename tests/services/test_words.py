"""What NATS may say: kill and pause, in one form; everything else is refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeserver.services.words import MOST_BYTES, Word, read, subject


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b'{"action":"kill"}', Word("kill")),
        (b'{"action":"kill","scope":"global"}', Word("kill")),
        (b'{"action":"pause"}', Word("pause")),
        (b'{"action":"pause","scope":"venue:kucoin"}', Word("pause", "venue:kucoin")),
        (b'{"action":"pause","scope":"symbol:BTC/USDT"}', Word("pause", "symbol:BTC/USDT")),
    ],
)
def test_words(data: bytes, word: Word) -> None:
    assert read(data) == word


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "truncated"),
        (b"kill", "malformed"),
        (b"[]", "object"),
        (b"{}", "action"),
        (b'{"action":"resume"}', "resume"),
        (b'{"action":"clear"}', "clear"),
        (b'{"action":"KILL"}', "KILL"),
        (b'{"action":"kill","hedge":true}', "hedge"),
        (b'{"action":"kill","scope":"venue:kucoin"}', "a kill is global"),
        (b'{"action":"pause","scope":"kucoin"}', "a scope is"),
        (b'{"action":"pause","scope":"venue:"}', "a scope is"),
        (b'{"action":"pause","scope":"planet:mars"}', "a scope is"),
        (b'{"action":"pause","scope":1}', "str"),
        (b'{"action":"kill"}' + b" " * MOST_BYTES, "longer than"),
        (b'{"action":"\xff"}', "utf-8"),
    ],
)
def test_what_is_no_word(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(data)


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_a_reason(data: bytes) -> None:
    try:
        word = read(data)
    except ValueError:
        return
    assert word.action in ("kill", "pause")


def test_where() -> None:
    assert subject("desk-1") == "tradeserver.desk-1.command"
