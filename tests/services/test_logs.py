"""Log lines: JSON on a pipe, words on a terminal, secrets masked by their type, and never in anybody's way."""

from __future__ import annotations

import io
import json
import threading
from decimal import Decimal
from typing import Any

from tradeserver.core.records import Alert, BalanceBooked, Severity, StateChanged, TradingState
from tradeserver.services.logs import Log, notable, renderer
from tradeserver.services.secrets import Secret
from tradeserver.venues.base import Credentials

WORD = "correct-horse"


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_json_lines_with_plain_money_and_masked_secrets() -> None:
    out = io.StringIO()
    keys = Credentials(key=WORD, secret=WORD, passphrase=WORD)
    renderer(out).info(
        "up", ts_ns=1_784_678_400_123_456_789, edge=Decimal("1E-7"), deep={"a": [Secret(WORD)]}, keys=keys
    )
    (line,) = lines(out)
    assert line == {
        "event": "up",
        "level": "info",
        "ts_ns": 1_784_678_400_123_456_789,
        "timestamp": "2026-07-22T00:00:00.123456Z",
        "edge": "0.0000001",
        "deep": {"a": ["***"]},
        "keys": "***",
    }


def test_a_terminal_gets_words_and_no_local_variables() -> None:
    out = io.StringIO()
    logger = renderer(out, terminal=True)

    def fails() -> None:
        password = WORD
        raise RuntimeError("broken" + password[:0])

    try:
        fails()
    except RuntimeError:
        logger.exception("bad", secret=Secret(WORD))
    assert "RuntimeError: broken" in out.getvalue()
    assert WORD not in out.getvalue()


def test_lower_levels_are_not_written() -> None:
    out = io.StringIO()
    log = Log("t", out, level="warning")
    log.put("info", "quiet")
    log.put("warning", "loud", n=1)
    log.close()
    assert [(line["event"], line["process"], line["n"]) for line in lines(out)] == [("loud", "t", 1)]


class Stuck(io.StringIO):
    """A pipe that nobody reads, until somebody does."""

    def __init__(self) -> None:
        super().__init__()
        self.read_now = threading.Event()
        self.waiting = threading.Event()

    def write(self, text: str) -> int:
        self.waiting.set()
        self.read_now.wait(10)
        return super().write(text)


def test_a_stuck_output_holds_up_nobody_and_loses_only_what_is_counted() -> None:
    out = Stuck()
    log = Log("t", out, most=10, every_s=0.001)
    log.start()
    log.put("info", "first")
    assert out.waiting.wait(5)
    for n in range(100):
        log.put("info", "more", n=n)  # returns at once, or this test times out
    assert log.dropped == 90
    out.read_now.set()
    log.close()
    assert [line["event"] for line in lines(out)] == ["first"] + ["more"] * 10 + ["log_lines_dropped"]
    assert lines(out)[-1]["count"] == 90


def test_notable_records() -> None:
    alert = Alert(ts=5, severity=Severity.CRITICAL, code="KILLED", text="somebody said kill")
    assert notable(7, alert) == (
        "critical",
        "alert",
        {"sequence": 7, "ts_ns": 5, "severity": "critical", "code": "KILLED", "text": "somebody said kill"},
    )
    halted = StateChanged(ts=5, scope="global", state=TradingState.HALTED, reason="kill")
    line = notable(8, halted)
    assert line is not None
    assert line[0] == "warning"
    booked = BalanceBooked(ts=1, venue="v", asset="A", total=Decimal(1), previous=Decimal(0), reason="opening")
    assert notable(9, booked) is None
