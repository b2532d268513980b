"""Three pages over HTTP: /metrics (Prometheus text), /healthz (is the daemon alive), /readyz (could it trade now).

Both answer 200 or 503 with JSON that says why. No login, so they belong on loopback or behind something that has one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from prometheus_client import generate_latest

from tradeserver.services.metrics.catalogue import Catalogue
from tradeserver.services.metrics.settings import address

FRESH_S: Final = 10.0


class Pages:
    """Serves a catalogue. `ready` answers every reason why the daemon could not trade now."""

    def __init__(self, catalogue: Catalogue, ready: Callable[[], list[str]]) -> None:
        self._catalogue = catalogue
        self._ready = ready
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, listen: str) -> None:
        """Raises OSError: the port is taken."""
        host, port = address(listen)
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def age_s(self) -> float:
        """Seconds since the last record."""
        return max(0.0, time.time() - self._catalogue.newest / 1e9)

    async def _metrics(self, _: web.Request) -> web.Response:
        self._catalogue.up.set(float(self.age_s() < FRESH_S))
        text = generate_latest(self._catalogue.registry)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _healthz(self, _: web.Request) -> web.Response:
        age_s = self.age_s()
        reasons = [] if age_s < FRESH_S else ["no record is of now: the daemon is gone, frozen, or its log has failed"]
        return _page(reasons, {"record_age_s": round(age_s, 3) if self._catalogue.newest else None})

    async def _readyz(self, _: web.Request) -> web.Response:
        reasons = self._ready()
        if self.age_s() >= FRESH_S:
            reasons = ["no record is of now", *reasons]
        return _page(reasons, {})


def _page(reasons: list[str], more: dict[str, Any]) -> web.Response:
    return web.json_response({"ok": not reasons, "reasons": reasons, **more}, status=503 if reasons else 200)
