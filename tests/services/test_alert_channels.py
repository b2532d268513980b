"""Discord's answers (by respx, and by a server that limits as it does), Apprise by URL, addresses that stay secret."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from decimal import Decimal

import httpx
import pytest
import respx

from discord_kit import DiscordStandIn
from tradeserver.core.records import Severity
from tradeserver.services.alerting.discord import Discord, payload
from tradeserver.services.alerting.message import Entry, GoneError, LaterError, Message, RefusedError
from tradeserver.services.alerting.others import Others
from tradeserver.services.alerting.picture import draw
from tradeserver.services.alerting.rehearsal import sample_day
from tradeserver.services.alerting.sink import report
from tradeserver.services.faults import ConfigError
from tradeserver.services.secrets import Secret

URL = "https://discord.invalid/api/webhooks/1234/TOKEN-THAT-NOBODY-MAY-SEE"
AT = 1_784_616_000_000_000_000  # 2026-07-21T06:40:00Z


def message(*severities: Severity, text: str = "Level it by hand.") -> Message:
    return Message("desk-1", tuple(Entry(severity, "EXPOSURE_HELD", text, AT) for severity in severities))


def send(one: Message, url: str = URL) -> None:
    async def main() -> None:
        channel = Discord(Secret(url))
        try:
            await channel.send(one)
        finally:
            await channel.close()

    asyncio.run(main())


@respx.mock
def test_an_embed_as_discord_documents_it() -> None:
    route = respx.post(URL).mock(return_value=httpx.Response(204))
    send(message(Severity.CRITICAL, Severity.WARNING, Severity.INFO))
    body = json.loads(route.calls.last.request.content)
    assert body["allowed_mentions"] == {"parse": []}, "a venue's text must not ring a server"
    assert body["embeds"][0] == {
        "title": "EXPOSURE_HELD",
        "description": "Level it by hand.",
        "color": 0xE74C3C,
        "timestamp": "2026-07-21T06:40:00Z",
        "footer": {"text": "desk-1, critical"},
    }
    assert [embed["color"] for embed in body["embeds"]] == [0xE74C3C, 0xF1C40F, 0x3498DB]


@respx.mock
@pytest.mark.parametrize(
    ("answer", "raised", "after_s"),
    [
        (httpx.Response(429, json={"message": "You are being rate limited.", "retry_after": 64.57, "global": False}),
         LaterError, 64.57),
        (httpx.Response(429, headers={"Retry-After": "3"}, text="<html>"), LaterError, 3.0),
        (httpx.Response(429, headers={"Retry-After": "soon"}), LaterError, 0.0),
        (httpx.Response(502, text="bad gateway"), LaterError, 0.0),
        (httpx.Response(404, json={"message": "Unknown Webhook", "code": 10015}), GoneError, 0.0),
        (httpx.Response(401), GoneError, 0.0),
        (httpx.Response(400, json={"message": "Invalid Form Body", "code": 50035}), RefusedError, 0.0),
    ],
)  # fmt: skip
def test_every_answer_that_is_no_success(answer: httpx.Response, raised: type[Exception], after_s: float) -> None:
    respx.post(URL).mock(return_value=answer)
    with pytest.raises(raised) as told:
        send(message(Severity.INFO))
    assert getattr(told.value, "after_s", 0.0) == after_s
    assert "TOKEN" not in str(told.value)


@respx.mock
@pytest.mark.parametrize("trouble", [httpx.ConnectError("no route to TOKEN"), httpx.ReadTimeout("TOKEN")])
def test_no_answer_is_later_and_says_no_address(trouble: Exception) -> None:
    respx.post(URL).mock(side_effect=trouble)
    with pytest.raises(LaterError) as told:
        send(message(Severity.INFO))
    assert "TOKEN" not in str(told.value)
    assert told.value.__suppress_context__


def test_an_address_that_is_none_is_not_shown() -> None:
    with pytest.raises(LaterError) as told:
        send(message(Severity.INFO), "no url at all TOKEN")
    assert "TOKEN" not in str(told.value)


def test_the_longest_message_is_within_discords_limits() -> None:
    with DiscordStandIn() as there:
        send(message(*[Severity.CRITICAL] * 10, text="x" * 5_000), there.url)
        assert there.answers == [204]
    assert len(payload(message(Severity.INFO, text="y" * 5_000))["embeds"][0]["description"]) == 450


def test_the_servers_limits_are_obeyed_before_it_has_to_say_so() -> None:
    async def main(url: str) -> float:
        channel, began = Discord(Secret(url)), time.monotonic()
        for _ in range(6):
            await channel.send(message(Severity.INFO))
        await channel.close()
        return time.monotonic() - began

    with DiscordStandIn() as there:
        assert asyncio.run(main(there.url)) > 1.5, "the sixth waited for the next window"
        assert there.answers == [204] * 6


def test_the_summary_has_its_picture() -> None:
    day = sample_day(AT)
    with DiscordStandIn() as there:
        send(report("desk-1", day), there.url)
        (picture,), (body,) = there.pictures, there.taken
    assert picture.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 600
    assert height > 300
    assert body["embeds"][0]["image"] == {"url": "attachment://pnl.png"}
    assert "48.43 USDT" in body["embeds"][0]["description"]
    assert day.profit == {"USDT": Decimal("48.43")}


def test_nothing_to_draw_is_no_picture() -> None:
    import msgspec

    assert draw(msgspec.structs.replace(sample_day(AT), curves={})) == b""


def test_others_are_reached_by_url() -> None:
    with DiscordStandIn() as there:
        channel = Others(Secret(f"json://127.0.0.1:{there.port}/notify"), "others[0]")
        asyncio.run(channel.send(message(Severity.WARNING, Severity.CRITICAL)))
        (body,) = there.taken
        assert body["title"] == "[critical] desk-1: EXPOSURE_HELD"
        assert body["message"].count("EXPOSURE_HELD: Level it by hand.") == 2
        assert body["type"] == "failure"
        asyncio.run(channel.send(report("desk-1", sample_day(AT))))
        assert there.taken[-1]["attachments"][0]["mimetype"] == "image/png"
        there.down = True
        with pytest.raises(LaterError):
            asyncio.run(channel.send(message(Severity.INFO)))


@pytest.mark.parametrize("url", ["TOKEN", "nosuchscheme://TOKEN@host"])
def test_a_url_that_apprise_does_not_know(url: str) -> None:
    with pytest.raises(ConfigError) as told:
        Others(Secret(url), "others[0]")
    assert "TOKEN" not in str(told.value)


@pytest.mark.parametrize(
    "url",
    ["tgram://123456789:abcdefg_hijklmnop/12315544/", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops",
     "mailto://user:pass@example.invalid"],
)  # fmt: skip
def test_telegram_slack_and_mail_are_known_forms(url: str) -> None:
    assert Others(Secret(url), "others[0]").name == "others[0]"
