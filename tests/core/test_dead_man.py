"""The dead man's switch: armed while ready, renewed in time, left alone when killed, off after an orderly stop."""

from __future__ import annotations

from desk_kit import MS, SYMBOL, Kit
from tradeserver.core.commands import ArmDeadMan
from tradeserver.core.events import DeadManSet, LinkDown, Operator, QueryFailed
from tradeserver.core.killswitch import VenueSafety
from tradeserver.core.records import Alert

SECOND = 1_000 * MS
TIMEOUT_S = 30


class Switched(Kit):
    """KuCoin has a switch. `kept` is when the venue would fire; `deaf` makes it answer nothing."""

    def __init__(self) -> None:
        super().__init__(safety={"kucoin": VenueSafety(dead_man_s=TIMEOUT_S)})
        self.kept = 0
        self.deaf = False
        self.asked: list[int] = []
        self._heard = 0

    def run(self, seconds: float) -> list[int]:
        """Ticks of 100 ms; the times (s) that were asked for meanwhile."""
        before = len(self.asked)
        for _ in range(int(seconds * 10)):
            self.tick(100)
            waiting, self._heard = self.commands[self._heard :], len(self.commands)
            for command in waiting:
                if isinstance(command, ArmDeadMan):
                    assert (command.venue, command.symbols) == ("kucoin", (SYMBOL,))
                    self.asked.append(command.timeout_s)
                    if not self.deaf:
                        self.kept = self.ts + command.timeout_s * SECOND if command.timeout_s else 0
                        self.feed(DeadManSet(ts=self.ts, venue="kucoin", expires=self.kept))
        return self.asked[before:]

    def say(self, action: str, argument: str = "", source: str = "control") -> None:
        self.feed(Operator(ts=self.ts, action=action, argument=argument, source=source))

    def codes(self) -> list[str]:
        return [alert.code for alert in self.of(Alert)]

    def shown(self) -> str:
        (row,) = self.engine.dead_man.status()
        return str(row["state"])


def test_nothing_is_armed_before_the_venue_is_ready() -> None:
    kit = Switched()
    assert kit.run(5) == []
    assert kit.shown() == "off"


def test_armed_when_ready_and_renewed_at_a_third() -> None:
    kit = Switched()
    kit.begin()
    assert kit.run(1) == [TIMEOUT_S]
    assert kit.shown() == "armed"
    assert kit.run(8.5) == []
    assert kit.run(1) == [TIMEOUT_S]
    for _ in range(100):
        kit.run(1)
        assert kit.kept - kit.ts > 15 * SECOND, "well before it fires"


def test_a_lost_link_is_no_reason_to_let_it_fire() -> None:
    kit = Switched()
    kit.begin()
    kit.run(1)
    kit.feed(LinkDown(ts=kit.ts, venue="kucoin", channel="user", reason="oh"))
    assert kit.run(20) == [TIMEOUT_S, TIMEOUT_S]


def test_no_answer_is_asked_again_and_told_once_when_it_is_too_late() -> None:
    kit = Switched()
    kit.begin()
    kit.run(1)
    kit.deaf = True
    assert len(kit.run(28)) >= 5
    assert "DEAD_MAN_EXPIRED" not in kit.codes()
    kit.run(10)
    assert kit.codes().count("DEAD_MAN_EXPIRED") == 1
    assert kit.shown() == "off"
    kit.deaf = False
    kit.run(4)
    assert kit.shown() == "armed"
    assert kit.codes()[-1] == "DEAD_MAN_BACK"


def test_a_refusal_is_tried_again_after_a_pause() -> None:
    kit = Switched()
    kit.deaf = True
    kit.begin()
    assert kit.run(0.2) == [TIMEOUT_S]
    kit.feed(
        QueryFailed(ts=kit.ts, venue="kucoin", client_id="", query="ArmDeadMan", symbol="", reason="400100 timeout")
    )
    assert kit.run(0.8) == []
    assert kit.run(0.3) == [TIMEOUT_S]


def test_killed_it_is_left_to_fire() -> None:
    kit = Switched()
    kit.begin()
    kit.run(1)
    kit.say("kill")
    assert kit.run(40) == []
    assert "DEAD_MAN_EXPIRED" not in kit.codes(), "as it should"
    kit.say("clear", "kill")
    kit.run(1)
    assert kit.shown() == "armed"


def test_an_orderly_stop_switches_it_off_and_asks_again_until_it_is() -> None:
    kit = Switched()
    kit.begin()
    kit.run(1)
    kit.deaf = True
    kit.say("stop", "SIGTERM", "shell")
    assert kit.run(3.5) == [0, 0]
    assert kit.engine.dead_man.armed
    kit.deaf = False
    assert kit.run(4) == [0]
    assert not kit.engine.dead_man.armed
    assert kit.kept == 0
    assert kit.run(60) == []


def test_a_stop_with_an_order_in_flight_keeps_it_until_that_is_over() -> None:
    kit = Switched()
    kit.begin()
    kit.run(1)
    kit.quiet()
    buy, sell = kit.edge()
    kit.say("stop", "SIGTERM", "shell")
    assert kit.run(0.5) == []
    for order in (buy, sell):
        kit.fill(order)
        kit.close(order)
    assert kit.run(0.5) == [0]


def test_venues_without_a_switch_are_not_asked() -> None:
    kit = Kit()
    kit.begin()
    for _ in range(100):
        kit.tick(100)
    assert not [c for c in kit.commands if isinstance(c, ArmDeadMan)]
    assert kit.engine.dead_man.status() == []
