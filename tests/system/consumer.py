"""A durable pull consumer of the relay's stream, written apart from the product: it imports nats-py alone.

    python tests/system/consumer.py URL STREAM LAST [SECONDS [DURABLE]]

It fetches over restarts of the server until it has seen the write-ahead-log sequence LAST and everything before it, or
SECONDS have passed, and prints what it saw as JSON. What the server handed out and this process did not take in time
(a fetch that gave up on a busy machine) is waited for: the server hands it out again. A message that it hands out twice
(its acknowledgement was lost) is told from a record that the stream holds twice by its place in the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time

import nats
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig


async def consume(
    url: str, stream: str, last: int, seconds: float = 60.0, durable: str = "referee"
) -> dict[str, object]:
    """`in_stream_order`: [WAL sequence] by place in the stream; `mismatched`: body and header disagree."""
    seen: dict[int, int] = {}
    mismatched: list[int] = []
    deadline = time.monotonic() + seconds
    whole = False
    while time.monotonic() < deadline and not whole:
        client = None
        try:
            client = await nats.connect(
                url, allow_reconnect=False, max_reconnect_attempts=0, connect_timeout=1, error_cb=_quiet
            )
            pull = await client.jetstream(timeout=2).pull_subscribe("", durable, stream, ConsumerConfig(ack_wait=3))
            while time.monotonic() < deadline and not whole:
                for message in await pull.fetch(100, timeout=1):
                    place = message.metadata.sequence.stream
                    body = json.loads(message.data)
                    headers = message.headers or {}
                    if headers.get("Tradeserver-Sequence") != str(body["sequence"]):
                        mismatched.append(place)
                    if not message.subject.endswith("." + body["kind"]):
                        mismatched.append(place)
                    seen[place] = body["sequence"]
                    await message.ack()
                await client.flush()
                whole = bool(seen) and max(seen.values()) >= last and not await _awaited(pull)
        except (Error, OSError, TimeoutError):
            await asyncio.sleep(0.05)
        finally:
            if client is not None:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(client.close(), 1)
    return {"in_stream_order": [seen[place] for place in sorted(seen)], "mismatched": mismatched}


async def _awaited(pull: JetStreamContext.PullSubscription) -> int:
    """Messages that the server has handed out and has no acknowledgement of."""
    return (await pull.consumer_info()).num_ack_pending or 0


async def _quiet(_: Exception) -> None: ...


if __name__ == "__main__":
    url, stream, last, seconds, durable = [*sys.argv[1:], *("60", "referee")[len(sys.argv) - 4 :]]
    print(json.dumps(asyncio.run(consume(url, stream, int(last), float(seconds), durable))))
