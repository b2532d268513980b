"""The command line: answers on standard output, one sentence on standard error, the right exit code."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tradeserver import cli
from tradeserver.core.records import BalanceBooked, Decision, OpportunityClosed, OpportunityOpened, PnlMarked, Record
from tradeserver.runtime.latch import FileLatch
from tradeserver.services import layout
from tradeserver.services.control import Server
from tradeserver.services.faults import OperatorError
from tradeserver.services.store import Store

CONFIG = Path(__file__).resolve().parents[1] / "config"
READ_VERBS = ["orders", "fills", "balances", "arbitrages", "opportunities", "pnl", "why", "alerts"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """The entry point in this process: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRADESERVER_STATE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tradeserver", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with a database."""
    folder = tmp_path / "state"
    folder.mkdir()
    decision = Decision(
        ts=1, taken=False, arbitrage=0, reasons=("BOOK_STALE", "MAX_POSITION"), gross_bps=9.0, net_bps=1.0, quantity=0.2
    )
    episode: dict[str, Any] = {
        "strategy": "cross_arb",
        "symbol": "BTC/USDT",
        "buy_venue": "binance",
        "sell_venue": "kucoin",
    }
    records: list[Record] = [
        BalanceBooked(ts=1, venue="kucoin", asset="BTC", total=Decimal("1E-7"), previous=Decimal(0), reason="opening"),
        OpportunityOpened(ts=1, opportunity=1, **episode, gross_bps=9.0, net_bps=1.0),
        OpportunityClosed(
            ts=9, opportunity=1, **episode, opened=1, duration_ns=8_000_000, peak_gross_bps=9.0, peak_net_bps=1.0,
            peak_quantity=0.2, buy_age_ns=1, sell_age_ns=2, taken=False, decisions=(decision,),
        ),
        PnlMarked(ts=12, realised={"USDT": Decimal("1E+2")}, unrealised={}, fees={}),
    ]  # fmt: skip
    store = Store(layout.store_url(folder))
    store.open()
    store.write(list(enumerate(records, 1)))
    store.close()
    return folder


# ---- teaching -------------------------------------------------------------------------------------------------------


def test_help_is_instant_it_imports_nothing_heavy() -> None:
    code = "import sys, tradeserver.cli; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"sqlalchemy", "nats", "pydantic", "aiohttp", "picows", "uvloop", "structlog", "cryptography"}
    assert not {name for name in loaded if name.startswith("tradeserver.") and not name.startswith("tradeserver.cli")}


def test_help_names_every_verb_and_the_exit_codes(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for verb in [
        *READ_VERBS,
        "status",
        "demo",
        "run",
        "simulate",
        "kill",
        "pause",
        "resume",
        "check",
        "replay",
        "data",
    ]:
        assert f" {verb} " in out
    assert "78 configuration" in " ".join(out.split())
    assert "relay" not in out.split(), "the daemon's own helper is no verb for people"


@pytest.mark.parametrize(
    "verb", [*READ_VERBS, "status", "run", "simulate", "kill", "check", "replay", "demo", "data verify"]
)
def test_every_verb_explains_itself(run: Run, verb: str) -> None:
    code, out, _ = run(*verb.split(), "--help")
    assert code == 0
    assert "Usage:" in out


# ---- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", READ_VERBS)
def test_rows_and_their_sequence_as_json(run: Run, state: Path, verb: str) -> None:
    code, out, err = run(verb, "--state", str(state), "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert set(answer) == {"rows", "sequence"}
    assert answer["sequence"] == 4


@pytest.mark.parametrize("verb", READ_VERBS)
def test_the_same_as_a_table(run: Run, state: Path, verb: str) -> None:
    code, out, _ = run(verb, "--state", str(state))
    assert code == 0
    assert "as of sequence 4" in out


def test_money_is_plain_text_and_time_an_integer(run: Run, state: Path) -> None:
    (row,) = json.loads(run("balances", "--state", str(state), "--json")[1])["rows"]
    assert row == {"sequence": 1, "venue": "kucoin", "asset": "BTC", "total": "0.0000001", "ts_ns": 1}
    (row,) = json.loads(run("pnl", "--state", str(state), "--json")[1])["rows"]
    assert row["realised"] == {"USDT": "100"}
    assert "0.0000001" in run("balances", "--state", str(state))[1]


def test_why(run: Run, state: Path) -> None:
    (row,) = json.loads(run("why", "--state", str(state), "--json")[1])["rows"]
    assert (row["reason"], row["decisions"]) == ("BOOK_STALE", 1)
    (row,) = json.loads(run("why", "1", "--state", str(state), "--json")[1])["rows"]
    assert row["decisions"][0]["reasons"] == ["BOOK_STALE", "MAX_POSITION"]
    assert "BOOK_STALE, MAX_POSITION" in run("why", "1", "--state", str(state))[1]
    code, out, err = run("why", "2", "--state", str(state))
    assert (code, out) == (4, "")
    assert "there is no opportunity 2" in err


@pytest.mark.parametrize("by", ["day", "symbol", "venue"])
def test_profit_split(run: Run, state: Path, by: str) -> None:
    assert run("pnl", "--by", by, "--state", str(state))[0] == 0
    assert json.loads(run("pnl", "--by", by, "--state", str(state), "--json")[1]) == {"rows": [], "sequence": 4}


def test_how_the_daemon_is_found(run: Run, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "run.toml"
    config.write_text((CONFIG / "paper.toml").read_text().replace("state/paper", str(state)))
    assert run("balances")[0] == 0, "./state is the default"
    monkeypatch.chdir("/")
    assert run("balances")[0] == 4
    assert run("balances", "--config", str(config))[0] == 0
    monkeypatch.setenv("TRADESERVER_STATE", str(state))
    assert run("balances")[0] == 0


# ---- telling a daemon -----------------------------------------------------------------------------------------------


VERBS = ("status", "kill", "killed", "pause", "resume", "clear")
PROVEN = {"proven": True, "found": 2, "cancelled": 2, "gone": 2, "venues": [{"venue": "binance", "proven": True}]}


@pytest.fixture
def daemon(state: Path) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """The daemon's end of the control socket, in a thread; what it was told."""
    told: list[tuple[str, dict[str, Any]]] = []

    def handler(verb: str) -> Callable[..., Any]:
        def tell(**args: Any) -> Any:
            if args.get("scope") == "nonsense":
                raise OperatorError("there is no scope 'nonsense'")
            told.append((verb, args))
            if verb in ("kill", "killed"):
                return {"under_way": verb == "kill", "report": None if verb == "kill" else PROVEN}
            return {"mode": "paper", "books": [{"venue": "binance", "bid": 1.5}], "states": {"global": "halted"}}

        return tell

    ready, stop = threading.Event(), threading.Event()

    async def main() -> None:
        server = Server(layout.control(state), {v: handler(v) for v in VERBS})
        await server.start()
        ready.set()
        await asyncio.to_thread(stop.wait)
        await server.stop()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(5)
    yield told
    stop.set()
    thread.join(5)


def test_words_reach_the_daemon(run: Run, state: Path, daemon: list[tuple[str, dict[str, Any]]]) -> None:
    at = ("--state", str(state))
    code, out, _ = run("kill", *at)
    assert code == 0
    assert "nothing is open at binance; 2 orders found, 2 cancelled, 2 verified gone" in out
    assert FileLatch(layout.kill_latch(state)).set
    assert run("kill", "--hedge", *at)[0] == 0
    assert run("pause", "--scope", "venue:kucoin", *at)[0] == 0
    assert run("resume", *at)[0] == 0
    assert run("clear", "kill", *at)[0] == 0
    assert daemon == [
        ("kill", {"hedge": False}),
        ("killed", {}),
        ("kill", {"hedge": True}),
        ("killed", {}),
        ("pause", {"scope": "venue:kucoin"}),
        ("resume", {"scope": "global"}),
        ("clear", {"scope": "global", "reason": "kill"}),
    ]
    code, out, err = run("pause", "--scope", "nonsense", *at)
    assert (code, out, err) == (1, "", "tradeserver: there is no scope 'nonsense'\n")


def test_a_kill_that_nobody_hears_sets_the_latch_and_says_what_it_could_not_do(run: Run, state: Path) -> None:
    code, out, err = run("kill", "--state", str(state))
    assert code == 3
    assert out.startswith("NOT PROVEN: nobody could be asked. The latch is set")
    assert err == "tradeserver: no daemon is running\ntradeserver: no guard is running\n"
    assert FileLatch(layout.kill_latch(state)).set


def test_a_kill_that_would_hedge_sets_no_latch(run: Run, state: Path) -> None:
    code, out, _ = run("kill", "--hedge", "--state", str(state))
    assert code == 3
    assert "The latch is not set" in out
    assert not FileLatch(layout.kill_latch(state)).set


def test_status(run: Run, state: Path, daemon: list[tuple[str, dict[str, Any]]]) -> None:
    assert json.loads(run("status", "--state", str(state), "--json")[1])["mode"] == "paper"
    out = run("status", "--state", str(state))[1]
    assert "paper" in out
    assert "binance" in out
    assert "halted" in out


# ---- exit codes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["status"], 3, "no daemon is running"),
        (["kill"], 3, "no daemon is running"),
        (["orders", "--state", "nowhere"], 4, "there is no database"),
        (["replay", "nowhere"], 4, "there is no journal directory nowhere"),
        (["check", "nowhere.toml"], 78, "nowhere.toml cannot be read"),
        (["run", "nowhere.toml"], 78, "nowhere.toml cannot be read"),
        (["relay", "nowhere.toml"], 78, "nowhere.toml cannot be read"),
        (["simulate", "nowhere.toml"], 78, "nowhere.toml"),
        (["run", str(CONFIG / "paper.toml"), "--live"], 78, "--live was given, but the file says"),
        (["check", str(CONFIG / "live.toml")], 78, "the environment variable BINANCE_KEY is not set"),
    ],
)
def test_the_operators_errors(run: Run, words: list[str], code: int, says: str) -> None:
    found, out, err = run(*words)
    assert (found, out) == (code, "")
    assert says in err
    assert err.startswith("tradeserver: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["orderz"], ["pnl", "--by", "moon"], ["orders", "--limit", "0"], ["run"], ["why", "x"]]
)
def test_usage(run: Run, words: list[str]) -> None:
    assert run(*words)[0] == 2


def test_our_own_fault_is_70_and_prints_no_local_variable(
    run: Run, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tradeserver.services import queries

    def broken(*_: Any) -> None:
        password = "correct-horse"
        raise ZeroDivisionError("oh" + password[:0])

    monkeypatch.setattr(queries, "orders", broken)
    code, out, err = run("orders", "--state", str(state))
    assert (code, out) == (70, "")
    assert "ZeroDivisionError: oh" in err
    assert "correct-horse" not in err.replace('password = "correct-horse"', "")


# ---- check ----------------------------------------------------------------------------------------------------------


def test_check_explains(run: Run) -> None:
    code, out, _ = run("check", str(CONFIG / "paper.toml"))
    assert code == 0
    assert "paper: no order leaves this machine" in out
    assert "Largest notional of one leg. (risk.max_order_notional = 500)" in out
    assert "Card of binance" in out
    found = json.loads(run("check", str(CONFIG / "paper.toml"), "--json")[1])
    assert set(found) == {"wiring", "limits", "cards", "config"}


def test_check_of_a_live_file_says_so(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("correct-horse\n")
    config = tmp_path / "live.toml"
    config.write_text((CONFIG / "live.toml").read_text().replace("/etc/tradeserver/binance.pem", str(key)))
    for name in ("BINANCE_KEY", "KUCOIN_KEY", "KUCOIN_SECRET", "KUCOIN_PASSPHRASE"):
        monkeypatch.setenv(name, "correct-horse")
    code, out, _ = run("check", str(config))
    assert code == 0
    assert "LIVE: orders go to the venues" in out
    assert "correct-horse" not in out
