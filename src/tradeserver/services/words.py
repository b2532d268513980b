"""What NATS may say to a daemon: kill and pause, on `tradeserver.<instance>.command`, heard by the guard.

    {"action": "kill"}        {"action": "pause", "scope": "venue:kucoin"}

Anything else is refused and told: NATS never resumes, clears or trades. Plain NATS, at most once: whoever must be sure
looks at `state_changed` and `kill_reported`, or uses the command line on the machine itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Literal

import msgspec
import nats
import nats.errors
from nats.aio.msg import Msg

from tradeserver.services.nats import shown

MOST_BYTES: Final = 1_024
RETRY_S: Final = 2.0


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One command. A kill is always global."""

    action: Literal["kill", "pause"]
    scope: str = "global"


def subject(instance: str) -> str:
    """Where commands for an instance are heard."""
    return f"tradeserver.{instance}.command"


def read(data: bytes) -> Word:
    """The word in a message. Raises ValueError with the reason why it is none."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"longer than {MOST_BYTES} bytes")
    try:
        word = msgspec.json.decode(data, type=Word)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None
    kind, colon, name = word.scope.partition(":")
    if word.scope != "global" and not (colon and name and kind in ("venue", "symbol", "strategy")):
        raise ValueError("a scope is global, venue:NAME, symbol:BASE/QUOTE or strategy:NAME")
    if word.action == "kill" and word.scope != "global":
        raise ValueError("a kill is global")
    return word


async def listen(
    url: str,
    instance: str,
    hear: Callable[[Word], None],
    refuse: Callable[[str], None],
    tell: Callable[[bool, str], None] = lambda up, text: None,
) -> None:
    """For ever: connect, subscribe, hand words on; connect again. `tell` hears when that changes."""
    up = None

    async def came(message: Msg) -> None:
        try:
            hear(read(message.data))
        except ValueError as error:
            refuse(str(error))

    async def quiet(error: Exception) -> None:
        """nats-py would print it."""

    while True:
        gone = asyncio.Event()

        async def closed(gone: asyncio.Event = gone) -> None:
            gone.set()

        try:
            client = await nats.connect(
                url,
                name=f"tradeserver-{instance}-guard",
                allow_reconnect=False,
                connect_timeout=2,
                ping_interval=5,
                max_outstanding_pings=2,
                error_cb=quiet,
                closed_cb=closed,
            )
            try:
                await client.subscribe(subject(instance), cb=came)
                up = True
                tell(True, f"listening on {subject(instance)} at {shown(url)}")
                await gone.wait()
            finally:
                with contextlib.suppress(Exception):
                    await client.close()
        except (nats.errors.Error, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
        else:
            reason = "the connection was closed"
        if up is not False:
            up = False
            tell(False, f"{shown(url)}: {reason}")
        await asyncio.sleep(RETRY_S)
