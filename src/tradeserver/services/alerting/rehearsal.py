"""`tradeserver alert test`: one of each to everybody, at once, and what each of them answered."""

from __future__ import annotations

import math
import time
from decimal import Decimal

import httpx

from tradeserver.services.alerting.heartbeat import TIMEOUT_S, Heartbeat
from tradeserver.services.alerting.message import Channel, Entry, GoneError, LaterError, Message, RefusedError
from tradeserver.services.alerting.settings import AlertSettings
from tradeserver.services.alerting.sink import Find, channels, report, samples
from tradeserver.services.alerting.summary import DAY_NS, SECOND_NS, Day
from tradeserver.services.logs import Log

Row = dict[str, str]


async def rehearse(settings: AlertSettings, instance: str, find: Find, log: Log) -> list[Row]:
    """One row a message: receiver, what was sent, "delivered" or why not. Raises OperatorError."""
    now = time.time_ns()
    messages = [
        (said.severity.value, Message(instance, (Entry(said.severity, said.code, said.text, said.ts),)))
        for said in samples(now)
    ]
    messages.append(("summary", report(f"{instance} (a sample)", sample_day(now))))
    rows = []
    for channel in channels(settings, find):
        for what, message in messages:
            rows.append({"channel": channel.name, "what": what, "result": await _send(channel, message)})
        await channel.close()
    if settings.heartbeat:
        beat = Heartbeat(find(settings.heartbeat, "alerts.heartbeat"), 1.0, lambda: True, log)
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            trouble = await beat.beat(client)
        rows.append({"channel": "heartbeat", "what": "heartbeat", "result": trouble or "delivered"})
    return rows


async def _send(channel: Channel, message: Message) -> str:
    try:
        await channel.send(message)
    except (LaterError, RefusedError, GoneError) as error:
        return str(error)
    return "delivered"


def sample_day(now: int) -> Day:
    """A day that never was, so that the picture can be seen before there is one."""
    begins = now - now % DAY_NS - DAY_NS
    step = 600 * SECOND_NS
    curve = [(begins + n * step, round(0.35 * n + 9 * math.sin(n / 9), 2)) for n in range(144)]
    return Day(
        begins=begins,
        profit={"USDT": Decimal(str(curve[-1][1]))},
        fees={"USDT": Decimal("12.5")},
        curves={"USDT": curve},
        drawdown={"USDT": 14.2},
        arbitrages=120,
        one_sided=1,
        hedges=2,
        fills=251,
        opportunities=300,
        taken=120,
        alerts={"warning": 2},
    )
