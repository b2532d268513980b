"""The fits process as a session: `Fit` commands go to it, its answers come back as journaled inputs.

It has no venue, no links and no book. An answer that does not come, because the worker is away or died over the
question, is an empty one: the strategy then knows nothing new. In a replay nobody is asked; the answers are inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from tradeserver.core.commands import FITS, Command, Fit
from tradeserver.core.events import Event, Fitted
from tradeserver.sessions.base import Feeder

_encode = msgspec.msgpack.Encoder().encode
_fitted: msgspec.msgpack.Decoder[Fitted] = msgspec.msgpack.Decoder(Fitted)

Ask = Callable[[str, tuple[tuple[float, ...], ...]], bool]
"""(name, series) to the worker; False where it is away or has too much to do."""


class FitsSource:
    """What the worker answers."""

    def __init__(self) -> None:
        self.id = -1
        self.name = FITS

    def decode(self, data: bytes, ts: int) -> Sequence[Event]:
        """One answer, with the input's stamp."""
        return (msgspec.structs.replace(_fitted.decode(data), ts=ts),)

    def flush(self) -> bytes:
        """Nothing to say."""
        return b""


class FitsSession:
    """See the module. `ask` is set by whoever runs the worker; without it every answer is empty."""

    venue = FITS

    def __init__(self) -> None:
        self.source = FitsSource()
        self.ask: Ask = lambda name, series: False
        self._feeder: Feeder | None = None

    def bind(self, feeder: Feeder) -> None:
        """Make the source known."""
        self._feeder = feeder
        feeder.add(self.source)

    def start(self) -> None:
        """There is nothing to begin: the worker is a process of its own."""

    def answered(self, name: str, values: Mapping[str, float]) -> None:
        """The worker's answer, {} for none."""
        assert self._feeder is not None, "bind first"
        self._feeder.feed(self.source, _encode(Fitted(ts=0, name=name, values=dict(values))))

    def refusal(self, command: Command) -> str:
        """Nothing is refused: see the module."""
        return ""

    def perform(self, command: Command, ts: int, send: bool = True) -> tuple[bytes, str]:
        """See `Session.perform`."""
        assert isinstance(command, Fit), "only fits are asked for here"
        if send and not self.ask(command.name, command.series):
            self.answered(command.name, {})
        return _encode(command), ""

    def spent(self, ts: int) -> Mapping[str, tuple[int, int]]:
        """Nobody limits it."""
        return {}

    def tick(self, ts: int) -> Sequence[Event]:
        """Time passed."""
        return ()

    def flush(self) -> bytes:
        """Nothing to say."""
        return b""

    def reset(self, channel: str, reason: str) -> None:
        """Nothing to hang up."""

    def ping(self, ts: int) -> None:
        """Nothing to prove."""
