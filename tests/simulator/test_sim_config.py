"""The simulator's configuration: its sample is the default, and what is wrong in a file is said in one sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tradeserver.simulator.config import SimConfigError, default_config, from_table, load

SAMPLE = Path(__file__).resolve().parents[2] / "config" / "simulator.toml"


def test_the_sample_file_is_the_default():
    assert load(SAMPLE) == default_config()


def test_keys_of_the_default_are_marked_as_simulated():
    keys = [k.key for venue in default_config().venues.values() for account in venue.accounts for k in account.keys]
    assert len(keys) == 2
    assert all(key.startswith("SIM") for key in keys)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("seed = 1", "sead = 1", "unknown field `sead`"),
        ("step_ms = 20", 'step_ms = "soon"', r"Expected `int`, got `str` - at `\$.market.step_ms`"),
        ("[venues.kucoin]", "[venues.mtgox]", "Invalid enum value 'mtgox'"),
        ('native = "ETH-USDT"', "", "missing required field `native`"),
        ("faults = []", 'faults = ["drop kucoin.user 5% often"]', "fault .*'often' is no duration"),
        ('{ key = "SIMbinance", secret', '{ key = "a" }, { key = "a", secret', "binance: two accounts share a key"),
        ("port = 0", "port = ", "is not TOML"),
        ("# recording = {", 'recording = { symbols = { X = "X/Y" },', r"recording's symbols \['X/Y'\] are not listed"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, complaint):
    text = SAMPLE.read_text()
    assert old in text
    (tmp_path / "sim.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(SimConfigError, match=complaint) as error:
        load(tmp_path / "sim.toml")
    assert str(error.value).startswith(str(tmp_path / "sim.toml"))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SimConfigError, match=r"cannot read .*nowhere.toml: No such file"):
        load(tmp_path / "nowhere.toml")


def test_money_is_exact_however_it_is_written():
    text = 'symbols=[]\nfee_model="quote"\nrates={maker=0.00075, taker="0.00075"}'
    venue = from_table({"venues": {"kucoin": tomllib.loads(text)}}).venues["kucoin"]
    assert str(venue.rates.maker) == str(venue.rates.taker) == "0.00075"
