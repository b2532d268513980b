"""The publisher where no NATS server is: it says so at once. What it does with one is in tests/system."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tradeserver.services.nats import NatsError, Publisher


def test_nobody_listening_is_known_at_once_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    async def main() -> None:
        async with asyncio.timeout(1.5):  # less than one of the client's own pauses
            with pytest.raises(NatsError, match=f"127.0.0.1:{port}.*[Cc]onnect"):
                await Publisher(f"nats://127.0.0.1:{port}", "test").connect()

    asyncio.run(main())
