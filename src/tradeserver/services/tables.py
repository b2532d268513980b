"""The tables of the database: one schema for SQLite and PostgreSQL.

Money is text in plain notation (SQLite has no exact numbers; the reader gets `Decimal`), times are integers in
nanoseconds. Every row says at which sequence of the write-ahead log it was last touched.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

from tradeserver.core.types import plain

SCHEMA_VERSION: Final = 2
"""Another number in the database means: drop and rebuild."""


class Money(TypeDecorator[Decimal]):
    """A Decimal as plain text, exact."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Into the database."""
        return None if value is None else plain(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Out of the database."""
        return None if value is None else Decimal(value)


metadata = MetaData()


def _table(name: str, *columns: Column[Any] | Index) -> Table:
    return Table(name, metadata, Column("sequence", BigInteger, nullable=False, index=True), *columns)


def _key(name: str, kind: Any = String) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _is(name: str, kind: Any, **options: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **options)


meta = Table("meta", metadata, _key("name"), _is("value", BigInteger))

runs = _table(
    "runs",
    _key("run"),
    _is("instance", String),
    _is("mode", String),
    _is("commit", String),
    _is("started_ns", BigInteger),
    Column("stopped_ns", BigInteger),
    _is("reason", String, default=""),
)

orders = _table(
    "orders",
    _key("client_id"),
    _is("venue", String),
    _is("symbol", String),
    _is("arbitrage", BigInteger, index=True),
    _is("leg", Integer),
    _is("attempt", Integer),
    _is("side", String),
    _is("quantity", Money),
    _is("price", Money),
    _is("time_in_force", String),
    _is("opening", Boolean),
    _is("state", String, index=True),
    _is("executed", Money),
    _is("venue_order_id", String),
    _is("code", String),
    _is("reason", String),
    _is("submitted_ns", BigInteger, index=True),
    _is("changed_ns", BigInteger),
    _is("stages_ns", JSON),
)

fills = _table(
    "fills",
    _key("venue"),
    _key("symbol"),
    _key("trade_id"),
    _is("client_id", String, index=True),
    _is("arbitrage", BigInteger, index=True),
    _is("leg", Integer),
    _is("side", String),
    _is("venue_order_id", String),
    _is("price", Money),
    _is("quantity", Money),
    _is("commission", Money),
    _is("commission_asset", String),
    _is("commission_expected", Boolean),
    _is("maker", Boolean),
    _is("ts_ns", BigInteger, index=True),
    _is("venue_ts_ns", BigInteger),
    # What the ledger booked first, and where it was corrected: P&L is folded again in the ledger's own order.
    _is("booked_commission", Money),
    _is("booked_asset", String),
    _is("corrected_sequence", BigInteger),
)

arbitrages = _table(
    "arbitrages",
    _key("arbitrage", BigInteger),
    _is("strategy", String),
    _is("opportunity", BigInteger, index=True),
    _is("base", String),
    _is("quote", String),
    _is("legs", JSON),
    _is("gross_bps", Float),
    _is("net_bps", Float),
    _is("expected_edge", Money),
    _is("opened_ns", BigInteger, index=True),
    _is("state", String, index=True),  # "open", then the outcome
    _is("one_sided", Boolean),
    _is("quantity", Money),
    Column("realised_edge", Money),
    _is("bridge", JSON),
    Column("residual_base", Money),
    _is("hedges", Integer),
    Column("duration_ns", BigInteger),
    Column("exposure_quote_s", Float),
)

opportunities = _table(
    "opportunities",
    _key("opportunity", BigInteger),
    _is("strategy", String),
    _is("symbol", String),
    _is("buy_venue", String),
    _is("sell_venue", String),
    _is("opened_ns", BigInteger, index=True),
    _is("state", String),  # "open", "closed"
    Column("duration_ns", BigInteger),
    _is("peak_gross_bps", Float),
    _is("peak_net_bps", Float),
    _is("peak_quantity", Float),
    Column("buy_age_ns", BigInteger),
    Column("sell_age_ns", BigInteger),
    _is("taken", Boolean),
    _is("reason", String),  # the first refusal's deciding reason where nothing was taken, else ""
)

decisions = _table(
    "decisions",
    _key("opportunity", BigInteger),
    _key("number", Integer),
    _is("ts_ns", BigInteger, index=True),
    _is("taken", Boolean),
    _is("arbitrage", BigInteger),
    _is("reason", String, index=True),  # the one that decided; "" where taken
    _is("reasons", JSON),
    _is("gross_bps", Float),
    _is("net_bps", Float),
    _is("quantity", Float),
    _is("count", Integer),
)

balances = _table(
    "balances",
    _key("venue"),
    _key("asset"),
    _is("total", Money),
    _is("ts_ns", BigInteger),
)

pnl_marks = _table(
    "pnl_marks",
    _key("ts_ns", BigInteger),
    _is("realised", JSON),
    _is("unrealised", JSON),
    _is("fees", JSON),
)

states = _table(
    "states",
    _key("scope"),
    _key("reason"),
    _is("state", String),
    _is("until_ns", BigInteger),
    _is("by", String),
    _is("ts_ns", BigInteger),
)

kills = _table(
    "kills",
    _key("began_ns", BigInteger),
    _key("scope"),
    _is("ts_ns", BigInteger),
    _is("by", String),
    _is("prover", String),
    _is("proven", Boolean),
    _is("found", Integer),
    _is("cancelled", Integer),
    _is("gone", Integer),
    _is("elapsed_ms", BigInteger),
    _is("venues", JSON),
    _is("exposure", JSON),
    _is("note", Text),
)

alerts = Table(
    "alerts",
    metadata,
    _key("sequence", BigInteger),
    _is("ts_ns", BigInteger),
    _is("severity", String),
    _is("code", String),
    _is("text", Text),
)
