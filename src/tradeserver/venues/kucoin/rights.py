"""What a KuCoin key may do: asked once, before a run opens anything.

KuCoin docs, "Get Apikey Info", 2025-11: `permission` lists General, Spot, Margin, Futures, Earn, InnerTransfer and
Transfer; Transfer is the right to withdraw. Pure: the caller makes the requests.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tradeserver.venues.base import Credentials, HttpRequest, KeyRights
from tradeserver.venues.kucoin.settings import KucoinSettings
from tradeserver.venues.kucoin.signing import Signer

PATH: Final = "/api/v1/user/api-key"
CLOCK: Final = "/api/v1/timestamp"
WITHDRAW: Final = ("Transfer", "Withdrawal")
NOT_ACCEPTED: Final = ("400003", "400004", "400005", "400006")
"""Key, passphrase, signature, address: a key that gets one of these cannot act here."""


class _Time(msgspec.Struct):
    data: int


class _Refusal(msgspec.Struct):
    code: str = ""


class _Key(msgspec.Struct):
    permission: str
    addresses: str = msgspec.field(name="ipWhitelist", default="")


class _Answer(msgspec.Struct):
    data: _Key


def clock(settings: KucoinSettings) -> HttpRequest:
    """The venue's clock, unsigned."""
    return HttpRequest(0, "GET", settings.rest_url + CLOCK, {}, b"", f"GET {CLOCK}")


def read_clock(body: bytes) -> int:
    """{"code":"200000","data":1729100692873} -> ms. Raises ValueError."""
    return msgspec.json.decode(body, type=_Time).data


def ask(settings: KucoinSettings, credentials: Credentials, venue_ms: int) -> HttpRequest:
    """The signed question."""
    headers = Signer(credentials, settings.key_version).headers(venue_ms, "GET", PATH)
    return HttpRequest(0, "GET", settings.rest_url + PATH, headers, b"", f"GET {PATH}")


def read(body: bytes) -> KeyRights:
    """{"code":"200000","data":{"remark":"account1","apiKey":"6705f5c3","apiVersion":3,"permission":"General,Spot",
    "ipWhitelist":"","createdAt":1728443843000,"uid":165111215,"isMaster":true}}. Raises ValueError.
    """
    found = msgspec.json.decode(body, type=_Answer).data
    rights = [right.strip() for right in found.permission.split(",")]
    withdraw = any(right in WITHDRAW for right in rights)
    return KeyRights(trade="Spot" in rights or "Trade" in rights, withdraw=withdraw, bound=bool(found.addresses))


def refuses_key(body: bytes) -> bool:
    """{"code":"400003","msg":"KC-API-KEY not exists"} -> True."""
    try:
        return msgspec.json.decode(body, type=_Refusal).code in NOT_ACCEPTED
    except ValueError:
        return False
