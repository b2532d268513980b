"""Make before break: connections are renewed while their channel goes on.

A venue ends every connection after 24 hours, or says that it is about to. Some time before, the codec asks for a
second connection of the same channel under its other name ("market" and "market.b"). When that one is confirmed it
speaks for the channel; the old one is kept for `OVERLAP_NS`, for answers and events on their way, and closed. Meanwhile
events come twice, and whoever receives them counts them once. A channel is up while either of its connections is.

| connection | due, or hurried          | successor confirmed | `OVERLAP_NS` later | lost                           |
|------------|--------------------------|---------------------|--------------------|--------------------------------|
| in use     | leaving; successor opens | -                   | -                  | channel down, unless the other |
| leaving    | -                        | speaks no more      | closed for good    | the same                       |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tradeserver.venues.base import CloseChannel, OpenChannel, Outgoing, channel_of

OVERLAP_NS: Final = 5_000_000_000
"""Longer than any answer takes that is still waited for."""
_SPARE: Final = ".b"


def other(link: str) -> str:
    """The channel's other name."""
    return link.removesuffix(_SPARE) if link.endswith(_SPARE) else link + _SPARE


def both(channel: str) -> tuple[str, str]:
    """Both names of a channel."""
    return channel, other(channel)


class Rotation:
    """One venue's connections; `lifetimes_ns` by channel, from the handshake on."""

    def __init__(self, lifetimes_ns: Mapping[str, int], outgoing: list[Outgoing]) -> None:
        self._lifetimes_ns = dict(lifetimes_ns)
        self._outgoing = outgoing
        self._speaks = {channel: channel for channel in lifetimes_ns}
        self._up: dict[str, list[str]] = {channel: [] for channel in lifetimes_ns}
        self._due: dict[str, int] = {}
        self._leaving: dict[str, int] = {}  # when to close it; 0: its successor is not there yet

    def speaks(self, channel: str) -> str:
        """The name of the connection that speaks for the channel."""
        return self._speaks[channel]

    def is_up(self, channel: str) -> bool:
        """Whether either connection is confirmed."""
        return bool(self._up[channel])

    def overlaps(self, channel: str) -> bool:
        """Whether both are: what one has said, the other says again."""
        return len(self._up[channel]) > 1

    def opened(self, link: str, ts: int) -> None:
        """The handshake is done."""
        self._due[link] = ts + self._lifetimes_ns[channel_of(link)]

    def up(self, link: str) -> bool:
        """Confirmed. True: the channel was down."""
        channel = channel_of(link)
        links = self._up[channel]
        first = not links
        if link not in links:
            links.append(link)
        if first or link not in self._leaving:
            self._speaks[channel] = link
        return first

    def down(self, link: str) -> bool:
        """Lost. True: the channel was up and is down with it."""
        self._due.pop(link, None)
        channel = channel_of(link)
        links = self._up[channel]
        if link not in links:
            return False
        links.remove(link)
        if links:
            self._speaks[channel] = links[-1]
        return not links

    def hurry(self, link: str, ts: int) -> None:
        """The venue says that it will close this one soon."""
        if link in self._due:
            self._due[link] = ts

    def tick(self, ts: int) -> None:
        """Ask for what is due, close what has been replaced."""
        for link, due in list(self._due.items()):
            if ts >= due:
                del self._due[link]
                self._leaving.setdefault(link, 0)
                self._outgoing.append(OpenChannel(channel=other(link)))
        for link, until in list(self._leaving.items()):
            if other(link) not in self._up[channel_of(link)] or self._speaks[channel_of(link)] == link:
                self._leaving[link] = 0  # its successor is not there yet, or no more
            elif not until:
                self._leaving[link] = ts + OVERLAP_NS
            elif ts >= until:
                del self._leaving[link]
                self._outgoing.append(CloseChannel(channel=link))
