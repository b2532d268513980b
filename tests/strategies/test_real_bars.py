"""Daily bars of two real markets through the whole house equal a naive polars loop, trade for trade."""

from __future__ import annotations

import gzip
import io
import sys
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from market_kit import House
from tradeserver.strategies.mean_reversion import MeanReversion, MeanReversionParams

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
sys.path.insert(0, str(EXAMPLES))
from moving_average_cross import MovingAverageCross, MovingAverageCrossParams  # noqa: E402

D = Decimal
DAY_NS = 86_400 * 10**9
HALF_SPREAD, FEE = 0.0005, 0.001
VENUE = "binance"

Trade = tuple[int, str, Decimal, Decimal]
"""(day's stamp in ns, side, quantity, price)."""


def bars(shared_data: Path, base: str) -> pl.DataFrame:
    """Oldest first: `ts` (ns of the day's end) and `close`. The stamps are seconds, milliseconds or microseconds."""
    text = gzip.decompress((shared_data / "recordings" / f"klines_1d_binance_{base}USDT.csv.gz").read_bytes())
    table = pl.read_csv(io.BytesIO(text), skip_rows=1, infer_schema_length=None)
    stamp = pl.col("Unix").cast(pl.Int64)
    ns = pl.when(stamp > 10**14).then(stamp * 1_000).when(stamp > 10**11).then(stamp * 10**6).otherwise(stamp * 10**9)
    return (
        table.select(ts=ns + DAY_NS, close=pl.col("Close").cast(pl.Float64))
        .sort("ts")
        .unique("ts", keep="first", maintain_order=True)
    )


def play(strategy: Any, table: pl.DataFrame, symbol: str) -> list[Trade]:
    made = House([strategy], [VENUE], [symbol], {"USDT": D(10**6)}, fee=str(FEE))
    for ts, close in table.iter_rows():
        made.advance((ts - made.ts) / 1e9 if ts > made.ts else 0.0)
        made.ts = ts
        made.quote(VENUE, symbol, close * (1.0 - HALF_SPREAD), close * (1.0 + HALF_SPREAD), 1e9)
    return [(f.ts, f.side.value, f.quantity, f.price) for f in made.fills]


def grid(x: float) -> Decimal:
    """Down to eight decimals, as the instrument of the test wants it; a float's last digit does not count."""
    return D(repr(round(x, 12))).quantize(D("1e-8"), ROUND_FLOOR)


def reversion_trades(table: pl.DataFrame, window: int, entry: float, out: float, stop: float, days: int) -> list[Trade]:
    close = pl.col("close")
    table = table.with_columns(mean=close.rolling_mean(window), sd=close.rolling_std(window))
    found: list[Trade] = []
    held, cost, since, blocked = D(0), 0.0, 0, False
    for ts, x, mean, sd in table.iter_rows():
        if mean is None:
            continue
        z = (x - mean) / sd
        blocked = blocked and abs(z) > out
        if held:
            stopped = (1.0 - x / cost) * 1e4 >= stop or ts - since >= days * DAY_NS
            if z >= -out or stopped:
                blocked = z < -out
                found.append((ts, "sell", held, grid(x * (1.0 - HALF_SPREAD))))
                held = D(0)
        elif z <= -entry and not blocked and (abs(mean / x - 1.0) - 2 * FEE - 2 * HALF_SPREAD) >= 0.0:
            held, price = grid(1_000.0 / x), grid(x * (1.0 + HALF_SPREAD))
            found.append((ts, "buy", held, price))
            cost, since = float(price) * (1.0 + FEE), ts
    return found


def cross_trades(table: pl.DataFrame, fast: int, slow: int) -> list[Trade]:
    close = pl.col("close")
    table = table.with_columns(fast=close.rolling_mean(fast), slow=close.rolling_mean(slow))
    found: list[Trade] = []
    held = D(0)
    for ts, x, quick, lazy in table.iter_rows():
        if lazy is None or (quick > lazy) is bool(held):
            continue
        if held:
            found.append((ts, "sell", held, grid(x * (1.0 - HALF_SPREAD))))
            held = D(0)
        else:
            held = grid(1_000.0 / x)
            found.append((ts, "buy", held, grid(x * (1.0 + HALF_SPREAD))))
    return found


def same(found: list[Trade], wanted: list[Trade]) -> None:
    assert [(ts, side) for ts, side, *_ in found] == [(ts, side) for ts, side, *_ in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert abs(one[2] - other[2]) <= D("1e-8")
        assert abs(one[3] - other[3]) <= D("1e-8")


@pytest.mark.parametrize("base", ["XRP", "BTC"])
def test_mean_reversion_on_daily_bars(shared_data: Path, base: str) -> None:
    table = bars(shared_data, base)
    params = MeanReversionParams(
        sample_s=86_400.0,
        window=20,
        entry_z=1.5,
        exit_z=0.25,
        notional=1_000.0,
        min_edge_bps=0.0,
        reversion_window=0,
        stop_bps=1_500.0,
        max_hold_s=15 * 86_400.0,
    )
    found = play(MeanReversion(params, [f"{base}/USDT"], [VENUE]), table, f"{base}/USDT")
    wanted = reversion_trades(table, 20, 1.5, 0.25, 1_500.0, 15)
    assert len(wanted) > 60
    same(found, wanted)


@pytest.mark.parametrize("base", ["XRP", "BTC"])
def test_the_example_moving_average_cross_on_daily_bars(shared_data: Path, base: str) -> None:
    table = bars(shared_data, base)
    params = MovingAverageCrossParams(symbol=f"{base}/USDT", notional=1_000.0)
    found = play(MovingAverageCross(params, [f"{base}/USDT"], [VENUE]), table, f"{base}/USDT")
    wanted = cross_trades(table, 10, 30)
    assert len(wanted) > 60
    same(found, wanted)
