"""The fits: recovered within their stated errors on pairs that are known; the test's size; a second implementation."""

from __future__ import annotations

import asyncio
import io
from math import sqrt

import msgspec
import numpy as np
import pytest

from tradeserver.app.wiring import make_engine, make_sessions
from tradeserver.config import parse
from tradeserver.core.commands import FITS, Fit
from tradeserver.fits.compute import answer, cointegration
from tradeserver.fits.worker import frame, reply, serve
from tradeserver.runtime.fits import FitsWorker
from tradeserver.sessions.base import Source
from tradeserver.sessions.fits import FitsSession
from tradeserver.sessions.wire import NullTransport


def pair(dice: np.random.Generator, n: int, slope: float, half_life: float) -> tuple[np.ndarray, np.ndarray]:
    """x walks; y = 0.3 + slope * x + an Ornstein-Uhlenbeck spread of stationary deviation 0.01."""
    phi = 0.5 ** (1.0 / half_life)
    x = 10.0 + dice.normal(0.0, 0.002, n).cumsum()
    noise = dice.normal(0.0, 0.01 * sqrt(1.0 - phi * phi), n)
    spread = np.zeros(n)
    spread[0] = dice.normal(0.0, 0.01)
    for t in range(1, n):
        spread[t] = phi * spread[t - 1] + noise[t]
    return 0.3 + slope * x + spread, x


def test_hedge_ratio_and_half_life_within_the_stated_error() -> None:
    """60 pairs, true slope 0.8, true half-life 10. Each estimate less the truth, over its stated error, is about normal
    with variance 1; the half-life's own bias, downward, is that of phi: -(1 + 3 phi) / n, and the line's share."""
    dice = np.random.default_rng(21)
    n, slope, half_life = 1_500, 0.8, 10.0
    slopes, lives = [], []
    for _ in range(60):
        y, x = pair(dice, n, slope, half_life)
        found = cointegration(list(y), list(x))
        slopes.append((found["slope"] - slope) / found["slope_error"])
        lives.append((found["half_life"] - half_life) / found["half_life_error"])
        assert found["p_value"] < 0.01
    assert max(map(abs, slopes)) < 4.0
    assert abs(float(np.mean(slopes))) < 3.0 / sqrt(60)
    assert 0.7 < float(np.std(slopes)) < 1.4
    assert max(map(abs, lives)) < 4.0
    assert 0.6 < float(np.std(lives)) < 1.4
    phi = 0.5**0.1
    bias = (1.0 + 3.0 * phi) / n / sqrt((1.0 - phi * phi) / n)  # of phi, in its own errors: 0.27
    assert -3.0 / sqrt(60) - 4.0 * bias < float(np.mean(lives)) < 3.0 / sqrt(60)


def engle_granger(y: np.ndarray, x: np.ndarray, lags: int) -> float:
    """The statistic, written out: residuals of y on x, then d e[t] on e[t-1] and `lags` lagged differences."""
    design = np.column_stack([x, np.ones(len(x))])
    e = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    d = np.diff(e)
    columns = [e[lags:-1], *(d[lags - k : len(d) - k] for k in range(1, lags + 1))]
    regressors, left = np.column_stack(columns), d[lags:]
    coefficients = np.linalg.lstsq(regressors, left, rcond=None)[0]
    residual = left - regressors @ coefficients
    variance = residual @ residual / (len(left) - len(coefficients))
    return float(coefficients[0] / sqrt(variance * np.linalg.inv(regressors.T @ regressors)[0, 0]))


def critical(n: int) -> float:
    """MacKinnon (2010), table 2, two variables with a constant, 5 %."""
    return -3.33613 - 6.1101 / n - 6.823 / n**2


def test_the_gate_has_its_nominal_size_and_the_referee_agrees() -> None:
    """300 pairs of independent walks: 5 % within three standard errors pass the test at 5 %. The referee's statistic is
    the worker's; their verdicts at 5 % agree in nearly all: p-values and critical values are two fits."""
    dice = np.random.default_rng(22)
    trials, n, passed, agreed = 300, 200, 0, 0
    for _ in range(trials):
        y, x = dice.normal(size=(2, n)).cumsum(axis=1)
        found = cointegration(list(y), list(x))
        referee = engle_granger(y, x, 1)
        assert referee == pytest.approx(found["statistic"], rel=1e-9)
        passed += found["p_value"] < 0.05
        agreed += (referee < critical(n)) == (found["p_value"] < 0.05)
    assert abs(passed / trials - 0.05) < 3.0 * sqrt(0.05 * 0.95 / trials)
    assert agreed >= trials - 2


@pytest.mark.parametrize(
    "series",
    [
        ((), ()),
        ((1.0,) * 40, (2.0,) * 40),
        (tuple(map(float, range(40))), tuple(map(float, range(39)))),
        (tuple(map(float, range(40))), tuple(map(float, range(40)))),
    ],
)
def test_what_cannot_be_answered_is_empty(series: tuple[tuple[float, ...], ...]) -> None:
    assert answer("stat_arb cointegration", series) == {}
    assert answer("stat_arb something else", series) == {}


def test_a_half_life_of_no_return_is_none() -> None:
    t = np.arange(200.0)
    found = cointegration(
        list(np.where(t % 2 == 0, 1.0, -1.0) + 0.001 * t), list(np.random.default_rng(1).normal(size=200).cumsum())
    )
    assert found["phi"] < 0.0
    assert found["half_life"] == found["half_life_error"] == 0.0


def test_the_house_has_a_place_for_the_worker_where_somebody_asks() -> None:
    text = """
        mode = "paper"
        symbols = ["BTC/USDT", "ETH/USDT"]
        [instance]
        name = "t"
        tag = "t1"
        [venues.binance]
        [[strategies]]
        name = "%s"
    """
    for name, wanted in (("stat_arb", [FITS]), ("mean_reversion", [])):
        config = parse(text % name)
        engine = make_engine(config, "paper", 1)
        made = make_sessions(config, "paper", {}, engine, NullTransport)
        assert [session.venue for session in made] == ["binance", *wanted]


# ---- the process -----------------------------------------------------------------------------------------------------


class Fed:
    """A feeder that keeps what it is given."""

    def __init__(self) -> None:
        self.inputs: list[tuple[Source, bytes]] = []

    def add(self, source: Source) -> None:
        source.id = 7

    def feed(self, source: Source, data: bytes) -> None:
        self.inputs.append((source, data))

    def answers(self) -> list[tuple[str, dict[str, float], int]]:
        events = [event for source, data in self.inputs for event in source.decode(data, 99)]
        return [(event.name, event.values, event.ts) for event in events]  # type: ignore[attr-defined]


def series(seed: int = 23) -> tuple[tuple[float, ...], ...]:
    y, x = pair(np.random.default_rng(seed), 300, 0.8, 10.0)
    return tuple(map(float, y)), tuple(map(float, x))


def test_the_worker_speaks_in_frames_and_survives_a_question_that_raises() -> None:
    questions = [(1, "a cointegration", series()), (2, "a cointegration", ((1.0,) * 40,)), (3, "b nothing", ())]
    sink = io.BytesIO()
    serve(io.BytesIO(b"".join(map(frame, questions))), sink)
    data, found = sink.getvalue(), []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(reply(data[4 : 4 + size]))
        data = data[4 + size :]
    assert found == [(1, cointegration(*series())), (2, {}), (3, {})]


@pytest.mark.system
@pytest.mark.timeout(400)
def test_the_worker_answers_what_the_function_does_and_comes_back_when_killed() -> None:
    async def conversation() -> list[tuple[bool, str]]:
        told: list[tuple[bool, str]] = []
        fed, session = Fed(), FitsSession()
        session.bind(fed)
        worker = FitsWorker(session.answered, lambda up, text: told.append((up, text)), lambda: 0.5)
        session.ask = worker.ask
        question = Fit(venue=FITS, name="pairs cointegration", series=series())
        assert session.perform(question, 1) == (msgspec.msgpack.encode(question), "")
        assert fed.answers() == [("pairs cointegration", {}, 99)]  # nobody there yet
        session.perform(question, 1, send=False)
        assert len(fed.inputs) == 1  # a replay asks nobody
        task = asyncio.create_task(worker.run())

        async def until(count: int) -> None:
            async with asyncio.timeout(150):
                while len(fed.inputs) < count:
                    await asyncio.sleep(0.01)

        try:
            while not told:
                await asyncio.sleep(0.01)
            session.perform(question, 1)
            await until(2)
            assert fed.answers()[1][1] == pytest.approx(cointegration(*series()), rel=1e-12)
            assert worker._process is not None
            session.perform(question, 1)
            worker._process.kill()
            await until(3)
            while not told[-1][0] or len(told) < 3:
                await asyncio.sleep(0.01)
            session.perform(question, 1)
            await until(4)
            assert fed.answers()[3][1]["half_life"] > 0.0
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return told

    told = asyncio.run(asyncio.wait_for(conversation(), 350))
    assert [up for up, _ in told][:3] == [True, False, True]
