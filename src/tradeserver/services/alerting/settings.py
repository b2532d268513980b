"""What an operator may say about alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """Whom the relay tells. Every address is a secret, by reference: whoever has it can write there."""

    discord: tuple[str, ...] = ()
    """Webhook URLs, by reference: ["env:DISCORD_WEBHOOK"]."""
    others: tuple[str, ...] = ()
    """Apprise URLs, by reference: Telegram, Slack, e-mail and others. Needs tradeserver[alerts]."""
    least: Literal["info", "warning", "critical"] = "warning"
    """What is less severe is not sent."""
    per_minute: Annotated[int, Gt(0)] = 10
    """Messages a minute to one receiver, three at once. A message holds up to ten codes, each with its count."""
    gather_s: Annotated[float, Ge(0)] = 0.5
    """How long a first notice waits for others like it."""
    repeat_s: Annotated[float, Gt(0)] = 60.0
    """A code that was told is not told again before this; the pause doubles while it goes on."""
    repeat_most_s: Annotated[float, Gt(0)] = 3_600.0
    """The longest such pause."""
    summary_at: str = "00:05"
    """When the day before is summed up, with a picture, HH:MM in UTC; "" for never. Needs the database."""
    heartbeat: str = ""
    """A URL, by reference, that is fetched while records come; whoever watches it notices when that ends."""
    heartbeat_s: Annotated[float, Gt(0)] = 60.0
    """Seconds between two fetches."""
