"""What a Binance key may do: asked once, before a run opens anything.

Binance SAPI, "Get API Key Permission", 2026-07. Pure: the caller makes the requests.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tradeserver.venues.base import Credentials, HttpRequest, KeyRights
from tradeserver.venues.binance.settings import BinanceSettings
from tradeserver.venues.binance.signing import rest_payload, signer

PATH: Final = "/sapi/v1/account/apiRestrictions"
NOT_ACCEPTED: Final = (-1022, -2014, -2015)
"""Signature, form of the key, key or address or reading: a key that gets one of these cannot act here."""


class _Time(msgspec.Struct):
    server_time: int = msgspec.field(name="serverTime")


class _Refusal(msgspec.Struct):
    code: int = 0


class _Rights(msgspec.Struct):
    withdraw: bool = msgspec.field(name="enableWithdrawals")
    trade: bool = msgspec.field(name="enableSpotAndMarginTrading")
    bound: bool = msgspec.field(name="ipRestrict")


def clock(settings: BinanceSettings) -> HttpRequest:
    """The venue's clock, unsigned."""
    return HttpRequest(0, "GET", settings.rest_url.rstrip("/") + "/api/v3/time", {}, b"", "GET /api/v3/time")


def read_clock(body: bytes) -> int:
    """{"serverTime":1700000000000} -> ms. Raises ValueError."""
    return msgspec.json.decode(body, type=_Time).server_time


def ask(settings: BinanceSettings, credentials: Credentials, venue_ms: int) -> HttpRequest:
    """The signed question. Raises ValueError for a secret that is no key."""
    query = rest_payload([("recvWindow", "10000"), ("timestamp", str(venue_ms))])
    query += "&" + rest_payload([("signature", signer(credentials).sign(query))])
    url = f"{settings.rest_url.rstrip('/')}{PATH}?{query}"
    return HttpRequest(0, "GET", url, {"X-MBX-APIKEY": credentials.key}, b"", f"GET {PATH}")


def read(body: bytes) -> KeyRights:
    """{"ipRestrict":false,"createTime":1698645219000,"enableReading":true,"enableWithdrawals":false,
    "enableInternalTransfer":false,"enableMargin":false,"enableFutures":false,"permitsUniversalTransfer":false,
    "enableVanillaOptions":false,"enableFixApiTrade":false,"enableFixReadOnly":true,
    "enableSpotAndMarginTrading":false,"enablePortfolioMarginTrading":true}. Raises ValueError.
    """
    found = msgspec.json.decode(body, type=_Rights)
    return KeyRights(trade=found.trade, withdraw=found.withdraw, bound=found.bound)


def refuses_key(body: bytes) -> bool:
    """{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."} -> True."""
    try:
        return msgspec.json.decode(body, type=_Refusal).code in NOT_ACCEPTED
    except ValueError:
        return False
