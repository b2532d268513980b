"""Asking a venue about a key, over a real socket: what is said, what is not, and when it may be asked again."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from tradeserver.sessions.rights import SILENCE_S, NoRightsError, key_rights
from tradeserver.venues.base import Credentials, KeyRights
from tradeserver.venues.binance import BinanceSettings

SAYS = '{"ipRestrict":true,"enableWithdrawals":true,"enableSpotAndMarginTrading":true}'


def look(status: int, body: str, headers: dict[str, str] | None = None) -> KeyRights:
    """The clock is good; the question gets this answer."""

    async def main() -> KeyRights:
        async def clock(_: web.Request) -> web.Response:
            return web.Response(text='{"serverTime":1499827319559}')

        async def answer(request: web.Request) -> web.Response:
            assert request.query["timestamp"] == "1499827319559"
            return web.Response(status=status, text=body, headers=headers)

        app = web.Application()
        app.router.add_get("/api/v3/time", clock)
        app.router.add_get("/sapi/v1/account/apiRestrictions", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            settings = BinanceSettings(rest_url=f"http://127.0.0.1:{runner.addresses[0][1]}")
            return await key_rights("binance", settings, Credentials("MYKEY", "s"), 5.0)
        finally:
            await runner.cleanup()

    return asyncio.run(main())


def test_what_it_says() -> None:
    assert look(200, SAYS) == KeyRights(trade=True, withdraw=True, bound=True)


@pytest.mark.parametrize(
    ("status", "body", "headers", "refused", "silence_s"),
    [
        (401, '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}', {}, True, 0.0),
        (400, '{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}', {}, False, 0.0),
        (429, '{"code":-1003,"msg":"Too many requests."}', {"Retry-After": "7"}, False, 7.0),
        (418, '{"code":-1003,"msg":"Way too many requests."}', {"Retry-After": "120"}, False, 120.0),
        (403, "<html>", {}, False, SILENCE_S),
        (503, "<html>", {}, False, 0.0),
        (200, "<html>", {}, False, 0.0),
        (200, '{"key":"MYKEY"}', {}, False, 0.0),
    ],
)
def test_what_it_does_not_say(status: int, body: str, headers: dict[str, str], refused: bool, silence_s: float) -> None:
    with pytest.raises(NoRightsError) as told:
        look(status, body, headers)
    assert (told.value.refused, told.value.silence_s) == (refused, silence_s)
    assert "MYKEY" not in str(told.value)


def test_nobody_there_is_not_a_refusal() -> None:
    settings = BinanceSettings(rest_url="http://127.0.0.1:1")
    with pytest.raises(NoRightsError) as told:
        asyncio.run(key_rights("binance", settings, Credentials("MYKEY", "s"), 2.0))
    assert (told.value.refused, told.value.silence_s) == (False, 0.0)
