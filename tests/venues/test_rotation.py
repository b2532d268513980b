"""Connections are renewed while their channel goes on: `venues/rotation.py` against a slow twin and any weather."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tradeserver.venues.base import CloseChannel, OpenChannel, Outgoing, channel_of
from tradeserver.venues.rotation import OVERLAP_NS, Rotation, both, other

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
LIFE = {"market": 22 * HOUR, "user": 23 * HOUR}


def opened(rotation: Rotation, link: str, ts: int = 0) -> bool:
    rotation.opened(link, ts)
    return rotation.up(link)


def test_names() -> None:
    assert both("market") == ("market", "market.b")
    assert other("market.b") == "market"
    assert [channel_of(link) for link in both("user")] == ["user", "user"]


def test_a_successor_is_made_before_the_old_one_goes() -> None:
    out: list[Outgoing] = []
    rotation = Rotation(LIFE, out)
    assert opened(rotation, "market")
    rotation.tick(22 * HOUR - 1)
    assert out == []
    rotation.tick(22 * HOUR)
    assert out == [OpenChannel("market.b")]
    assert rotation.speaks("market") == "market", "until its successor is confirmed"
    rotation.opened("market.b", 22 * HOUR)
    assert not rotation.up("market.b"), "the channel was up all the time"
    assert rotation.speaks("market") == "market.b"
    assert rotation.overlaps("market")
    at = 22 * HOUR + SECOND
    rotation.tick(at)
    rotation.tick(at + OVERLAP_NS - 1)
    assert out[1:] == []
    rotation.tick(at + OVERLAP_NS)
    assert out[1:] == [CloseChannel("market")]
    assert not rotation.down("market"), "the channel goes on"
    rotation.tick(44 * HOUR)
    assert out[2:] == [OpenChannel("market")], "and so on, with the names changed over"


def test_a_successor_that_cannot_be_had_changes_nothing() -> None:
    out: list[Outgoing] = []
    rotation = Rotation(LIFE, out)
    opened(rotation, "user")
    rotation.tick(23 * HOUR)
    for minute in range(10):
        assert not rotation.down("user.b"), "it never was up"
        rotation.tick(23 * HOUR + minute * 60 * SECOND)
    assert out == [OpenChannel("user.b")]
    assert rotation.speaks("user") == "user"
    assert rotation.is_up("user")


def test_an_end_that_is_announced_is_not_waited_for() -> None:
    out: list[Outgoing] = []
    rotation = Rotation(LIFE, out)
    opened(rotation, "user")
    rotation.hurry("user", HOUR)
    rotation.tick(HOUR)
    assert out == [OpenChannel("user.b")]


def test_the_old_one_dies_before_its_successor_is_there() -> None:
    out: list[Outgoing] = []
    rotation = Rotation(LIFE, out)
    opened(rotation, "user")
    rotation.tick(23 * HOUR)
    assert rotation.down("user"), "now the channel is down"
    rotation.opened("user.b", 23 * HOUR)
    assert rotation.up("user.b"), "and up again"
    assert rotation.speaks("user") == "user.b"


class AnyWeather(RuleBasedStateMachine):
    """A venue that ends connections after 24 h and whenever it likes; a transport that does as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.ts = 0
        self.out: list[Outgoing] = []
        self.rotation = Rotation(LIFE, self.out)
        self.wanted = {"market", "user"}  # what the transport keeps open
        self.confirmed: dict[str, int] = {}  # link -> since when
        self.told = {"market": False, "user": False}  # what the core has heard of each channel

    @rule(link=st.sampled_from([*both("market"), *both("user")]))
    def connects(self, link: str) -> None:
        if link in self.wanted and link not in self.confirmed:
            self.rotation.opened(link, self.ts)
            self.confirmed[link] = self.ts
            if self.rotation.up(link):
                assert not self.told[channel_of(link)]
                self.told[channel_of(link)] = True

    @rule(link=st.sampled_from([*both("market"), *both("user")]))
    def breaks(self, link: str) -> None:
        was_up = self.confirmed.pop(link, None) is not None
        if self.rotation.down(link):
            assert was_up
            assert self.told[channel_of(link)]
            self.told[channel_of(link)] = False

    @rule(hours=st.floats(0.0001, 12))
    def time_passes(self, hours: float) -> None:
        self.ts += int(hours * HOUR)
        self.rotation.tick(self.ts)
        for out in self.out:
            if isinstance(out, OpenChannel):
                self.wanted.add(out.channel)
            else:
                assert isinstance(out, CloseChannel)
                assert other(out.channel) in self.confirmed, "never the only one"
                self.wanted.discard(out.channel)
                self.breaks(out.channel)
        self.out.clear()

    @invariant()
    def the_core_knows(self) -> None:
        for channel, told in self.told.items():
            links = [link for link in both(channel) if link in self.confirmed]
            assert told == bool(links) == self.rotation.is_up(channel)
            assert self.rotation.overlaps(channel) == (len(links) == 2)
            if links:
                assert self.rotation.speaks(channel) in links
            assert any(link in self.wanted for link in both(channel)), "a channel is always kept open"


TestAnyWeather = AnyWeather.TestCase
TestAnyWeather.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
