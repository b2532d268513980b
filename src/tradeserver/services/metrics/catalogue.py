"""Every metric there is, and what each kind of record does to them.

Counters begin at zero with each relay; Prometheus knows what to do with that. Gauges that the daemon alone knows come
as rows of its control socket (`app/gauges.py`) and are replaced as a whole, so that what is gone there is gone here.
Labels are bounded: a venue may invent codes without end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tradeserver.core import records as r

PREFIX: Final = "tradeserver"
STAGE_BUCKETS: Final = (
    10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip
MOST_WORDS: Final = 200
"""Different values of a free label; what is beyond is `other`."""

SHELL: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "venue_ready": ("Whether a venue is reconciled and may be traded.", ("venue",)),
    "link_up": ("Whether a channel of a venue is up.", ("venue", "channel")),
    "book_trusted": ("Whether a book may be traded on now.", ("venue", "symbol")),
    "book_age_seconds": ("Age of a book by the venue's own stamp.", ("venue", "symbol")),
    "exposure_low": ("The least that may be held of an asset beyond the plan.", ("asset",)),
    "exposure_high": ("The most that may be held of an asset beyond the plan.", ("asset",)),
    "exposure_quote": ("All exposure at mid, the end farther from zero.", ()),
    "dust_assets": ("Assets of which a residue is carried.", ()),
    "live_orders": ("Orders that have not ended.", ()),
    "unknown_orders": ("Orders of which nobody knows whether they live.", ()),
    "open_arbitrages": ("Arbitrages that have not closed.", ()),
    "trading_state": ("0 running, 1 no_new, 2 hedge_only, 3 halted: the whole desk.", ()),
    "trading_restriction": ("The same by scope and reason, while it lasts.", ("scope", "reason")),
    "rate_budget_used_ratio": ("Share of a venue's rate limit that is spent.", ("venue", "scope")),
    "wal_sequence": ("The last record written.", ()),
    "wal_unsynced_bytes": ("Of the write-ahead log, what a power cut would take now.", ()),
    "wal_failed": ("1 when the write-ahead log cannot be written.", ()),
    "journal_backlog_bytes": ("Of the journal, what waits for the disk.", ()),
    "journal_failed": ("1 when the journal has ended before its run.", ()),
    "guard_up": ("Whether the second kill switch answers.", ()),
    "kill_latch": ("1 while the kill latch is set.", ()),
    "inputs": ("Inputs processed since the run began.", ()),
}
"""Name, without the prefix -> help, labels: what the daemon answers to `gauges`."""


class Catalogue:
    """See the module. One registry of its own: nothing of the process is mixed in."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.newest = 0  # stamp of the last record, ns
        self._words: dict[str, set[str]] = {}
        self._high: dict[str, float] = {}  # the highest profit seen, by asset
        self._ticks = 0
        self._shell = {name: self._gauge(name, text, labels) for name, (text, labels) in SHELL.items()}
        self.up = self._gauge("up", "1 while the daemon's records are of now.")
        self.relay_lag = self._gauge("relay_lag_records", "Records that a sink does not have yet.", ("sink",))
        self.disk_free = self._gauge("disk_free_bytes", "Free in the state directory.")
        self._last = self._gauge("last_record_timestamp_seconds", "Stamp of the last record.")
        self._submitted = self._counter("orders_submitted", "Orders decided.", ("venue", "opening"))
        self._orders = self._counter("orders", "Orders that entered a state, and why.", ("venue", "state", "reason"))
        self._fills = self._counter("fills", "Fills booked.", ("venue", "symbol", "side"))
        self._turnover = self._counter("turnover_quote", "Quote traded.", ("venue", "asset"))
        self._opened = self._counter("arbitrages_opened", "Arbitrages begun.", ("strategy",))
        self._closed = self._counter("arbitrages", "Arbitrages ended.", ("strategy", "outcome"))
        self._one_sided = self._counter("one_sided", "Arbitrages of which only one leg had filled.", ("strategy",))
        self._hedges = self._counter("hedges", "Rungs of the hedge ladder taken.", ("venue",))
        self._held = self._counter("exposure_held", "Exposures that the ladder could not remove.", ("asset",))
        self._exposed = self._counter(
            "exposure_quote_seconds", "Exposure of closed arbitrages times the seconds that it stood.", ("strategy",)
        )
        self._seen = self._counter("opportunities", "Episodes above the watch threshold.", ("strategy", "taken"))
        self._refused = self._counter("refusals", "Refused decisions by the reason that decided.", ("reason",))
        self._alerts = self._counter("alerts", "Alerts raised.", ("severity", "code"))
        self._link_changes = self._counter("link_changes", "Channels that came or went.", ("venue", "channel", "up"))
        self._book_changes = self._counter("book_changes", "Books that changed trust.", ("venue", "symbol", "trust"))
        self._stages = Histogram(
            "stage_seconds", "How long a stage of an order took.", ("venue", "stage"), namespace=PREFIX,
            registry=self.registry, buckets=STAGE_BUCKETS,
        )  # fmt: skip
        self._late = self._gauge("tick_late_seconds", "The latest tick of the last second: the event loop's lag.")
        self._late_hist = Histogram(
            "loop_lag_seconds", "The latest tick of each second.", namespace=PREFIX, registry=self.registry,
            buckets=STAGE_BUCKETS,
        )  # fmt: skip
        self._ticked = self._counter("ticks", "Ticks of the loop.")
        self._realised = self._gauge("pnl_realised", "Realised profit.", ("asset",))
        self._unrealised = self._gauge("pnl_unrealised", "Unrealised profit at mid.", ("asset",))
        self._fees = self._gauge("fees_paid", "Commission paid.", ("asset",))
        self._drawdown = self._gauge("drawdown", "Below the highest profit that this relay has seen.", ("asset",))
        self._folds: dict[type[r.Record], Callable[[Any], None]] = {
            r.OrderSubmitted: lambda x: self._submitted.labels(x.venue, str(x.opening).lower()).inc(),
            r.OrderChanged: self._order_changed,
            r.OrderTimed: self._order_timed,
            r.FillBooked: self._fill_booked,
            r.ArbitrageOpened: lambda x: self._opened.labels(x.strategy).inc(),
            r.ArbitrageClosed: self._arbitrage_closed,
            r.HedgeDecided: lambda x: self._hedges.labels(x.venue).inc(),
            r.ExposureHeld: lambda x: self._held.labels(x.asset).inc(),
            r.OpportunityClosed: self._opportunity_closed,
            r.PnlMarked: self._pnl_marked,
            r.LinkChanged: lambda x: self._link_changes.labels(x.venue, x.channel, str(x.up).lower()).inc(),
            r.BookChanged: lambda x: self._book_changes.labels(x.venue, x.symbol, x.trust).inc(),
            r.Alert: lambda x: self._alerts.labels(x.severity.value, self._bounded("code", x.code)).inc(),
            r.Vitals: self._vitals,
        }

    def observe(self, record: r.Record) -> None:
        """One record."""
        self.newest = record.ts
        fold = self._folds.get(type(record))
        if fold is not None:
            fold(record)

    def shell(self, rows: Iterable[tuple[str, dict[str, str], float]]) -> None:
        """The daemon's own numbers, in place of the last ones; unknown names are a newer daemon's."""
        for name, gauge in self._shell.items():
            if SHELL[name][1]:
                gauge.clear()
        for name, labels, value in rows:
            if name in self._shell and set(labels) == set(SHELL[name][1]):
                gauge = self._shell[name]
                (gauge.labels(**labels) if labels else gauge).set(value)

    # ---- records ---------------------------------------------------------------------------------------------------

    def _order_changed(self, x: r.OrderChanged) -> None:
        reason = self._bounded("reason", x.code or x.reason)
        self._orders.labels(x.venue, x.state.value, reason).inc()

    def _order_timed(self, x: r.OrderTimed) -> None:
        for stage, took in x.stages_ns.items():
            self._stages.labels(x.venue, stage).observe(max(0, took) / 1e9)

    def _fill_booked(self, x: r.FillBooked) -> None:
        self._fills.labels(x.venue, x.symbol, x.side.value).inc()
        self._turnover.labels(x.venue, x.symbol.partition("/")[2]).inc(float(x.price * x.quantity))

    def _arbitrage_closed(self, x: r.ArbitrageClosed) -> None:
        self._closed.labels(x.strategy, x.outcome.value).inc()
        self._one_sided.labels(x.strategy).inc(int(x.one_sided))
        self._exposed.labels(x.strategy).inc(max(0.0, x.exposure_quote_s))

    def _opportunity_closed(self, x: r.OpportunityClosed) -> None:
        self._seen.labels(x.strategy, str(x.taken).lower()).inc()
        for decision in x.decisions:
            if not decision.taken and decision.reasons:
                self._refused.labels(self._bounded("reason", decision.reasons[0])).inc(decision.count)

    def _pnl_marked(self, x: r.PnlMarked) -> None:
        for gauge, amounts in ((self._realised, x.realised), (self._unrealised, x.unrealised), (self._fees, x.fees)):
            for asset, amount in amounts.items():
                gauge.labels(asset).set(float(amount))
        for asset in x.realised.keys() | x.unrealised.keys():
            profit = float(x.realised.get(asset, 0) + x.unrealised.get(asset, 0))
            self._high[asset] = max(self._high.get(asset, profit), profit)
            self._drawdown.labels(asset).set(self._high[asset] - profit)

    def _vitals(self, x: r.Vitals) -> None:
        late = max(0.0, x.gauges.get("tick_late_ms", 0.0)) / 1e3
        self._late.set(late)
        self._late_hist.observe(late)
        ticks = x.counters.get("ticks", 0)
        self._ticked.inc(ticks - self._ticks if ticks >= self._ticks else ticks)
        self._ticks = ticks
        self._last.set(x.ts / 1e9)

    # ---- plumbing --------------------------------------------------------------------------------------------------

    def _bounded(self, label: str, text: str) -> str:
        """A free text as one of a bounded number of short words."""
        word = re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:40].strip("_") or "none"
        known = self._words.setdefault(label, set())
        if word not in known:
            if len(known) >= MOST_WORDS:
                return "other"
            known.add(word)
        return word

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, text, labels, namespace=PREFIX, registry=self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, namespace=PREFIX, registry=self.registry)
