"""`python -m tradeserver.lab.bench.floor WS_URL [spin]`: what the sockets alone cost.

It receives the same frames as the daemon, decodes none of them, and on the same ticks sends two fixed orders, which is
the least that any program on this loop could do. The tick is found by a search for two prices in the bytes.
"""

from __future__ import annotations

import asyncio
import gc
import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tradeserver.runtime.ticks import spin

ORDER = (
    b'{"id":"B0D000000000010000","method":"order.place","params":{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT",'
    b'"timeInForce":"IOC","quantity":"0.00667","price":"60016.53","newClientOrderId":"B0D00000000001000",'
    b'"newOrderRespType":"FULL","recvWindow":1000,"timestamp":1700000000000,"apiKey":"SIMbinance","signature":'
    b'"0000000000000000000000000000000000000000000000000000000000000000"}}'
)


class Market(WSListener):
    """One venue's stream."""

    orders: WSTransport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT and triggers(frame.get_payload_as_bytes()):
            self.orders.send(WSMsgType.TEXT, ORDER)
            self.orders.send(WSMsgType.TEXT, ORDER)


def triggers(data: bytes) -> bool:
    """Whether a level at one of the two prices of `feed` comes (and does not go: size 0)."""
    at = data.find(b'"60243.')
    if at < 0:
        at = data.find(b'"59757.')
        if at < 0:
            return False
    size = data.index(b',"', at) + 2
    return data[size : size + 3] != b"0.0"


async def main(url: str, spins: bool) -> None:
    """Until the stream ends."""
    orders, _ = await ws_connect(WSListener, f"{url}/floor/orders")
    Market.orders = orders
    links = [await ws_connect(Market, f"{url}/floor/market{venue}") for venue in (0, 1)]
    gc.freeze()
    gc.disable()
    if spins:
        spin(asyncio.get_running_loop())
    print("ready", flush=True)
    await links[0][0].wait_disconnected()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], "spin" in sys.argv))
