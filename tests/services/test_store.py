"""The database: a projection that counts each record once, adds up like the ledger, and can be dropped."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine

from shell_kit import checkpoint
from tradeserver.cli.operate import rebuild
from tradeserver.core.ledger import Ledger
from tradeserver.core.records import (
    Alert,
    ArbitrageClosed,
    ArbitrageOpened,
    BalanceBooked,
    CommissionCorrected,
    Decision,
    FillBooked,
    KillReported,
    OpportunityClosed,
    OpportunityOpened,
    OrderChanged,
    OrderState,
    OrderSubmitted,
    OrderTimed,
    Outcome,
    PnlMarked,
    Record,
    RunStarted,
    RunStopped,
    Severity,
    StateChanged,
    TradingState,
    VenueProof,
)
from tradeserver.core.types import Side
from tradeserver.runtime.wal import FileWal, WalSettings, encode_record
from tradeserver.runtime.wal_read import read as read_log
from tradeserver.services import layout, queries
from tradeserver.services import store as store_module
from tradeserver.services import tables as t
from tradeserver.services.faults import NotFoundError
from tradeserver.services.store import Store, StoreError, connect, read

D = Decimal
DAY_NS = 86_400_000_000_000


def fill(ts: int, venue: str, side: Side, price: str, quantity: str, fee: str, asset: str, **more: Any) -> FillBooked:
    given = {
        "symbol": "BTC/USDT",
        "client_id": "c1",
        "arbitrage": 1,
        "leg": 0,
        "trade_id": f"{venue}{ts}",
        "venue_order_id": "",
        "commission_expected": False,
        "maker": False,
        "venue_ts": ts,
    }
    return FillBooked(
        ts=ts,
        venue=venue,
        side=side,
        price=D(price),
        quantity=D(quantity),
        commission=D(fee),
        commission_asset=asset,
        **{**given, **more},
    )


def story() -> list[Record]:
    """One arbitrage by hand: bought 0.2 at 100 with 0.0002 BTC fee, sold 0.1998 at 101 with 0.02018 USDT fee."""
    order = OrderSubmitted(
        ts=DAY_NS,
        venue="binance",
        symbol="BTC/USDT",
        client_id="c1",
        arbitrage=1,
        leg=0,
        attempt=0,
        side=Side.BUY,
        quantity=D("0.2"),
        price=D("100.5"),
        time_in_force="IOC",
        opening=True,
        reserve_asset="USDT",
        reserve=D("20.1"),
    )
    changed = OrderChanged(
        ts=DAY_NS + 2,
        venue="binance",
        symbol="BTC/USDT",
        client_id="c1",
        arbitrage=1,
        leg=0,
        state=OrderState.FILLED,
        executed=D("2E-1"),
        venue_order_id="77",
    )
    decisions = (
        Decision(
            ts=1,
            taken=False,
            arbitrage=0,
            reasons=("BOOK_STALE", "MAX_POSITION"),
            gross_bps=9.0,
            net_bps=1.0,
            quantity=0.2,
            count=3,
        ),
        Decision(ts=2, taken=True, arbitrage=1, reasons=(), gross_bps=99.0, net_bps=79.0, quantity=0.2),
    )
    refused = (
        Decision(
            ts=3, taken=False, arbitrage=0, reasons=("BOOK_STALE",), gross_bps=3.0, net_bps=-1.0, quantity=0.1, count=2
        ),
    )
    episode = {"strategy": "cross_arb", "symbol": "BTC/USDT", "buy_venue": "binance", "sell_venue": "kucoin"}
    peak = {"peak_gross_bps": 99.0, "peak_net_bps": 79.0, "peak_quantity": 0.2, "buy_age_ns": 5, "sell_age_ns": 6}
    return [
        RunStarted(ts=1, run="r", instance="i", mode="paper", commit="abc", config_sha256="", venues=(), symbols=()),
        BalanceBooked(ts=1, venue="binance", asset="USDT", total=D(1000), previous=D(0), reason="opening"),
        BalanceBooked(ts=1, venue="kucoin", asset="BTC", total=D(1), previous=D(0), reason="opening"),
        OpportunityOpened(ts=1, opportunity=1, **episode, gross_bps=9.0, net_bps=1.0),
        ArbitrageOpened(
            ts=2,
            arbitrage=1,
            strategy="cross_arb",
            opportunity=1,
            base="BTC",
            quote="USDT",
            legs=(),
            gross_bps=99.0,
            net_bps=79.0,
            expected_edge=D("0.16"),
            on_exhausted="unwind",
        ),
        order,
        OrderTimed(
            ts=DAY_NS + 1,
            venue="binance",
            symbol="BTC/USDT",
            client_id="c1",
            arbitrage=1,
            stages_ns={"frame_to_decided": 20_000},
        ),
        OrderTimed(
            ts=DAY_NS + 1,
            venue="binance",
            symbol="BTC/USDT",
            client_id="c1",
            arbitrage=1,
            stages_ns={"sent_to_ack": 3_000_000},
        ),
        changed,
        fill(DAY_NS, "binance", Side.BUY, "100", "0.2", "0.0002", "BTC"),
        fill(2 * DAY_NS, "kucoin", Side.SELL, "101", "0.1998", "0.02", "USDT", commission_expected=True, leg=1),
        CommissionCorrected(
            ts=2 * DAY_NS + 1,
            venue="kucoin",
            symbol="BTC/USDT",
            client_id="c1",
            trade_id=f"kucoin{2 * DAY_NS}",
            commission=D("0.02018"),
            commission_asset="USDT",
        ),
        ArbitrageClosed(
            ts=9,
            arbitrage=1,
            strategy="cross_arb",
            base="BTC",
            quote="USDT",
            outcome=Outcome.COMPLETED,
            one_sided=False,
            quantity=D("0.1998"),
            expected_edge=D("0.16"),
            realised_edge=D("0.15962"),
            bridge={"fees": D("-0.00038")},
            residual_base=D("0E-8"),
            hedges=0,
            duration_ns=7,
        ),
        OpportunityClosed(
            ts=9, opportunity=1, **episode, opened=1, duration_ns=8, **peak, taken=True, decisions=decisions
        ),
        OpportunityOpened(ts=10, opportunity=2, **episode, gross_bps=3.0, net_bps=-1.0),
        OpportunityClosed(
            ts=11, opportunity=2, **episode, opened=10, duration_ns=1, **peak, taken=False, decisions=refused
        ),
        PnlMarked(ts=12, realised={"USDT": D("0.15962")}, unrealised={"USDT": D(0)}, fees={"BTC": D("2E-4")}),
        StateChanged(ts=13, scope="global", state=TradingState.HALTED, reason="kill", by="control"),
        StateChanged(ts=13, scope="venue:kucoin", state=TradingState.NO_NEW, reason="pause", until=99),
        StateChanged(ts=14, scope="global", state=TradingState.RUNNING, reason="kill"),
        Alert(ts=15, severity=Severity.WARNING, code="X", text="look"),
        RunStopped(ts=16, reason="asked to stop"),
    ]


def numbered(records: list[Record]) -> list[tuple[int, Record]]:
    return list(enumerate(records, 1))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A real PostgreSQL server on a socket of its own. Its folder's name is short, as a socket's must be."""
    pgserver = pytest.importorskip("pgserver", reason="no wheel of pgserver for this Python")
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        yield server.get_uri()
        pgserver.pg_ctl(["-m", "immediate", "-w", "stop"], pgdata=server.pgdata, user=server.system_user)
        server.cleanup()


POSTGRES = pytest.param("postgresql", marks=[pytest.mark.system, pytest.mark.timeout(180)])


@pytest.fixture(params=["sqlite", POSTGRES])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind; the PostgreSQL ones run with the system tests."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'db.sqlite'}"
    server = request.getfixturevalue("postgres").replace("postgresql://", "postgresql+psycopg://")
    name = f"t{abs(hash(request.node.nodeid))}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as c:
        c.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return str(server).replace("/postgres?", f"/{name}?")


@pytest.fixture(autouse=True)
def disposed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every engine that a test made gives its connections back."""
    made: list[Engine] = []

    def noted(*args: Any, **kwargs: Any) -> Engine:
        made.append(create_engine(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(store_module, "create_engine", noted)
    yield
    for engine in made:
        engine.dispose()


@pytest.fixture
def told(url: str) -> Any:
    store = Store(url)
    assert store.open() == 0
    assert store.write(numbered(story())) == len(story())
    return read(url)


def only(answer: dict[str, Any]) -> dict[str, Any]:
    (row,) = answer["rows"]
    return dict(row)


def test_balances_follow_fills_and_corrections(told: Any) -> None:
    rows = {(row["venue"], row["asset"]): row["total"] for row in queries.balances(told)["rows"]}
    assert rows == {
        ("binance", "USDT"): "980",  # 1000 - 0.2 x 100
        ("binance", "BTC"): "0.1998",  # 0.2 - 0.0002
        ("kucoin", "BTC"): "0.8002",  # 1 - 0.1998
        ("kucoin", "USDT"): "20.15962",  # 0.1998 x 101 - 0.02018
    }


def test_profit_by_day_and_symbol_adds_up_by_hand(told: Any) -> None:
    # Bought 0.1998 net for 20; sold it for 20.1798 - 0.02018 = 20.15962. The correction is realised when it comes.
    assert only(queries.pnl(told, "symbol")) == {
        "symbol": "BTC/USDT",
        "fills": 2,
        "realised": {"USDT": "0.15962"},
        "turnover": {"USDT": "40.1798"},
        "fees": {"BTC": "0.0002", "USDT": "0.02018"},
    }
    days = {row["day"]: row for row in queries.pnl(told, "day")["rows"]}
    assert {day: row["realised"] for day, row in days.items()} == {"1970-01-02": {}, "1970-01-03": {"USDT": "0.15962"}}
    assert only(queries.pnl(told)) | {"sequence": 0} == {
        "sequence": 0,
        "ts_ns": 12,
        "realised": {"USDT": "0.15962"},
        "unrealised": {"USDT": "0"},
        "fees": {"BTC": "0.0002"},
    }


def test_profit_by_venue_is_what_each_gained_and_gave(told: Any) -> None:
    rows = {row["venue"]: row["net"] for row in queries.pnl(told, "venue")["rows"]}
    assert rows == {"binance": {"BTC": "0.1998", "USDT": "-20"}, "kucoin": {"BTC": "-0.1998", "USDT": "20.15962"}}


def test_an_order_through_its_life(told: Any) -> None:
    row = only(queries.orders(told))
    assert (row["state"], row["executed"], row["venue_order_id"], row["price"]) == ("filled", "0.2", "77", "100.5")
    assert row["stages_ns"] == {"frame_to_decided": 20_000, "sent_to_ack": 3_000_000}
    assert queries.orders(told, live=True)["rows"] == []


def test_an_arbitrage_and_its_result(told: Any) -> None:
    row = only(queries.arbitrages(told))
    assert (row["state"], row["expected_edge"], row["realised_edge"], row["bridge"], row["residual_base"]) == (
        "completed",
        "0.16",
        "0.15962",
        {"fees": "-0.00038"},
        "0",
    )


def test_refusals_count_equal_decisions_and_name_the_deciding_reason(told: Any) -> None:
    row = only(queries.refusals(told))
    assert row == {"reason": "BOOK_STALE", "decisions": 5, "opportunities": 2, "best_net_bps": 1.0, "last_ns": 3}
    refused = only(queries.opportunities(told, taken=False))
    assert (refused["opportunity"], refused["reason"]) == (2, "BOOK_STALE")


def test_one_opportunity_in_full(told: Any) -> None:
    row = only(queries.opportunity(told, 1))
    assert [d["reasons"] for d in row["decisions"]] == [["BOOK_STALE", "MAX_POSITION"], []]
    assert len(row["arbitrages"]) == len(row["orders"]) == 1
    assert len(row["fills"]) == 2
    with pytest.raises(NotFoundError, match="no opportunity 7"):
        queries.opportunity(told, 7)


def test_states_and_alerts(told: Any) -> None:
    row = only(queries.states(told))
    assert (row["scope"], row["state"], row["until_ns"]) == ("venue:kucoin", "no_new", 99)
    assert only(queries.alerts(told))["text"] == "look"


def dump(url: str) -> dict[str, list[tuple[Any, ...]]]:
    from tradeserver.services.tables import metadata

    with connect(url).connect() as c:
        return {table.name: sorted(map(repr, c.execute(table.select()).all())) for table in metadata.sorted_tables}  # type: ignore[misc]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 30), max_size=8), st.integers(0, 10))
def test_batches_and_repetitions_change_nothing(tmp_path_factory: Any, cuts: list[int], back: int) -> None:
    """However the log is cut into batches, and however often the end of one comes again."""
    folder = tmp_path_factory.mktemp("db")
    whole, pieces = f"sqlite:///{folder / 'a'}", f"sqlite:///{folder / 'b'}"
    log = numbered(story())
    one = Store(whole)
    one.open()
    one.write(log)
    at = 0
    for cut in [*itertools.accumulate(cuts), len(log)]:
        other = Store(pieces)  # a new process each time
        assert other.open() == at
        other.write(log[max(0, at - back) : cut])
        at = max(at, min(cut, len(log)))
        other.close()
    assert dump(whole) == dump(pieces)


def test_it_is_rebuilt_from_the_log(url: str) -> None:
    store = Store(url)
    store.open()
    store.write(numbered(story()))
    before = dump(url)
    store.write([(100, BalanceBooked(ts=1, venue="x", asset="Y", total=D(1), previous=D(0), reason="opening"))])
    assert dump(url) != before
    assert store.rebuild(iter(numbered(story()))) == len(story())
    assert dump(url) == before


def test_the_command_makes_it_anew_from_the_files(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`tradeserver rebuild FILE` on a database that holds nonsense."""
    wal = FileWal(layout.wal(tmp_path), WalSettings(reserve_bytes=0, preallocate=False))
    list(wal.recover())
    wal.begin(checkpoint(ts=5, number=1))
    assert wal.write([encode_record(record) for record in story()])
    wal.close()
    expected = f"sqlite:///{tmp_path / 'expected.sqlite'}"
    Store(expected).rebuild(read_log(layout.wal(tmp_path)))
    file = tmp_path / "t.toml"
    file.write_text(
        f'mode = "paper"\nsymbols = ["BTC/USDT"]\nstate_dir = "{tmp_path}"\n[instance]\nname = "a"\ntag = "a1"\n'
        f'[venues.binance]\n[store]\nurl = "{url}"\n'
    )
    store = Store(url)
    store.open()
    store.write([(100, BalanceBooked(ts=1, venue="x", asset="Y", total=D(1), previous=D(0), reason="opening"))])
    rebuild(file)
    assert capsys.readouterr().out == f"rebuilt up to sequence {len(story())}\n"
    assert dump(url) == dump(expected)


def test_profit_is_the_ledgers_own(url: str) -> None:
    """A longer story, priced and charged awkwardly: the database's sums are those of the live ledger."""
    records: list[Record] = []
    ledger = Ledger()
    for n in range(60):
        side = Side.BUY if n * 7 % 3 else Side.SELL
        asset = ("BTC", "USDT", "BNB")[n % 3]
        one = fill(
            n * DAY_NS // 7,
            ("binance", "kucoin")[n % 2],
            side,
            f"{100 + n % 11}.{n:02}",
            f"0.{n + 1:03}",
            f"0.000{n + 1}",
            asset,
            arbitrage=n % 5,
        )
        records.append(one)
        ledger.apply_fill(one)
        if n % 4 == 0 and one.arbitrage:
            corrected = CommissionCorrected(
                ts=one.ts + 1,
                venue=one.venue,
                symbol=one.symbol,
                client_id="c1",
                trade_id=one.trade_id,
                commission=D("0.0001"),
                commission_asset="USDT",
            )
            records.append(corrected)
            ledger.apply_commission(corrected, one)
    store = Store(url)
    store.open()
    store.write(numbered(records))
    for by in ("day", "symbol"):
        rows = queries.pnl(read(url), by)["rows"]
        assert sum(D(row["realised"].get("USDT", "0")) for row in rows) == ledger.realised["USDT"]
        assert sum(D(row["fees"].get("BNB", "0")) for row in rows) == ledger.fees["BNB"]
    totals = {(row["venue"], row["asset"]): D(row["total"]) for row in queries.balances(read(url))["rows"]}
    assert totals == ledger.totals


def test_a_reader_makes_no_database_and_cannot_write(url: str, tmp_path: Path, told: Any) -> None:
    missing = tmp_path / "nothing.sqlite"
    with pytest.raises(NotFoundError, match="no database"):
        read(f"sqlite:///{missing}")
    assert not missing.exists()
    with told.connect() as c, pytest.raises(Exception, match=r"readonly|read-only"):
        c.exec_driver_sql("DELETE FROM fills")


def test_another_schema_is_dropped_to_be_rebuilt(url: str, told: Any) -> None:
    with connect(url).begin() as c:
        c.exec_driver_sql("UPDATE meta SET value = 999 WHERE name = 'schema'")
    assert Store(url).open() == 0
    assert queries.fills(read(url)) == {"rows": [], "sequence": 0}


def test_a_database_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        Store(f"sqlite:///{tmp_path / 'no' / 'where'}").open()


def test_a_kill_is_one_row_however_often_it_is_told(tmp_path: Path) -> None:
    def report(ts: int, proven: bool) -> KillReported:
        proof = VenueProof("binance", "proven" if proven else "looking", proven, 3, 3, 3, (), 2, "")
        return KillReported(
            ts=ts, began=DAY_NS, scope="global", by="signal", prover="guard", proven=proven, found=3, cancelled=3,
            gone=3, elapsed_ms=(ts - DAY_NS) // 1_000_000, venues=(proof,), exposure=(), note="",
        )  # fmt: skip

    store = Store(f"sqlite:///{tmp_path / 'd.db'}")
    store.open()
    store.write([(1, report(DAY_NS + 10_000_000, False)), (2, report(DAY_NS + 30_000_000, True))])
    with store.engine.connect() as c:
        (row,) = c.execute(t.kills.select()).mappings()
    assert (row["proven"], row["elapsed_ms"], row["prover"], row["found"]) == (True, 30, "guard", 3)
    assert row["venues"][0]["venue"] == "binance"
