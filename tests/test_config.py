"""One TOML file: what it accepts, and the one sentence for what it does not."""

from __future__ import annotations

import dataclasses
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeserver.config import Config, credentials, load, parse, prepare_state, wiring_allowed
from tradeserver.config.describe import docs, effective, limits_in_words, masked, reference_toml, to_toml
from tradeserver.config.wiring import on_loopback
from tradeserver.core.risk import RiskLimits
from tradeserver.core.types import Charged
from tradeserver.services.faults import ConfigError
from tradeserver.venues.base import Credentials

CONFIG = Path(__file__).resolve().parents[1] / "config"

GOOD = """
mode = "paper"
symbols = ["BTC/USDT", "XRP/USDT"]
[instance]
name = "desk"
tag = "d1"
[venues.binance]
[venues.kucoin]
secret = "env:SECRET"
[venues.kucoin.paper]
balances = { USDT = 10.5, BTC = 1 }
[[strategies]]
name = "cross_arb"
params = { watch_bps = 5 }
[risk]
max_order_notional = 0.1
"""


class Foreign:
    """A strategy of somebody else."""

    @dataclasses.dataclass(frozen=True)
    class Params:
        """Its parameters."""

        depth: int = 3


class Bare:
    """A class that does not say what it can be told."""


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def refusal(text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "run.toml", environ)
    sentence = str(caught.value)
    assert sentence.startswith(("run.toml: ", "the environment variable "))
    assert "\n" not in sentence
    assert caught.value.exit_code == 78
    return sentence


def test_a_good_one() -> None:
    config = parse(GOOD)
    assert config.mode == "paper"
    assert config.symbols == ("BTC/USDT", "XRP/USDT")
    assert config.risk.max_order_notional == Decimal("0.1"), "digits are kept: not the float 0.1"
    assert config.risk.max_open_orders == RiskLimits().max_open_orders
    assert list(config.enabled) == ["binance", "kucoin"]
    assert config.enabled["kucoin"].paper.balances == {"USDT": Decimal("10.5"), "BTC": Decimal(1)}
    (choice,) = config.strategies
    assert choice.params.watch_bps == 5.0
    assert isinstance(choice.params.watch_bps, float)
    assert config.paper_fees("binance").charged is Charged.RECEIVED
    assert config.paper_fees("kucoin").charged is Charged.QUOTE
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.mode = "live"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "max_order_notional",
            "max_ordr_notional",
            "unknown key 'max_ordr_notional' in section [risk]; did you mean 'max_order_notional'?",
        ),
        ("[risk]", "[rsk]", "unknown key 'rsk' at the top level; did you mean 'risk'?"),
        (
            "[venues.binance]",
            "[venues.kraken]",
            "unknown key 'kraken' in section [venues]; known keys: binance, kucoin",
        ),
        (
            "watch_bps",
            "wach_bps",
            "unknown key 'wach_bps' in section [strategies[0].params]; did you mean 'watch_bps'?",
        ),
        ("params =", "param =", "unknown key 'param' in section [strategies[0]]; did you mean 'params'?"),
        ("= 0.1", '= "5"', "risk.max_order_notional: wanted a number, got the text '5'"),
        ("= 0.1", "= true", "risk.max_order_notional: wanted a number, got true"),
        ("= 0.1", "= nan", "risk.max_order_notional: wanted a finite number, got the number NaN"),
        ("= 0.1", "= -1", "risk.max_order_notional: got the number -1; it must be greater than 0"),
        (
            "max_order_notional = 0.1",
            "max_open_orders = 1.5",
            "risk.max_open_orders: wanted a whole number, got the number 1.5",
        ),
        ('tag = "d1"', "tag = 12", "instance.tag: wanted text in quotes, got the number 12"),
        ('tag = "d1"', 'tag = "d-1"', "instance.tag: got the text 'd-1'; it must match pattern"),
        ('tag = "d1"', "", "section [instance] lacks the key 'tag', which has no default"),
        ('name = "desk"', 'name = "my.desk"', "instance.name: got the text 'my.desk'"),
        (
            'mode = "paper"',
            'mode = "papr"',
            "mode: wanted one of 'paper', 'live', got the text 'papr'; did you mean 'paper'?",
        ),
        ('mode = "paper"', "", "the file lacks the key 'mode', which has no default"),
        ('"BTC/USDT"', '"BTCUSDT"', "symbols.0: got the text 'BTCUSDT'"),
        ('"BTC/USDT"', '"XRP/USDT"', "symbols: XRP/USDT is listed twice"),
        ('["BTC/USDT", "XRP/USDT"]', "[]", "symbols: got a list"),
        ('["BTC/USDT", "XRP/USDT"]', '"BTC/USDT"', "symbols: wanted a list, got the text 'BTC/USDT'"),
        (
            "watch_bps = 5",
            "watch_bps = -5",
            "strategies[0].params.watch_bps: got the number -5.0; it must be greater than or equal to 0",
        ),
        ('"cross_arb"', '"cros_arb"', "strategies[0]: there is no strategy 'cros_arb'; did you mean 'cross_arb'?"),
        ('"cross_arb"', '"nowhere.at:All"', "strategies[0]: the strategy 'nowhere.at:All' cannot be loaded"),
        ('"cross_arb"', '"test_config:Bare"', "has no dataclass `Params`"),
        ('"env:SECRET"', '"6d5b3c2a"', "venues.kucoin.secret: a secret must be a reference"),
        ('"env:SECRET"', '"aws:no such form"', "venues.kucoin.secret: a secret must be a reference"),
        ("[risk]", "[risk", "not TOML: "),
        ("[venues.binance]", "[venues]\nbinance = 3", "venues.binance: wanted a table, got the number 3"),
        ("BTC = 1 }", 'BTC = "all" }', "venues.kucoin.paper.balances.BTC: wanted a number, got the text 'all'"),
        ("BTC = 1 }", "BTC = -1 }", "venues.kucoin.paper.balances.BTC: got the number -1"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_key(old: str, new: str, says: str) -> None:
    assert says in refusal(changed(old, new))


def test_an_error_never_repeats_what_may_be_a_key() -> None:
    key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"  # the Binance documents' own sample
    for old, new in (('"env:SECRET"', f'"{key}"'), ("= 0.1", f'= "{key}"'), ('tag = "d1"', f'tag = "{key}"')):
        assert key not in refusal(changed(old, new))


def test_no_venue_enabled() -> None:
    text = changed("[venues.binance]", "[venues.binance]\nenabled = false").replace(
        "[venues.kucoin]", "[venues.kucoin]\nenabled = false"
    )
    assert "no venue is enabled" in refusal(text)


def test_a_strategy_twice_needs_two_names() -> None:
    again = GOOD + '\n[[strategies]]\nname = "cross_arb"\n'
    with pytest.raises(ConfigError, match=r"strategies\[1\]: there is a strategy 'cross_arb' already"):
        parse(again)
    assert [choice.id for choice in parse(again + 'id = "wide"\n').strategies] == ["cross_arb", "wide"]
    with pytest.raises(ConfigError, match=r"strategies\[1\]\.id: wanted 1 to 64 of"):
        parse(again + 'id = "two words"\n')


def test_a_strategy_of_somebody_else() -> None:
    config = parse(
        changed(
            'name = "cross_arb"\nparams = { watch_bps = 5 }', 'name = "test_config:Foreign"\nparams = { depth = 9 }'
        )
    )
    assert config.strategies[0].kind.__name__ == "Foreign"
    assert config.strategies[0].params.depth == 9


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("RISK__MAX_ORDER_NOTIONAL", "7.10", lambda c: c.risk.max_order_notional == Decimal("7.10")),
        ("RISK__MAX_OPEN_ORDERS", "3", lambda c: c.risk.max_open_orders == 3),
        ("MODE", "live", lambda c: c.mode == "live"),
        ("INSTANCE__TAG", "12", lambda c: c.instance.tag == "12"),
        ("VENUES__BINANCE__SETTINGS__TRADES", "true", lambda c: c.enabled["binance"].settings.trades is True),
        ("VENUES__KUCOIN__SETTINGS__KEY_VERSION", "2", lambda c: c.enabled["kucoin"].settings.key_version == "2"),
        ("VENUES__KUCOIN__PAPER__BALANCES__USDT", "3", lambda c: c.enabled["kucoin"].paper.balances["USDT"] == 3),
        ("STRATEGIES__0__PARAMS__WATCH_BPS", "1.5", lambda c: c.strategies[0].params.watch_bps == 1.5),
        ("SYMBOLS", '["ETH/USDT"]', lambda c: c.symbols == ("ETH/USDT",)),
        ("STATE_DIR", "/tmp/x", lambda c: c.state_dir == Path("/tmp/x")),
        ("EXECUTION__LADDER_BPS", "[1, 2.5]", lambda c: c.execution.ladder_bps == (1.0, 2.5)),
    ],
)
def test_an_override_wins(name: str, value: str, found: Any) -> None:
    assert found(parse(GOOD, environ={f"TRADESERVER__{name}": value, "TRADESERVER_STATE": "ignored", "HOME": "/"}))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("RISK__MAX_NOTIONAL", "7", "unknown key 'max_notional' in section [risk]"),
        ("RISK__MAX_OPEN_ORDERS", "many", "risk.max_open_orders: wanted a whole number, got the text 'many'"),
        ("STRATEGIES__4__PARAMS__WATCH_BPS", "7", "TRADESERVER__STRATEGIES__4__PARAMS__WATCH_BPS does not name a key"),
        ("RISK__", "7", "TRADESERVER__RISK__ does not name a key"),
        ("MODE__X", "7", "TRADESERVER__MODE__X does not name a key"),
    ],
)
def test_an_override_that_is_wrong(name: str, value: str, says: str) -> None:
    assert says in refusal(GOOD, {f"TRADESERVER__{name}": value})


@given(st.text(max_size=40))
def test_no_text_does_worse_than_one_sentence(text: str) -> None:
    for toml in (text, f"{GOOD}\n{text}", GOOD.replace("0.1", text)):
        said = ""
        try:
            parse(toml)
        except ConfigError as error:
            said = str(error)
        assert "\n" not in said


# ---- files, secrets, state ------------------------------------------------------------------------------------------


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml cannot be read: No such file"):
        load(tmp_path / "missing.toml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(tmp_path / "binary")


LIVE = GOOD.replace('"paper"', '"live"').replace(
    "[venues.binance]", '[venues.binance]\nkey = "env:BK"\nsecret = "env:BS"'
).replace("[venues.kucoin]", '[venues.kucoin]\nkey = "env:KK"\npassphrase = "env:KP"')  # fmt: skip
KEYS = {"BK": "SIMb", "BS": "bs", "KK": "SIMk", "SECRET": "ks", "KP": "kp"}
LOCAL = """
[venues.binance.settings]
rest_url = "http://127.0.0.1:9101"
stream_url = "ws://127.0.0.1:9101"
ws_api_url = "ws://[::1]:9101/ws-api/v3"
[venues.kucoin.settings]
rest_url = "http://localhost:9102"
order_entry_url = "ws://127.1.2.3:9102"
"""


def test_keys_are_read_in_live_mode_only() -> None:
    assert credentials(parse(GOOD), {}) == {}
    assert credentials(parse(LIVE), KEYS) == {
        "binance": Credentials(key="SIMb", secret="bs"),
        "kucoin": Credentials(key="SIMk", secret="ks", passphrase="kp"),
    }
    with pytest.raises(ConfigError, match=r"venues\.kucoin\.passphrase: the environment variable KP is not set"):
        credentials(parse(LIVE), {k: v for k, v in KEYS.items() if k != "KP"})
    with pytest.raises(ConfigError, match=r"venues\.kucoin\.passphrase is missing"):
        credentials(parse(LIVE.replace('passphrase = "env:KP"', "")), KEYS)


def test_the_two_locks() -> None:
    paper, live, local = parse(GOOD), parse(LIVE), parse(LIVE + LOCAL)
    keys = credentials(live, KEYS)
    real = {**keys, "kucoin": Credentials(key="real", secret="s")}
    assert wiring_allowed(paper, False, {}) == "paper"
    assert wiring_allowed(live, True, keys) == "live"
    assert wiring_allowed(local, False, keys) == "demo"
    for config, flag, given_keys, says in (
        (paper, True, {}, "--live was given, but the file says"),
        (live, False, keys, "give --live to trade with real money"),
        (local, False, real, "the key of kucoin does not begin with SIM"),
    ):
        with pytest.raises(ConfigError, match=says):
            wiring_allowed(config, flag, given_keys)


@pytest.mark.parametrize("key", ["rest_url", "stream_url", "ws_api_url", "order_entry_url"])
def test_one_endpoint_elsewhere_is_enough_to_refuse(key: str) -> None:
    lines = [
        line.partition("=")[0] + '= "wss://stream.example.com"' if line.startswith(key) else line
        for line in LOCAL.splitlines()
    ]
    config = parse(LIVE + "\n".join(lines))
    with pytest.raises(ConfigError, match="is for a simulator on this machine only"):
        wiring_allowed(config, False, credentials(config, KEYS))


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:80", True),
        ("ws://127.255.255.254/x", True),
        ("ws://[::1]:1", True),
        ("http://localhost", True),
        ("https://api.binance.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://127.0.0.1@example.com", False),
        ("http://example.com#127.0.0.1", False),
        ("http://localhost.example.com", False),
        ("http://0.0.0.0", False),
        ("http://[::ffff:8.8.8.8]", False),
        ("127.0.0.1:80", False),
        ("", False),
    ],
)
def test_loopback(url: str, local: bool) -> None:
    assert on_loopback(url) is local


def test_a_state_directory_is_made_or_refused(tmp_path: Path) -> None:
    config = parse(GOOD, environ={"TRADESERVER__STATE_DIR": str(tmp_path / "a" / "b")})
    assert prepare_state(config).is_dir()
    (tmp_path / "file").touch()
    config = parse(GOOD, environ={"TRADESERVER__STATE_DIR": str(tmp_path / "file")})
    with pytest.raises(ConfigError, match=r"the state directory .* cannot be written"):
        prepare_state(config)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_state_directory_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    config = parse(GOOD, environ={"TRADESERVER__STATE_DIR": str(tmp_path)})
    with pytest.raises(ConfigError, match="Permission denied"):
        prepare_state(config)


# ---- in words -------------------------------------------------------------------------------------------------------


def test_the_reference_is_the_generated_one() -> None:
    assert (CONFIG / "reference.toml").read_text() == reference_toml(), "run `make reference`"


def test_the_reference_names_every_key_and_only_defaults() -> None:
    config = parse(reference_toml())
    for section in ("risk", "execution", "market", "sockets", "wal", "journal", "nats", "store", "logs"):
        assert getattr(config, section) == type(getattr(config, section))()
    text = reference_toml()
    for f in dataclasses.fields(RiskLimits):
        assert f"\n{f.name} = " in text


@pytest.mark.parametrize("name", ["paper", "live", "reference"])
def test_the_shipped_configurations_load(name: str) -> None:
    config = load(CONFIG / f"{name}.toml", {})
    assert config.mode == ("live" if name == "live" else "paper")
    assert config.strategies


def test_a_configuration_survives_being_written_down() -> None:
    for config in (parse(GOOD), parse(LIVE + LOCAL), parse(reference_toml())):
        assert parse(to_toml(config)) == config


def test_limits_are_words_and_every_one_has_them() -> None:
    lines = limits_in_words(parse(GOOD))
    assert "Largest notional of one leg. (risk.max_order_notional = 0.1)" in lines
    assert len(lines) == len({*lines})
    assert all(docs(RiskLimits).values()), "every risk limit says in its comment what it limits"


def test_what_check_shows_has_no_password() -> None:
    config: Config = parse(GOOD, environ={"TRADESERVER__NATS__URL": "nats://me:hush@10.0.0.1:4222"})
    assert config.nats.url == "nats://me:hush@10.0.0.1:4222"
    shown = effective(config, "paper")
    assert "hush" not in repr(shown)
    assert "nats://***@10.0.0.1:4222" in shown["config"]


def test_what_a_journal_keeps_has_no_password_and_is_the_same_otherwise() -> None:
    """Also where only the environment says it, and whichever key holds the address."""
    environ = {
        "TRADESERVER__NATS__URL": "nats://me:hush@10.0.0.1:4222",
        "TRADESERVER__STORE__URL": "postgresql+psycopg://me:hush@db/trades",
        "TRADESERVER__VENUES__BINANCE__SETTINGS__REST_URL": "http://me:hush@127.0.0.1:9",
    }
    kept = to_toml(masked(parse(GOOD, environ=environ)))
    assert "hush" not in kept
    plain = {name: url.replace("me:hush@", "***@") for name, url in environ.items()}
    assert parse(kept) == parse(GOOD, environ=plain)
