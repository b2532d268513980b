"""What a key may do, from the answers that the venues document; one right changed at a time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tradeserver.venues.base import Credentials, KeyRights
from tradeserver.venues.binance import BinanceSettings
from tradeserver.venues.binance import rights as binance
from tradeserver.venues.kucoin import rights as kucoin
from tradeserver.venues.kucoin.settings import KucoinSettings

# Binance wallet docs, "Get API Key Permission", the documented answer.
BINANCE: dict[str, Any] = {
    "ipRestrict": False, "createTime": 1698645219000, "enableReading": True, "enableWithdrawals": False,
    "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False, "permitsUniversalTransfer": False,
    "enableVanillaOptions": False, "enableFixApiTrade": False, "enableFixReadOnly": True,
    "enableSpotAndMarginTrading": False, "enablePortfolioMarginTrading": True,
}  # fmt: skip


def test_binance_rights() -> None:
    def read(**changed: bool) -> KeyRights:
        return binance.read(json.dumps(BINANCE | changed).encode())

    assert read() == KeyRights(trade=False, withdraw=False, bound=False)
    assert read(enableWithdrawals=True) == KeyRights(trade=False, withdraw=True, bound=False)
    assert read(enableSpotAndMarginTrading=True, ipRestrict=True) == KeyRights(trade=True, withdraw=False, bound=True)


@pytest.mark.parametrize("left_out", ["enableWithdrawals", "enableSpotAndMarginTrading", "ipRestrict"])
def test_binance_silence_about_a_right_is_no_answer(left_out: str) -> None:
    body = json.dumps({k: v for k, v in BINANCE.items() if k != left_out}).encode()
    with pytest.raises(ValueError, match=left_out):
        binance.read(body)


def test_binance_question_is_signed() -> None:
    request = binance.ask(BinanceSettings(rest_url="https://x/"), Credentials("k", "s"), 1_700_000_000_000)
    url = urlsplit(request.url)
    signed, _, signature = url.query.rpartition("&signature=")
    assert (url.path, parse_qs(signed)["timestamp"]) == ("/sapi/v1/account/apiRestrictions", ["1700000000000"])
    assert signature == hmac.new(b"s", signed.encode(), hashlib.sha256).hexdigest()
    assert request.headers["X-MBX-APIKEY"] == "k"
    assert binance.read_clock(b'{"serverTime":1499827319559}') == 1_499_827_319_559


def test_binance_refusals() -> None:
    """Error codes for Binance: -2014 BAD_API_KEY_FMT, -2015 REJECTED_MBX_KEY, -1022 INVALID_SIGNATURE."""
    for code, refused in ((-2014, True), (-2015, True), (-1022, True), (-1021, False), (-1003, False), (-1000, False)):
        assert binance.refuses_key(json.dumps({"code": code, "msg": "x"}).encode()) is refused
    for body in (b"", b"<html>", b"[]", b"null", b'{"code":"x"}'):
        assert not binance.refuses_key(body)


def documented(shared_data: Path) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads((shared_data / "kucoin" / "rest_examples.json").read_text())["endpoints"]
    (example,) = [e["response_example"] for e in found if e["path"] == "/api/v1/user/api-key"]
    return dict(example)


def test_kucoin_rights(shared_data: Path) -> None:
    answer = documented(shared_data)
    assert kucoin.read(json.dumps(answer).encode()) == KeyRights(trade=True, withdraw=True, bound=True)
    for permission, trade, withdraw in (
        ("General", False, False),
        ("General,Spot", True, False),
        ("General, Spot, InnerTransfer", True, False),  # between the owner's own accounts
        ("General,Transfer", False, True),
        ("General,Spot,Withdrawal", True, True),
    ):
        answer["data"] |= {"permission": permission, "ipWhitelist": ""}
        assert kucoin.read(json.dumps(answer).encode()) == KeyRights(trade=trade, withdraw=withdraw, bound=False)


def test_kucoin_question_is_signed() -> None:
    request = kucoin.ask(KucoinSettings(rest_url="https://x"), Credentials("k", "s", "p"), 1_700_000_000_000)
    assert request.url == "https://x/api/v1/user/api-key"
    text = b"1700000000000GET/api/v1/user/api-key"
    assert request.headers["KC-API-SIGN"] == base64.b64encode(hmac.new(b"s", text, hashlib.sha256).digest()).decode()
    assert kucoin.read_clock(b'{"code":"200000","data":1729100692873}') == 1_729_100_692_873


def test_kucoin_refusals(shared_data: Path) -> None:
    """400003 key, 400004 passphrase, 400005 signature, 400006 address; 400002 is the clock."""
    for code, refused in (
        ("400003", True), ("400004", True), ("400005", True), ("400006", True), ("400002", False), ("429000", False),
        ("200000", False),
    ):  # fmt: skip
        assert kucoin.refuses_key(json.dumps({"code": code, "msg": "x"}).encode()) is refused
    for body in (b"", b"<html>", b"[]", b'{"code":400003}'):
        assert not kucoin.refuses_key(body)
    with pytest.raises(ValueError, match="data"):
        kucoin.read(b'{"code":"400003","msg":"KC-API-KEY not exists"}')
