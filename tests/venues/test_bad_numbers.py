"""Numbers that are none: "NaN", "Infinity", absurd ones, amounts below zero. The venue's fault, whatever they stand in.

JSON of both venues writes numbers as strings, and a decoder that is asked for a float or a Decimal takes these words.
Every place from which a number reaches the core is tried: a frame is malformed, an answer is none.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from messages_kit import (
    BINANCE_ANSWERS,
    FRAMES,
    KUCOIN_LABELS,
    Case,
    Path,
    ask_binance,
    ask_kucoin,
    assert_numbers,
    receiver,
)
from tradeserver.core.events import QueryFailed, VenueFault
from tradeserver.venues.base import WireError
from tradeserver.venues.numbers import charge, money

NONE = ["NaN", "-NaN", "Infinity", "-Infinity", "inf", "1e19"]
MONEY_ONLY = ["sNaN", "1E+999999", "-1E+999999"]  # a float cannot be asked for these: "out of range", "no float"


def changed(message: Any, path: Path, value: str) -> Any:
    """A copy with one number replaced."""
    copy = json.loads(json.dumps(message))
    place = copy
    for key in path[:-1]:
        place = place[key]
    assert place[path[-1]] is not None
    place[path[-1]] = value
    return copy


# ---- frames ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "case"), FRAMES, ids=[name for name, _ in FRAMES])
def test_a_frame_with_a_number_that_is_none_is_malformed(name: str, case: Case) -> None:
    assert_numbers(receiver(name)(case.channel, case.message))  # as it is, it is fine
    tried = 0
    for path in [*case.numbers, *case.signed]:
        below_zero = [] if path in case.signed else ["-1"]
        for bad in NONE + MONEY_ONLY + below_zero:
            with pytest.raises(WireError):
                receiver(name)(case.channel, changed(case.message, path, bad))
            tried += 1
    assert tried >= 10 * len(case.numbers) >= 10
    for path in case.signed:
        assert_numbers(receiver(name)(case.channel, changed(case.message, path, "-0.5")))  # a maker is paid


def test_frames_without_doubt_bring_their_numbers() -> None:
    """The frames above are no dead letters: each venue's bring numbers to the core."""
    for venue, least in (("binance", 12), ("kucoin", 14)):
        assert sum(assert_numbers(receiver(n)(c.channel, c.message)) for n, c in FRAMES if n.startswith(venue)) >= least


# ---- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BINANCE_ANSWERS)
def test_an_answer_with_a_number_that_is_none_is_no_answer(name: str) -> None:
    command, path, case = BINANCE_ANSWERS[name]
    fine = ask_binance(command, path, case.message)
    assert fine
    assert_numbers(fine)
    assert not any(isinstance(event, VenueFault | QueryFailed) for event in fine)
    for place in [*case.numbers, *case.signed]:
        below_zero = [] if place in case.signed else ["-1"]
        for bad in NONE + MONEY_ONLY + below_zero:
            events = ask_binance(command, path, changed(case.message, place, bad))
            assert any(isinstance(e, VenueFault) and e.code == "BAD_BODY" for e in events), (place, bad, events)
            assert all(isinstance(e, VenueFault | QueryFailed) or type(e).__name__ == "CancelRejected" for e in events)


@pytest.mark.parametrize("name", KUCOIN_LABELS)
def test_a_kucoin_answer_with_a_number_that_is_none_is_no_answer(name: str) -> None:
    command, label, case = KUCOIN_LABELS[name]
    fine = ask_kucoin(command, label, case.message)
    assert fine
    assert_numbers(fine)
    assert not any(isinstance(event, VenueFault | QueryFailed) for event in fine)
    for place in [*case.numbers, *case.signed]:
        below_zero = [] if place in case.signed else ["-1"]
        for bad in NONE + MONEY_ONLY + below_zero:
            events = ask_kucoin(command, label, changed(case.message, place, bad))
            assert any(isinstance(e, VenueFault) and e.code == "BAD_ANSWER" for e in events), (place, bad, events)
            assert all(isinstance(e, VenueFault | QueryFailed) for e in events)


# ---- the two checks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0", "0E-8", "0.00000001", "20", "1000000000000000000"])
def test_amounts(text: str) -> None:
    assert money(Decimal(text)) == Decimal(text)
    assert charge(-Decimal(text)) == -Decimal(text)


@pytest.mark.parametrize("text", ["NaN", "sNaN", "-Infinity", "Infinity", "-0.1", "1000000000000000000.1", "1E+999999"])
def test_no_amounts(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        money(Decimal(text))
    if text != "-0.1":
        with pytest.raises(msgspec.ValidationError):
            charge(Decimal(text))
