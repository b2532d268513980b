"""KuCoin's push WebSocket: welcome, ping, subscriptions by topic, and their limits.

Rules (classic WebSocket pages and error codes, 2025-11): connect with a bullet token, wait for `welcome`; the client
sends `{"id","type":"ping"}` at least every pingInterval and is closed after pingInterval + pingTimeout of silence; an
answer's id is a string whatever came; at most 100 topics a subscribe, 300 a session, 50 sessions a user, 100 messages
per 10 s from the client; a connection lives 24 hours. Private topics need the token of a key.
"""

from __future__ import annotations

from urllib.parse import parse_qs

import msgspec

from tradeserver.simulator.front import Close, Outgoing
from tradeserver.simulator.kucoin.publisher import Published, Publisher
from tradeserver.simulator.kucoin.tokens import Tokens
from tradeserver.simulator.kucoin.users import TOPICS, PrivateMessage
from tradeserver.wire import kucoin as wire

SECOND_NS = 1_000_000_000
LIFETIME_NS = 24 * 3600 * SECOND_NS
PING_TIMEOUT_MS = 10_000
MOST_TOPICS_A_TIME = 100
MOST_TOPICS = 300
MOST_SESSIONS = 50
MESSAGES_PER_PERIOD = 100
PERIOD_NS = 10 * SECOND_NS

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(wire.Subscribe, strict=False)


class _Refused(Exception):  # noqa: N818 - an answer, not a failure
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Session:
    """One push connection. `account` is "" on a public token."""

    def __init__(self, conn: int, account: str, private: bool, now_ns: int) -> None:
        self.conn = conn
        self.account = account
        self.private = private
        self.opened_ns = now_ns
        self.heard_ns = now_ns
        self.topics: dict[str, None] = {}
        self.closing = False
        self._period = 0
        self._messages = 0

    def too_fast(self, now_ns: int) -> bool:
        """Count one message of the client; True when it is one too many in these ten seconds."""
        if now_ns // PERIOD_NS != self._period:
            self._period, self._messages = now_ns // PERIOD_NS, 0
        self._messages += 1
        return self._messages > MESSAGES_PER_PERIOD


class Push:
    """All push connections."""

    def __init__(self, publisher: Publisher, tokens: Tokens, ping_interval_ms: int) -> None:
        self.ping_interval_ms = ping_interval_ms
        self._publisher = publisher
        self._tokens = tokens
        self._sessions: dict[int, Session] = {}
        self._readers: dict[str, dict[int, Session]] = {}

    def __contains__(self, conn: int) -> bool:
        return conn in self._sessions

    def connect(self, conn: int, query: str, now_ns: int) -> list[Outgoing]:
        """?token=..&connectId=x -> {"id":"x","type":"welcome"}. A wrong token is told in a frame, then closed."""
        values = parse_qs(query)
        owner = self._tokens.owner(values.get("token", [""])[0].replace(" ", "+"), now_ns)
        session = Session(conn, owner or "", bool(owner), now_ns)
        self._sessions[conn] = session
        if owner is None:
            return self._close(session, 401, "token is invalid")
        if owner and sum(1 for other in self._sessions.values() if other.account == owner) > MOST_SESSIONS:
            return self._close(session, 509, f"exceed max session count limitation of {MOST_SESSIONS}")
        name = values.get("connectId", [str(conn)])[0]
        return [(conn, _text(wire.Control(id=name, type="welcome")))]

    def closed(self, conn: int) -> None:
        """The connection is gone."""
        session = self._sessions.pop(conn)
        self._unsubscribe(session, list(session.topics))

    def is_private(self, conn: int) -> bool:
        """Whether it was opened with the token of a key."""
        return self._sessions[conn].private

    def reading(self) -> bool:
        """Whether anybody reads any public topic."""
        return any(topic not in TOPICS for topic in self._readers)

    # ---- from the client --------------------------------------------------------------------------------------------

    def message(self, conn: int, text: str, now_ns: int) -> list[Outgoing]:
        """{"id":1,"type":"subscribe","topic":"/market/level2:XRP-USDT","response":true} -> {"id":"1","type":"ack"}"""
        session = self._sessions[conn]
        if session.closing:
            return []
        session.heard_ns = now_ns
        try:
            request = _decoder.decode(text)
        except msgspec.DecodeError:
            return [(conn, _text(wire.ErrorFrame(code=400, data="message is invalid")))]
        number = str(request.id)
        if session.too_fast(now_ns):
            return [(conn, _text(wire.ErrorFrame(code=509, data="exceed max permits per second", id=number)))]
        if request.type == "ping":
            return [(conn, _text(wire.Control(id=number, type="pong")))]
        try:
            self._perform(session, request)
        except _Refused as refused:
            return [(conn, _text(wire.ErrorFrame(code=refused.code, data=refused.text, id=number)))]
        return [(conn, _text(wire.Control(id=number, type="ack")))] if request.response is True else []

    def _perform(self, session: Session, request: wire.Subscribe) -> None:
        if request.type not in ("subscribe", "unsubscribe"):
            raise _Refused(415, "command type is invalid")
        if not request.topic:
            raise _Refused(406, "topic is required")
        topics = _split(request.topic)
        if request.type == "unsubscribe":
            self._unsubscribe(session, [topic for topic in topics if topic in session.topics])
            return
        if len(topics) > MOST_TOPICS_A_TIME:
            raise _Refused(509, f"exceed max subscription count limitation of {MOST_TOPICS_A_TIME} per time")
        if len(session.topics.keys() | set(topics)) > MOST_TOPICS:
            raise _Refused(509, f"exceed max subscription count limitation of {MOST_TOPICS} per session")
        for topic in topics:
            if topic in TOPICS and not session.private:
                raise _Refused(403, "login is required")
            if topic not in TOPICS and not self._publisher.exists(topic):
                raise _Refused(404, f"topic {topic} is not found")
        for topic in topics:
            self._subscribe(session, topic)

    def _subscribe(self, session: Session, topic: str) -> None:
        if topic in session.topics:
            return
        session.topics[topic] = None
        self._readers.setdefault(topic, {})[session.conn] = session
        if topic not in TOPICS:
            self._publisher.read(topic)

    def _unsubscribe(self, session: Session, topics: list[str]) -> None:
        for topic in topics:
            del session.topics[topic]
            del self._readers[topic][session.conn]
            if not self._readers[topic]:
                del self._readers[topic]
            if topic not in TOPICS:
                self._publisher.unread(topic)

    # ---- to the clients ---------------------------------------------------------------------------------------------

    def publish(self, published: Published) -> list[Outgoing]:
        """One frame to everybody who reads its topic."""
        topic, frame = published
        return [(conn, frame) for conn in self._readers.get(topic, ())]

    def publish_private(self, message: PrivateMessage) -> list[Outgoing]:
        """One frame to those of the account who read its topic."""
        account, topic, frame = message
        return [(conn, frame) for conn, s in self._readers.get(topic, {}).items() if s.account == account]

    def tick(self, now_ns: int) -> list[Outgoing]:
        """Close the silent and the old."""
        frames: list[Outgoing] = []
        silence_ns = (self.ping_interval_ms + PING_TIMEOUT_MS) * 1_000_000
        for session in self._sessions.values():
            if session.closing:
                continue
            if now_ns - session.heard_ns > silence_ns:
                frames += self._close(session, 400, "ping timeout")
            elif now_ns - session.opened_ns >= LIFETIME_NS:
                session.closing = True
                frames.append((session.conn, Close(1000, "token expired")))
        return frames

    def expire(self) -> list[Outgoing]:
        """End every private session as if its token had run out (a fault)."""
        private = [session for session in self._sessions.values() if session.private and not session.closing]
        return [frame for session in private for frame in self._close(session, 401, "token is expired")]

    def _close(self, session: Session, code: int, text: str) -> list[Outgoing]:
        session.closing = True
        return [(session.conn, _text(wire.ErrorFrame(code=code, data=text))), (session.conn, Close(1000, text))]


def _split(topic: str) -> list[str]:
    """ "/market/level2:A,B" -> ["/market/level2:A", "/market/level2:B"]"""
    prefix, colon, names = topic.partition(":")
    return [f"{prefix}:{name}" for name in names.split(",") if name] if colon else [topic]


def _text(frame: msgspec.Struct) -> str:
    return _encoder.encode(frame).decode()
