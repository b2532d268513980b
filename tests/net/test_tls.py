"""TLS on loopback with a certificate of our own: trusted it works, untrusted no byte leaves."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
import uvloop
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tradeserver.net.http import HttpClient, NotSentError
from tradeserver.net.websocket import ConnectError, WebSocket, connect


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def echo(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade") != "websocket":
        return web.Response(text="hello")
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


def test_tls(certificate: Path) -> None:
    async def main() -> None:
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(certificate)
        app = web.Application()
        app.router.add_get("/", echo)
        runner = web.AppRunner(app, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=serving).start()
        address = f"127.0.0.1:{runner.addresses[0][1]}/"
        trusting = ssl.create_default_context(cafile=certificate)
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        closed: list[str] = []

        async def talk(tls: ssl.SSLContext | None) -> WebSocket:
            return await connect(
                f"wss://{address}",
                {},
                on_frame=heard.put_nowait,
                on_open=lambda socket: None,
                on_close=closed.append,
                tls=tls,
            )

        socket = await talk(trusting)
        assert socket.send(b"over TLS")
        assert await asyncio.wait_for(heard.get(), 5) == b"over TLS"
        with pytest.raises(ConnectError, match="certificate"):
            await talk(None)
        trusted, untrusted = HttpClient(tls=trusting), HttpClient()
        assert (await trusted.request("GET", f"https://{address}", {}, b"", 10**9))[2] == b"hello"
        with pytest.raises(NotSentError, match="certificate"):
            await untrusted.request("GET", f"https://{address}", {}, b"", 10**9)
        socket.close("done")
        assert closed == ["done"]
        await socket.gone()
        await trusted.close()
        await untrusted.close()
        await runner.cleanup()

    uvloop.run(main())
