"""Secrets: resolved by reference, with one sentence when missing, and printed nowhere."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import msgspec
import pytest

from tradeserver.services.faults import ConfigError, Exit
from tradeserver.services.secrets import Secret, resolve

WORD = "correct-horse"


def test_env_and_file_give_the_value(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(f"-----BEGIN-----\n{WORD}\n-----END-----\r\n")
    assert resolve("env:K", "x", {"K": WORD}).reveal() == WORD
    assert resolve(f"file:{file}", "x").reveal() == f"-----BEGIN-----\n{WORD}\n-----END-----"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("env:NOT_THERE", "venues.binance.key: the environment variable NOT_THERE is not set"),
        (
            "file:/nowhere/key",
            "venues.binance.key: the secret file /nowhere/key cannot be read: No such file or directory",
        ),
        ("aws:prod/tradeserver#key", "cannot be used here"),
        ("aws:", "never the value itself"),
        ("aws:with space#x", "never the value itself"),
        (WORD, "never the value itself"),
        ("env:", "never the value itself"),
        ("", "never the value itself"),
        ("env:BLANK", "is empty"),
        ("file:.", "cannot be read: Is a directory"),
    ],
)
def test_what_cannot_be_resolved_is_one_sentence(reference: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(reference, "venues.binance.key", {"BLANK": " \n"})
    text = str(caught.value)
    assert says in text
    assert text.startswith("venues.binance.key: ")
    assert "\n" not in text
    assert WORD not in text
    assert caught.value.exit_code == Exit.CONFIG == 78


def test_a_file_that_is_no_secret_is_refused(tmp_path: Path) -> None:
    big, binary = tmp_path / "big", tmp_path / "binary"
    big.write_bytes(b"x" * 100_000)
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="larger than"):
        resolve(f"file:{big}", "x")
    with pytest.raises(ConfigError, match="is not text"):
        resolve(f"file:{binary}", "x")


def test_a_secret_never_prints() -> None:
    secret = Secret(WORD)
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>30}",
        str.format("{}", secret),
        repr([secret]),
        repr({"k": secret}),
    ]
    assert not any(WORD in text for text in shown)
    for store in (pickle.dumps, copy.deepcopy, msgspec.json.encode):
        with pytest.raises(TypeError):
            store(secret)
    assert secret == Secret(WORD)
    assert secret != Secret("other")
