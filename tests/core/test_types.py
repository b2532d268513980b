"""The border between floats and money: grids, rounding both ways, plain text."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from desk_kit import instrument
from tradeserver.core.types import Rounding, Side, measured, on_grid, plain, quantise

D = Decimal
STEPS = [D("0.01"), D("0.1"), D("0.00001"), D("0.00000001"), D("1"), D("0.05"), D("10"), D("0.00025"), D("0.10")]
DOWN, UP = Rounding.DOWN, Rounding.UP

floats = st.floats(min_value=1e-8, max_value=1e8, allow_nan=False, allow_infinity=False)
steps = st.sampled_from(STEPS)
roundings = st.sampled_from(Rounding)


def near(exact: Fraction) -> bool:
    """Whether `exact`, in steps, is a grid point but for the noise of floats. Undecided at the border itself."""
    apart, border = abs(exact - round(exact)), min(max(exact, Fraction(1)) / 10**9, Fraction(1, 100))
    assume(not Fraction(98, 100) * border < apart < Fraction(102, 100) * border)
    return apart < border


@given(floats, steps, roundings)
def test_a_float_lands_on_the_grid_as_exact_arithmetic_says(x: float, step: Decimal, rounding: Rounding) -> None:
    exact = Fraction(D(repr(x))) / Fraction(step)
    if near(exact):
        wanted = round(exact)
    else:
        wanted = floor(exact) if rounding is DOWN else ceil(exact)
    assert Fraction(quantise(D(repr(x)), step, rounding)) == wanted * Fraction(step)


@example(7286.671875, D("0.00001"), DOWN)  # half a step was "near" where there are many
@given(floats, steps, roundings)
def test_counting_steps_in_floats_gives_the_same(x: float, step: Decimal, rounding: Rounding) -> None:
    near(Fraction(D(repr(x))) / Fraction(step))
    assert str(measured(x, step, rounding)) == str(quantise(D(repr(x)), step, rounding))


@given(st.integers(1, 10**9), steps, roundings)
def test_every_grid_point_survives_the_float_and_back(count: int, step: Decimal, rounding: Rounding) -> None:
    point = count * step
    assert quantise(D(repr(float(point))), step, rounding) == point


@given(st.decimals(min_value=0, max_value=10**9, places=12), steps, roundings)
def test_money_is_put_on_the_grid_exactly(value: Decimal, step: Decimal, rounding: Rounding) -> None:
    exact = Fraction(value) / Fraction(step)
    wanted = floor(exact) if rounding is DOWN else ceil(exact)
    assert Fraction(on_grid(value, step, rounding)) == wanted * Fraction(step)


def test_money_just_below_a_grid_point_does_not_snap_up() -> None:
    """Five BTC on a grid of 1e-8: a relative tolerance would be half a lot, and the balance has not got it."""
    assert on_grid(D("5.123456789"), D("0.00000001"), DOWN) == D("5.12345678")
    assert on_grid(D("5.123456781"), D("0.00000001"), UP) == D("5.12345679")


@pytest.mark.parametrize(
    ("x", "rounding", "wanted"),
    [
        (0.1 + 0.2, UP, "0.30"),  # 0.30000000000000004 is 0.3, not 0.31
        (0.1 + 0.7, DOWN, "0.80"),  # 0.7999999999999999 is 0.8, not 0.79
        (60241.129, DOWN, "60241.12"),
        (60241.121, UP, "60241.13"),
        (60241.12, UP, "60241.12"),
    ],
)
def test_prices_snap_then_round(x: float, rounding: Rounding, wanted: str) -> None:
    assert str(instrument("binance").price(x, rounding)) == wanted


def test_quantities_round_down_unless_told() -> None:
    rules = instrument("binance")
    assert rules.quantity(0.0000199) == D("0.00001")
    assert rules.quantity(0.0000199, UP) == D("0.00002")
    assert rules.quantity(0.29999999999999998) == D("0.3")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E-7", "0.0000001"),
        ("1E+2", "100"),
        ("100", "100"),
        ("100.00", "100"),
        ("0.10", "0.1"),
        ("-0", "0"),
        ("-0.000", "0"),
        ("0E-8", "0"),
        ("-1.50", "-1.5"),
        ("1200", "1200"),
    ],
)
def test_plain_text(value: str, text: str) -> None:
    assert plain(D(value)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15))
def test_plain_text_is_the_same_number_without_exponent_or_needless_zeros(value: Decimal) -> None:
    text = plain(value)
    assert D(text) == value
    assert "E" not in text
    assert "." not in text or not text.endswith(("0", "."))


def test_sides_oppose() -> None:
    assert Side.BUY.opposite is Side.SELL
    assert Side.SELL.opposite is Side.BUY
