"""A server that answers as Discord does, written from its documents (Webhook, Message, Rate Limits; 2026-07).

One bucket of five requests in two seconds; 429 with `retry_after`; 400 for embeds beyond the limits; 404 for a webhook
that was deleted. It keeps what it took, and when.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

from aiohttp import web

PER_WINDOW, WINDOW_S = 5, 2.0


class DiscordStandIn:
    """Runs on a thread and a loop of its own. `down` answers 503, `deleted` 404."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.pictures: list[bytes] = []
        self.answers: list[int] = []
        self.beats = 0
        self.early = 0  # requests before a `retry_after` was over
        self.down = False
        self.deleted = False
        self.limit = PER_WINDOW
        self._window: list[float] = []
        self._free_at = 0.0

    def __enter__(self) -> DiscordStandIn:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(5)

    async def _main(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/api/webhooks/{id}/{token}", self._webhook)
        app.router.add_get("/beat/{id}", self._beat)
        app.router.add_post("/notify", self._notify)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}/api/webhooks/1234/TOKEN-THAT-NOBODY-MAY-SEE"
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    async def _beat(self, request: web.Request) -> web.Response:
        self.beats += 1
        return web.Response(text="OK")

    async def _notify(self, request: web.Request) -> web.Response:
        """What Apprise's json:// sends."""
        self.taken.append(await request.json())
        return web.Response(status=503 if self.down else 200)

    async def _webhook(self, request: web.Request) -> web.Response:
        answer = await self._answer(request)
        self.answers.append(answer.status)
        return answer

    async def _answer(self, request: web.Request) -> web.Response:
        now = time.monotonic()
        if self.down:
            return web.Response(status=503, text="upstream connect error")
        if self.deleted:
            return web.json_response({"message": "Unknown Webhook", "code": 10015}, status=404)
        if now < self._free_at:
            self.early += 1
        self._window = [at for at in self._window if now - at < WINDOW_S]
        if len(self._window) >= self.limit:
            wait = round(WINDOW_S - (now - self._window[0]), 3)
            self._free_at = now + wait - 0.01
            headers = {
                "Retry-After": str(int(wait) + 1), "X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset-After": str(wait), "X-RateLimit-Bucket": "abcd1234", "X-RateLimit-Scope": "user",
            }  # fmt: skip
            body = {"message": "You are being rate limited.", "retry_after": wait, "global": False}
            return web.json_response(body, status=429, headers=headers)
        body = await self._body(request)
        if trouble := _wrong(body):
            return web.json_response({"message": "Invalid Form Body", "code": 50035, "errors": trouble}, status=400)
        self._window.append(now)
        self.taken.append(body)
        left = self.limit - len(self._window)
        wait = round(WINDOW_S - (now - self._window[0]), 3)
        headers = {"X-RateLimit-Remaining": str(left), "X-RateLimit-Reset-After": str(wait)}
        return web.Response(status=204, headers=headers)

    async def _body(self, request: web.Request) -> dict[str, Any]:
        if request.content_type != "multipart/form-data":
            return dict(await request.json())
        form = await request.post()
        file = form["files[0]"]
        assert isinstance(file, web.FileField)
        self.pictures.append(file.file.read())
        return dict(json.loads(str(form["payload_json"])))


def _wrong(body: dict[str, Any]) -> str:
    """The limits of the Message resource."""
    embeds = body.get("embeds", [])
    if not body.get("content") and not embeds:
        return "cannot send an empty message"
    if len(embeds) > 10:
        return "embeds: must be 10 or fewer"
    total = 0
    for embed in embeds:
        if len(embed.get("title", "")) > 256 or len(embed.get("description", "")) > 4096:
            return "an embed is too long"
        if len(embed.get("footer", {}).get("text", "")) > 2048:
            return "a footer is too long"
        total += len(embed.get("title", "")) + len(embed.get("description", ""))
        total += len(embed.get("footer", {}).get("text", ""))
    if total > 6000:
        return "embeds: 6000 characters altogether"
    if len(body.get("username", "x")) > 80:
        return "username: 1 to 80"
    return ""
