"""Everybody else, by URL, through Apprise: Telegram, Slack, e-mail, and a hundred more.

Apprise (https://appriseit.com, 1.9) is an extra, `tradeserver[alerts]`; it blocks, so each message is sent in a thread.
It answers yes or no: a no is tried again later.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from tradeserver.core.records import Severity
from tradeserver.services.alerting.message import LaterError, Message
from tradeserver.services.alerting.notices import RANK
from tradeserver.services.faults import ConfigError
from tradeserver.services.secrets import Secret

TYPES: Final = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}


class Others:
    """One Apprise URL."""

    def __init__(self, url: Secret, name: str) -> None:
        """Raises ConfigError: Apprise is not installed, or does not know the URL's form."""
        try:
            import apprise
        except ImportError:
            raise ConfigError("alerts.others needs the package apprise: install tradeserver[alerts]") from None
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it prints what it cannot send, addresses included
        self.name = name
        self._apprise: Any = apprise.Apprise()
        if not self._apprise.add(url.reveal()):
            raise ConfigError(f"{name} is no URL that Apprise knows")

    async def send(self, message: Message) -> None:
        """Raises LaterError."""
        try:
            taken = await asyncio.to_thread(self._notify, message)
        except Exception as error:  # a hundred plug-ins: whatever one of them raises is not our fault
            raise LaterError(type(error).__name__) from None
        if not taken:
            raise LaterError("not taken")

    async def close(self) -> None:
        """Nothing to let go of."""

    def _notify(self, message: Message) -> bool:
        worst = max((entry.severity for entry in message.entries), key=RANK.__getitem__)
        title = f"[{worst.value}] {message.instance}: {message.entries[0].title}"
        body = "\n\n".join(f"{entry.title}: {entry.text}" for entry in message.entries)
        attached = None
        if message.picture:
            from apprise.attachment import memory

            module: Any = memory
            attached = module.AttachMemory(message.picture, name="pnl.png", mimetype="image/png")
        return bool(self._apprise.notify(body=body, title=title, notify_type=TYPES[worst], attach=attached))
