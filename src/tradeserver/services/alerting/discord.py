"""Discord: one webhook, embeds coloured by severity, its rate limits obeyed.

Discord developer documents, Webhook resource (Execute Webhook), Message resource (Embed limits) and Rate Limits,
2026-07: POST JSON, or multipart with `payload_json` and `files[n]`; 204 without a body; 429 with JSON
`{"message", "retry_after" (seconds, float), "global"}` and `Retry-After`, `X-RateLimit-Remaining`,
`X-RateLimit-Reset-After`; 401, 403 and 404 mean that the webhook is no more, and repeating them gets an address banned.
Nothing is mentioned: what a venue said must not ring a whole server. The URL is a secret and is in no error.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

import httpx
import msgspec

from tradeserver.core.records import Severity
from tradeserver.services.alerting.message import Entry, GoneError, LaterError, Message, RefusedError
from tradeserver.services.secrets import Secret

COLOURS: Final = {Severity.INFO: 0x3498DB, Severity.WARNING: 0xF1C40F, Severity.CRITICAL: 0xE74C3C}
TITLE: Final = 256
TEXT: Final = 450
"""Of one embed: ten of them, titles included, stay below the 6,000 characters that a message may have."""
TIMEOUT_S: Final = 10.0

# httpx logs every request with its whole URL, at INFO.
logging.getLogger("httpx").setLevel(logging.WARNING)


class Limited(msgspec.Struct):
    """The body of a 429."""

    retry_after: float


class Discord:
    """See the module."""

    def __init__(self, url: Secret, name: str = "discord") -> None:
        self.name = name
        self._url = url
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S)
        self._free_at = 0.0  # before that, Discord has said, nothing more is taken

    async def send(self, message: Message) -> None:
        """One POST. Raises LaterError, RefusedError, GoneError."""
        wait_s = self._free_at - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        body = payload(message)
        try:
            if message.picture:
                answer = await self._client.post(
                    self._url.reveal(),
                    data={"payload_json": msgspec.json.encode(body).decode()},
                    files={"files[0]": ("pnl.png", message.picture, "image/png")},
                )
            else:
                answer = await self._client.post(self._url.reveal(), json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LaterError(type(error).__name__) from None
        self._heed(answer)

    async def close(self) -> None:
        """Drop the connection."""
        await self._client.aclose()

    def _heed(self, answer: httpx.Response) -> None:
        if answer.status_code == 429:
            raise LaterError("rate limited", _retry_after(answer))
        if answer.status_code in (401, 403, 404):
            raise GoneError(f"HTTP {answer.status_code}: the webhook is not there, or no longer ours")
        if answer.status_code == 400:
            raise RefusedError("HTTP 400")
        if not answer.is_success:
            raise LaterError(f"HTTP {answer.status_code}")
        if answer.headers.get("X-RateLimit-Remaining") == "0":
            self._free_at = time.monotonic() + _number(answer.headers.get("X-RateLimit-Reset-After"))


def payload(message: Message) -> dict[str, Any]:
    """The JSON of a message:

    {"username": "desk-1", "allowed_mentions": {"parse": []}, "embeds": [
     {"title": "EXPOSURE_HELD", "description": "...", "color": 15158332, "timestamp": "2026-07-21T06:40:00Z",
      "footer": {"text": "desk-1, critical"}}]}
    """
    embeds = [_embed(message.instance, entry) for entry in message.entries]
    if message.picture:
        embeds[0]["image"] = {"url": "attachment://pnl.png"}
    return {"username": message.instance, "allowed_mentions": {"parse": []}, "embeds": embeds}


def _embed(instance: str, entry: Entry) -> dict[str, Any]:
    return {
        "title": _cut(entry.title, TITLE),
        "description": _cut(entry.text, TEXT),
        "color": COLOURS[entry.severity],
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.ts // 1_000_000_000)),
        "footer": {"text": f"{instance}, {entry.severity.value}"},
    }


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _retry_after(answer: httpx.Response) -> float:
    try:
        return msgspec.json.decode(answer.content, type=Limited).retry_after
    except msgspec.MsgspecError:  # a proxy in front of Discord answers with the header alone
        return _number(answer.headers.get("Retry-After"))


def _number(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0
