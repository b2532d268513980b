"""Is this a market to open in? Jumps, spreads, volatility, doubtful data, a broken peg; and how large may orders be.

Sampled once a second; what a decision needs lies ready: the mids between which a price is no jump, and the share of
its size that a symbol may have. A decision looks at the present top itself, so that a crash between two samples is
seen by the first order that it would have hurt. What trips pauses the symbol (`breakers.market_pause_s`) and is told; a
peg that breaks stops opening everywhere until a person has looked. Samples do not outlive a restart, the pauses do.

Volatility is the exponentially weighted one of a mid's returns from second to second, scaled to a minute.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.desk import Desk
from tradeserver.core.events import Trust
from tradeserver.core.market import SymbolMarket
from tradeserver.core.records import Severity, StateChanged, TradingState
from tradeserver.core.risk import Reason
from tradeserver.core.types import Key
from tradeserver.core.valuation import STABLE

DECAY: Final = 0.5 ** (1 / 30)  # of a squared return: half its weight after 30 s
QUALITY_S: Final = 60
LEAST_SHARE: Final = Decimal("0.1")
WHOLE: Final = Decimal(1)
JUMP: Final = "price-jump"
SPREAD: Final = "spread"
VOLATILITY: Final = "volatility"
QUALITY: Final = "data-quality"
DEPEG: Final = "depeg"


class Watched:
    """One book's last minute."""

    __slots__ = ("bad", "begun", "doubtful", "high", "low", "market", "mids", "variance")

    def __init__(self, market: SymbolMarket, window_s: int) -> None:
        self.market = market
        self.mids: deque[float] = deque(maxlen=window_s)
        self.low, self.high = 0.0, math.inf  # mids outside are a jump
        self.variance = 0.0  # of a second's return
        self.begun = False
        self.doubtful: deque[bool] = deque(maxlen=QUALITY_S)
        self.bad = 0

    @property
    def volatility_bps(self) -> float:
        """Of a minute."""
        return math.sqrt(self.variance * 60.0) * 1e4

    def take(self, mid: float, move: float) -> None:
        if self.mids:
            change = math.log(mid / self.mids[-1])
            self.variance = DECAY * self.variance + (1.0 - DECAY) * change * change
        self.mids.append(mid)
        self.low, self.high = max(self.mids) * (1.0 - move), min(self.mids) * (1.0 + move)

    def note(self, doubtful: bool) -> None:
        if len(self.doubtful) == QUALITY_S:
            self.bad -= self.doubtful[0]
        self.doubtful.append(doubtful)
        self.bad += doubtful


class Conditions:
    """See the module. `shares`: symbol -> share of its size; a symbol that is not in it has its whole size."""

    def __init__(self, desk: Desk, limits: BreakerLimits) -> None:
        self._desk = desk
        self._limits = limits
        self._move = limits.max_move_bps / 1e4 if limits.max_move_bps else math.inf
        self._spread = limits.max_spread_bps / 1e4 if limits.max_spread_bps else math.inf
        self._pause_ns = limits.market_pause_s * 1_000_000_000
        self.watched: dict[Key, Watched] = {
            key: Watched(market, limits.move_window_s) for key, market in desk.market.symbols.items()
        }
        self.shares: dict[str, Decimal] = {}

    # ---- at a decision ---------------------------------------------------------------------------------------------

    def refusal(self, symbol: str, venues: Iterable[str]) -> str:
        """Why nothing may be opened there on the present tops, or ""; what trips also pauses the symbol."""
        for venue in venues:
            watched = self.watched[venue, symbol]
            market = watched.market
            bid, ask = market.bid, market.ask
            mid = (bid + ask) / 2
            if not watched.low <= mid <= watched.high:
                self._jumped(watched, mid)
                return f"{Reason.PRICE_JUMP} {venue}"
            if ask - bid > mid * self._spread:
                self._wide(watched)
                return f"{Reason.SPREAD} {venue}"
        return ""

    # ---- once a second ---------------------------------------------------------------------------------------------

    def sample(self) -> None:
        """Look at every book."""
        worst: dict[str, float] = {}
        ts = self._desk.ts
        for (_, symbol), watched in self.watched.items():
            market = watched.market
            doubtful = bool(market.untradable(ts))
            watched.begun = watched.begun or market.trust is Trust.SYNCED
            if not watched.begun:
                continue
            watched.note(doubtful)
            if doubtful:
                self._judge_data(watched)
                continue
            mid = market.mid
            if not watched.low <= mid <= watched.high:
                self._jumped(watched, mid)
            if market.ask - market.bid > mid * self._spread:
                self._wide(watched)
            watched.take(mid, self._move)
            worst[symbol] = max(worst.get(symbol, 0.0), watched.volatility_bps)
            self._judge_peg(symbol, mid)
        self.shares.clear()
        for symbol, volatility in worst.items():
            self._judge_volatility(symbol, volatility)

    def _judge_volatility(self, symbol: str, volatility: float) -> None:
        limits = self._limits
        if limits.volatility_target_bps and volatility > limits.volatility_target_bps:
            share = round(Decimal(repr(limits.volatility_target_bps / volatility)), 2)
            self.shares[symbol] = max(share, LEAST_SHARE)
        if limits.max_volatility_bps and volatility > limits.max_volatility_bps:
            self._pause(symbol, VOLATILITY, f"its volatility is {volatility:.0f} bps a minute")

    def _judge_data(self, watched: Watched) -> None:
        share = self._limits.max_doubtful_pct
        if share and watched.bad * 100.0 > share * QUALITY_S:
            venue, symbol = watched.market.key
            self._pause(symbol, QUALITY, f"{venue}'s book could not be trusted for {watched.bad} of {QUALITY_S} s")

    def _judge_peg(self, symbol: str, mid: float) -> None:
        base, _, quote = symbol.partition("/")
        off = abs(mid - 1.0) * 1e4
        if not self._limits.depeg_bps or base not in STABLE or quote not in STABLE or off <= self._limits.depeg_bps:
            return
        desk = self._desk
        if desk.states.has("global", DEPEG):
            return
        desk.keep(StateChanged(ts=desk.ts, scope="global", state=TradingState.NO_NEW, reason=DEPEG, until=0, by="risk"))
        desk.alert(
            Severity.CRITICAL,
            "DEPEG",
            f"{symbol} stands {off:.0f} bps from parity: nothing new is opened. When it is over: clear {DEPEG}.",
        )

    # ---- what trips ------------------------------------------------------------------------------------------------

    def _jumped(self, watched: Watched, mid: float) -> None:
        venue, symbol = watched.market.key
        self._pause(symbol, JUMP, f"{venue}'s mid {mid:g} left {watched.low:g} to {watched.high:g} within seconds")

    def _wide(self, watched: Watched) -> None:
        market = watched.market
        venue, symbol = market.key
        self._pause(symbol, SPREAD, f"{venue} bids {market.bid:g} and asks {market.ask:g}")

    def _pause(self, symbol: str, reason: str, why: str) -> None:
        """Pause the symbol; one that is paused for this already is prolonged, silently, in its second half."""
        desk = self._desk
        scope = f"symbol:{symbol}"
        until = desk.ts + self._pause_ns
        known = desk.states.until(scope, reason)
        if known and 2 * (known - desk.ts) > self._pause_ns:
            return
        desk.keep(
            StateChanged(ts=desk.ts, scope=scope, state=TradingState.NO_NEW, reason=reason, until=until, by="risk")
        )
        if not known:
            desk.alert(Severity.WARNING, "MARKET_PAUSED", f"Nothing new in {symbol} for a while: {why}.")
