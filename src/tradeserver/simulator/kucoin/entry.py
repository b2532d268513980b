"""KuCoin's order entry by WebSocket: a signed URL, a challenge, then operations.

Rules ("Add Order - WebSocket" pages, 2025-11): the server speaks first, `{"sessionId","timestamp"}`; the client answers
with the base64 HMAC of that very text, as plain text, within 30 s (400011, 400012); after `welcome` each operation
`{"id","op","args"}` is answered under its id with the times in and out and what is left of the Spot pool. A refused URL
is told in a frame before the close [assumed]. The client pings in JSON; silence closes. Operations of the unified
dialect: `uta.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tradeserver.simulator.accounts import Account
from tradeserver.simulator.front import Close, Outgoing
from tradeserver.simulator.kucoin import auth, errors
from tradeserver.simulator.kucoin.limits import SPOT, Pools
from tradeserver.simulator.kucoin.rest import Clients
from tradeserver.simulator.kucoin.ticket import decode
from tradeserver.simulator.kucoin.trading import Trading
from tradeserver.simulator.kucoin.uta import Uta
from tradeserver.wire import kucoin as wire

PATH = "/v1/private"
CHALLENGE_NS = 30_000_000_000
PING_TIMEOUT_MS = 10_000
NEEDED = ("apikey", "timestamp", "sign", "passphrase")

_encoder = msgspec.json.Encoder()

Args = msgspec.Raw
Answer = wire.OperationAnswer[Any]


class Session:
    """One order entry connection. `challenge` is "" once it has been answered."""

    def __init__(self, conn: int, account: Account | None, secret: str, name: str, now_ns: int) -> None:
        self.conn = conn
        self.account = account
        self.secret = secret
        self.name = name
        self.opened_ns = now_ns
        self.heard_ns = now_ns
        self.challenge = _text(wire.Challenge(session_id=name, timestamp=now_ns // 1_000_000))
        self.closing = False


class Entry:
    """All order entry connections."""

    def __init__(self, trading: Trading, clients: Clients, pools: Pools, ping_interval_ms: int, rng: Random) -> None:
        self._clients = clients
        self._pools = pools
        self._ping_interval_ms = ping_interval_ms
        self._rng = rng
        self._sessions: dict[int, Session] = {}
        t, uta = trading, Uta(trading)
        self._operations: dict[str, Callable[[Account, Args, int], Any]] = {
            "spot.order": lambda account, args, now_ns: t.place(account, decode(args), now_ns),
            "spot.sync_order": lambda account, args, now_ns: t.place_sync(account, decode(args), now_ns),
            "spot.cancel": lambda account, args, now_ns: t.cancel(account, *_which(args), now_ns),
            "spot.sync_cancel": lambda account, args, now_ns: t.cancel_sync(account, *_which(args), now_ns),
            "uta.order": uta.order,
            "uta.cancel": uta.cancel,
            "uta.amend": uta.amend,
        }

    def __contains__(self, conn: int) -> bool:
        return conn in self._sessions

    def connect(self, conn: int, query: str, now_ns: int) -> list[Outgoing]:
        """?apikey=..&timestamp=..&sign=..&passphrase=.. -> {"sessionId":"..","timestamp":1742175983882}"""
        values = {name: rows[0] for name, rows in parse_qs(query).items()}
        try:
            account, secret = self._who(values, now_ns)
        except errors.Refused as refused:
            session = self._sessions[conn] = Session(conn, None, "", "", now_ns)
            return self._close(session, refused)
        name = f"{self._rng.getrandbits(128):032x}"
        session = self._sessions[conn] = Session(conn, account, secret, name, now_ns)
        return [(conn, session.challenge)]

    def closed(self, conn: int) -> None:
        """The connection is gone."""
        del self._sessions[conn]

    def _who(self, values: dict[str, str], now_ns: int) -> tuple[Account, str]:
        if any(not values.get(name) for name in NEEDED):
            raise errors.url_incomplete()
        account, key = self._clients.find(values["apikey"], "trade")
        auth.check_time(values["timestamp"], now_ns)
        auth.check_passphrase(values["passphrase"], key.secret, key.passphrase)
        auth.check_signature(values["sign"], key.secret, (values["apikey"] + values["timestamp"]).encode())
        return account, key.secret

    # ---- from the client --------------------------------------------------------------------------------------------

    def message(self, conn: int, text: str, now_ns: int) -> list[Outgoing]:
        """The answer to the challenge first; then
        {"id":"1","op":"spot.order","args":{..}} -> {"id":"1","op":"spot.order","code":"200000","data":{..},..}
        """
        session = self._sessions[conn]
        if session.closing:
            return []
        session.heard_ns = now_ns
        if session.challenge:
            return self._verify(session, text)
        return [(conn, _text(self._perform(session, text, now_ns)))]

    def _verify(self, session: Session, text: str) -> list[Outgoing]:
        if text.strip() != auth.sign(session.secret, session.challenge.encode()):
            return self._close(session, errors.verification_failed())
        session.challenge = ""
        welcome = wire.SessionWelcome(
            session_id=session.name, ping_interval=self._ping_interval_ms, ping_timeout=PING_TIMEOUT_MS
        )
        return [(session.conn, _text(welcome))]

    def _perform(self, session: Session, text: str, now_ns: int) -> Answer:
        now_ms = now_ns // 1_000_000
        try:
            request = msgspec.json.decode(text, type=_Operation)
        except msgspec.DecodeError as error:
            return wire.OperationAnswer(code="400100", msg=f"Parameter Error: {error}", in_time=now_ms, out_time=now_ms)
        if not request.id:
            text = "The id is required."
            return wire.OperationAnswer(op=request.op, code="4001002", msg=text, in_time=now_ms, out_time=now_ms)
        if request.op == "ping":
            return wire.OperationAnswer(id=request.id, op="pong", timestamp=now_ms)
        assert session.account is not None
        pool = self._pools.pool(SPOT, session.account.name)
        code, message, data = wire.OK, "", None
        try:
            pool.charge(1, now_ns)
            data = self._run(session.account, request, now_ns)
        except errors.Refused as refused:
            code, message = refused.code, refused.text
        return wire.OperationAnswer(
            id=request.id,
            op=request.op,
            code=code,
            data=data if code == wire.OK else msgspec.UNSET,
            msg=message or msgspec.UNSET,
            in_time=now_ms,
            out_time=now_ms,
            user_rate_limit=pool.row(now_ns),
        )

    def _run(self, account: Account, request: _Operation, now_ns: int) -> Any:
        operation = self._operations.get(request.op)
        if operation is None:
            raise errors.bad_parameter(f"op {request.op} is not supported")
        return operation(account, request.args, now_ns)

    # ---- time -------------------------------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> list[Outgoing]:
        """Close who does not answer the challenge, and who falls silent."""
        frames: list[Outgoing] = []
        silence_ns = (self._ping_interval_ms + PING_TIMEOUT_MS) * 1_000_000
        for session in self._sessions.values():
            if session.closing:
                continue
            if session.challenge and now_ns - session.opened_ns > CHALLENGE_NS:
                frames += self._close(session, errors.verification_late())
            elif not session.challenge and now_ns - session.heard_ns > silence_ns:
                session.closing = True
                frames.append((session.conn, Close(1000, "ping timeout")))
        return frames

    def _close(self, session: Session, refused: errors.Refused) -> list[Outgoing]:
        session.closing = True
        answer: Answer = wire.OperationAnswer(code=refused.code, msg=refused.text)
        return [(session.conn, _text(answer)), (session.conn, Close(1008, refused.text))]


class _Operation(msgspec.Struct):
    op: str = ""
    id: str = ""
    args: Args = msgspec.Raw(b"{}")


def _which(args: Args) -> tuple[str, str, str]:
    """(symbol, orderId, clientOid) of a cancel."""
    try:
        wanted = msgspec.json.decode(args, type=wire.CancelArgs)
    except msgspec.DecodeError as error:
        raise errors.bad_parameter(f"Parameter Error: {error}") from None
    order_id, client_id = wanted.order_id or "", wanted.client_oid or ""
    if not order_id and not client_id:
        raise errors.bad_parameter("Either orderId or clientOid is required.")
    return wanted.symbol, order_id, client_id


def _text(frame: msgspec.Struct) -> str:
    return _encoder.encode(frame).decode()
