"""Binance's WS API front end: requests in text frames, sessions, and the user data stream.

Rules (web-socket-api.md, 2026-07-21): `session.logon` needs an Ed25519 key, afterwards requests need only `timestamp`;
a request may still bring its own `apiKey` and `signature`; `userDataStream.subscribe` needs a session, `.signature` any
key; one subscription per account and connection (-2035), 1,000 at a time, 65,535 in a connection's life (-2042). Every
answer carries `rateLimits` unless that was switched off. Ping rule and lifetime as on the market streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tradeserver.simulator.accounts import Account
from tradeserver.simulator.binance import auth, errors, shapes
from tradeserver.simulator.binance.calls import Call, Calls
from tradeserver.simulator.binance.params import Params
from tradeserver.simulator.binance.sockets import Keepalive
from tradeserver.simulator.binance.users import UserEvent
from tradeserver.simulator.front import Outgoing
from tradeserver.wire import binance as wire

PATH = "/ws-api/v3"
MOST_SUBSCRIPTIONS = 1_000
MOST_SUBSCRIPTION_IDS = 65_535
CONNECT_WEIGHT = 2
SESSION_WEIGHT = 2

_encoder = msgspec.json.Encoder()


class _Request(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b"null")
    method: str = ""
    params: dict[str, msgspec.Raw] = {}


class Subscription(msgspec.Struct):
    """One user data subscription of a connection. `session`: it ends with the log-on that it came from."""

    number: int
    account: str
    session: bool


class ApiConnection:
    """One client of the WS API."""

    def __init__(self, conn: int, remote: str, unit: int, rate_limits: bool, keepalive: Keepalive) -> None:
        self.conn = conn
        self.remote = remote
        self.unit = unit
        self.rate_limits = rate_limits
        self.keepalive = keepalive
        self.account: Account | None = None
        self.api_key = ""
        self.authorized_ns = 0
        self.subscriptions: dict[int, Subscription] = {}
        self.next_subscription = 0
        self.called = False

    def subscribed(self, account: str) -> bool:
        return any(subscription.account == account for subscription in self.subscriptions.values())


class WsApi:
    """All WS API connections."""

    def __init__(self, calls: Calls, ping_ns: int) -> None:
        self._ping_ns = ping_ns
        self._calls = calls
        self._connections: dict[int, ApiConnection] = {}
        self._session_methods: dict[str, Callable[[ApiConnection, dict[str, str], Params, int], Any]] = {
            "session.logon": self._logon,
            "session.status": self._status,
            "session.logout": self._logout,
            "session.subscriptions": self._subscriptions,
            "userDataStream.subscribe": self._subscribe_session,
            "userDataStream.subscribe.signature": self._subscribe_signed,
            "userDataStream.unsubscribe": self._unsubscribe,
        }
        self._after: list[Outgoing] = []

    def __contains__(self, conn: int) -> bool:
        return conn in self._connections

    def connect(self, conn: int, path: str, query: str, remote: str, now_ns: int) -> bool:
        """/ws-api/v3[?returnRateLimits=false][&timeUnit=MICROSECOND]. Connecting weighs 2."""
        if path != PATH:
            return False
        values = parse_qs(query)
        micro = values.get("timeUnit", [""])[0].upper() == "MICROSECOND"
        shows = values.get("returnRateLimits", ["true"])[0].lower() != "false"
        unit = shapes.MICROSECOND_NS if micro else shapes.MILLISECOND_NS
        self._connections[conn] = ApiConnection(conn, remote, unit, shows, Keepalive(conn, self._ping_ns, now_ns))
        self._calls.address(remote).charge(CONNECT_WEIGHT, now_ns)
        return True

    def closed(self, conn: int) -> None:
        del self._connections[conn]

    def channel_of(self, conn: int) -> str:
        """What has subscribed to user data is for that; else who has called or logged on is there for orders."""
        connection = self._connections[conn]
        if connection.subscriptions:
            return "user"
        return "orders" if connection.called or connection.account else "user"

    def pong(self, conn: int, payload: bytes) -> None:
        self._connections[conn].keepalive.pong(payload)

    def tick(self, now_ns: int) -> list[Outgoing]:
        return [frame for connection in self._connections.values() for frame in connection.keepalive.tick(now_ns)]

    # ---- requests ---------------------------------------------------------------------------------------------------

    def message(self, conn: int, text: str, now_ns: int) -> list[Outgoing]:
        """{"id":"1","method":"time"} -> {"id":"1","status":200,"result":{"serverTime":1},"rateLimits":[..]}"""
        connection = self._connections[conn]
        try:
            request = msgspec.json.decode(text, type=_Request)
        except msgspec.DecodeError:
            request = _Request()
            answer = self._refused(connection, request, errors.Refused(-1135, "Invalid JSON Request"), now_ns)
        else:
            answer = self._answer(connection, request, now_ns)
        after, self._after = self._after, []
        return [(conn, _encoder.encode(answer).decode()), *after]

    def _answer(self, connection: ApiConnection, request: _Request, now_ns: int) -> dict[str, Any]:
        values = {name: _text(raw) for name, raw in request.params.items()}
        shows = values.pop("returnRateLimits", str(connection.rate_limits)).lower() != "false"
        signed_values = {name: _text(raw) for name, raw in request.params.items()}
        params = Params(values)
        method = request.method.removeprefix("v3/")
        rows: list[wire.RateLimit] = []
        try:
            if method in self._session_methods:
                self._charge(connection, SESSION_WEIGHT, now_ns)
                result = self._session_methods[method](connection, signed_values, params, now_ns)
            else:
                result, rows = self._call(connection, method, signed_values, params, now_ns)
        except errors.Refused as refused:
            answer = self._refused(connection, request, refused, now_ns)
        else:
            answer = {"id": request.id, "status": 200, "result": result}
            answer["rateLimits"] = [*rows, self._weight_row(connection, now_ns)]
        if not shows:
            del answer["rateLimits"]
        return answer

    def _call(
        self, connection: ApiConnection, method: str, values: dict[str, str], params: Params, now_ns: int
    ) -> tuple[Any, list[wire.RateLimit]]:
        call = self._calls.by_method.get(method)
        if call is None:
            raise errors.Refused(-1020, "This operation is not supported.")
        connection.called = True
        account: list[Account] = []

        def who(needs: str) -> Account:
            account.append(self._who(connection, values, params, needs, now_ns))
            return account[0]

        result = self._calls.perform(call, params, connection.remote, now_ns, connection.unit, who)
        return result, self._count_rows(call, account, now_ns)

    def _count_rows(self, call: Call, account: list[Account], now_ns: int) -> list[wire.RateLimit]:
        return self._calls.order_counts(account[0], now_ns) if call.counts and account else []

    def _who(
        self, connection: ApiConnection, values: dict[str, str], params: Params, needs: str, now_ns: int
    ) -> Account:
        """Who asks: the key that the request brings, else the session."""
        if "apiKey" not in values and "signature" not in values and connection.account is not None:
            account, _ = self._calls.client(connection.api_key, needs)
            auth.check_time(params, now_ns)
            return account
        account, key = self._calls.client(values.get("apiKey", ""), needs)
        auth.check_time(params, now_ns)
        auth.check_signature(key, auth.ws_payload(values), values.get("signature", ""))
        return account

    def _refused(
        self, connection: ApiConnection, request: _Request, refused: errors.Refused, now_ns: int
    ) -> dict[str, Any]:
        """{"id":"1","status":400,"error":{"code":-2010,"msg":".."},"rateLimits":[..]}; with 418 and 429 the absolute
        time in ms after which to come back."""
        error: dict[str, Any] = {"code": refused.code, "msg": refused.text}
        if refused.data is not None:
            error["data"] = refused.data
        elif refused.retry_ns:
            error["data"] = wire.Throttle(server_time=now_ns // 1_000_000, retry_after=refused.retry_ns // 1_000_000)
        return {
            "id": request.id,
            "status": refused.status,
            "error": error,
            "rateLimits": [self._weight_row(connection, now_ns)],
        }

    def _charge(self, connection: ApiConnection, weight: int, now_ns: int) -> None:
        address = self._calls.address(connection.remote)
        address.check(weight, now_ns)
        address.charge(weight, now_ns)

    def _weight_row(self, connection: ApiConnection, now_ns: int) -> wire.RateLimit:
        return wire.RateLimit(
            rate_limit_type="REQUEST_WEIGHT",
            interval="MINUTE",
            interval_num=1,
            limit=self._calls.limits.request_weight_1m,
            count=self._calls.address(connection.remote).used(now_ns),
        )

    # ---- sessions ---------------------------------------------------------------------------------------------------

    def _logon(self, connection: ApiConnection, values: dict[str, str], params: Params, now_ns: int) -> Any:
        account, key = self._calls.client(values.get("apiKey", ""), "read")
        if not key.public_key:
            # Text and code as clients of the venue report them; errors.md does not list them.
            raise errors.Refused(-4056, "HMAC_SHA256 API key is not supported.")
        auth.check_time(params, now_ns)
        auth.check_signature(key, auth.ws_payload(values), values.get("signature", ""))
        connection.account, connection.api_key, connection.authorized_ns = account, key.key, now_ns
        return self._session(connection, now_ns)

    def _status(self, connection: ApiConnection, values: dict[str, str], params: Params, now_ns: int) -> Any:
        return self._session(connection, now_ns)

    def _logout(self, connection: ApiConnection, values: dict[str, str], params: Params, now_ns: int) -> Any:
        connection.account, connection.api_key, connection.authorized_ns = None, "", 0
        for subscription in list(connection.subscriptions.values()):
            if subscription.session:
                self._terminate(connection, subscription, now_ns)
        return self._session(connection, now_ns)

    def _session(self, connection: ApiConnection, now_ns: int) -> wire.SessionStatus:
        return wire.SessionStatus(
            api_key=connection.api_key or None,
            authorized_since=connection.authorized_ns // connection.unit or None,
            connected_since=connection.keepalive.opened_ns // connection.unit,
            return_rate_limits=connection.rate_limits,
            server_time=now_ns // connection.unit,
            user_data_stream=bool(connection.subscriptions),
        )

    # ---- user data --------------------------------------------------------------------------------------------------

    def _subscribe_session(self, connection: ApiConnection, values: dict[str, str], params: Params, now_ns: int) -> Any:
        if connection.account is None:
            raise errors.Refused(-1002, "You are not authorized to execute this request.", 401)
        return self._subscribe(connection, connection.account, session=True)

    def _subscribe_signed(self, connection: ApiConnection, values: dict[str, str], params: Params, now_ns: int) -> Any:
        account, key = self._calls.client(values.get("apiKey", ""), "read")
        auth.check_time(params, now_ns)
        auth.check_signature(key, auth.ws_payload(values), values.get("signature", ""))
        return self._subscribe(connection, account, session=False)

    def _subscribe(self, connection: ApiConnection, account: Account, *, session: bool) -> wire.Subscribed:
        if connection.subscribed(account.name):
            raise errors.Refused(-2035, "User Data Stream subscription already active.")
        if len(connection.subscriptions) >= MOST_SUBSCRIPTIONS or connection.next_subscription >= MOST_SUBSCRIPTION_IDS:
            raise errors.Refused(-2042, "Maximum subscription ID reached for this connection.")
        number = connection.next_subscription
        connection.next_subscription += 1
        connection.subscriptions[number] = Subscription(number, account.name, session)
        return wire.Subscribed(subscription_id=number)

    def _unsubscribe(self, connection: ApiConnection, values: dict[str, str], params: Params, now_ns: int) -> Any:
        number = params.integer("subscriptionId")
        ended = [s for s in connection.subscriptions.values() if number in (None, s.number)]
        if not ended:
            raise errors.Refused(-2036, "User Data Stream subscription not active.")
        for subscription in ended:
            self._terminate(connection, subscription, now_ns)
        return {}

    def _subscriptions(self, connection: ApiConnection, values: dict[str, str], params: Params, now_ns: int) -> Any:
        return [wire.Subscribed(subscription_id=number) for number in connection.subscriptions]

    def _terminate(self, connection: ApiConnection, subscription: Subscription, now_ns: int) -> None:
        del connection.subscriptions[subscription.number]
        event = wire.EventStreamTerminated(event_time=now_ns // connection.unit)
        self._after.append((connection.conn, _wrapped(subscription.number, event)))

    def expire(self, now_ns: int) -> list[Outgoing]:
        """{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1728973001334}} to every subscription."""
        for connection in self._connections.values():
            for subscription in list(connection.subscriptions.values()):
                self._terminate(connection, subscription, now_ns)
        after, self._after = self._after, []
        return after

    def publish(self, event: UserEvent) -> list[Outgoing]:
        """{"subscriptionId":0,"event":{"e":"executionReport",..}} to every subscription of the account."""
        account, make = event
        return [
            (connection.conn, _wrapped(subscription.number, make(connection.unit)))
            for connection in self._connections.values()
            for subscription in connection.subscriptions.values()
            if subscription.account == account
        ]

    def shutdown(self, now_ns: int, grace_ns: int) -> list[Outgoing]:
        """{"event":{"e":"serverShutdown","E":1770123456789}}; as the market streams' own."""
        if grace_ns:
            for connection in self._connections.values():
                connection.keepalive.leave(now_ns + grace_ns)
        return [
            (conn, _encoder.encode({"event": wire.ServerShutdown(event_time=now_ns // connection.unit)}).decode())
            for conn, connection in self._connections.items()
        ]


def _wrapped(number: int, event: msgspec.Struct) -> str:
    return f'{{"subscriptionId":{number},"event":{_encoder.encode(event).decode()}}}'


def _text(raw: msgspec.Raw) -> str:
    """A parameter as it is signed: strings as they are, anything else as its JSON text."""
    data = bytes(raw)
    return str(msgspec.json.decode(data)) if data.startswith(b'"') else data.decode()
