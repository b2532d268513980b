"""What an operator may say about metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MetricsSettings:
    """The relay's HTTP pages: /metrics for Prometheus, /healthz, /readyz. No login: keep them on loopback."""

    listen: str = ""
    """HOST:PORT, for example "127.0.0.1:9464"; empty for none."""


def address(listen: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:9464" or "[::1]:9464". Raises ValueError with a sentence."""
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65_535:
        raise ValueError('metrics.listen: wanted "HOST:PORT", for example "127.0.0.1:9464"')
    return host.strip("[]"), int(port)
