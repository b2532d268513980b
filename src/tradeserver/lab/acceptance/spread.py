"""Item 4: arbitrage on two real feeds, the BTC spot recording as Binance and the perpetual's as KuCoin.

The expected episodes are computed here from the recordings' own best-quote frames with plain arithmetic, apart from
every piece of the product: the in-band tickers stand at least `bps` apart. Each of them is then found again among what
the daemon saw, by its time: the simulator tells when the recordings' first moment was played. Where nothing is found,
the run's journal must show why: in the order in which the frames of the two sockets came to the daemon (which on a busy
machine is not the recorded one, to some milliseconds) the venues never stood that far apart.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tradeserver.core.engine import Engine
from tradeserver.core.events import BestQuote, BookDelta, Event
from tradeserver.core.records import ArbitrageClosed, ArbitrageOpened, OpportunityClosed, Outcome
from tradeserver.lab.acceptance.house import House, house, require
from tradeserver.lab.acceptance.playing import (
    PERPETUAL,
    SPOT,
    Feed,
    Listed,
    Venue,
    play_began_ns,
    write_simulator,
)
from tradeserver.lab.acceptance.watched import look_on
from tradeserver.services import layout

SECONDS = 347.0
"""The whole of both recordings."""
TAKEN = 24
"""Episodes of the whole that must be taken at 5 bps."""
IN_BAND = 48
WATCH_BPS = 5.0
DEAR_SPEED = 4.0
EARLY_NS, LATE_NS = 20_000_000, 150_000_000
"""How much sooner and later than in the recording an episode may begin for us: sockets, and a busy machine."""

BALANCES = {"USDT": "100000000", "BTC": "2000"}
PARAMS = """\
watch_bps = 5
hysteresis_bps = 0
min_edge_bps = {min_edge_bps}
max_notional = 2000
"""
MORE = """\
[execution]
cool_off_ms = 0
[risk]
max_order_notional = 5000
max_position_notional = 100000
max_orders_per_s = 1000
[breakers]
one_sided_limit = 0
[losses]
streak = 0
"""


def item_4(folder: Path, data: Path) -> str:
    """The whole of both recordings at 1x without fees; and quicker with 10 bps a leg, which leave nothing."""
    free = real_arbitrage(folder / "free", data)
    require(free.in_band == IN_BAND, f"{free.in_band} episodes in the tickers instead of {IN_BAND}")
    check(free, TAKEN)
    dear = real_arbitrage(folder / "dear", data, fee_bps=10, speed=DEAR_SPEED)
    require(not dear.legs and not dear.taken, f"at 10 bps a leg {dear.taken} were taken with {dear.legs} legs")
    require(dear.seen, "at 10 bps a leg nothing was even seen")
    return f"{describe(free)}; at 10 bps a leg {dear.seen} seen, {dear.legs} legs\n" + "\n".join(listing(free))


# ---- what the recordings hold ----------------------------------------------------------------------------------------


class Episode(NamedTuple):
    """One stretch in which the in-band tickers stand at least `bps` apart, in the recordings' time."""

    start_ns: int
    end_ns: int
    buy: str  # the venue as which the cheaper feed is played


def episodes(data: Path, skip_s: float = 0.0, seconds: float = SECONDS, bps: float = WATCH_BPS) -> list[Episode]:
    """From the two files' bookTicker frames, in order of their local arrival."""
    feeds = {"binance": data / "recordings" / SPOT, "kucoin": data / "recordings" / PERPETUAL}
    quotes = sorted((quote for venue, file in feeds.items() for quote in _quotes(file, venue)), key=lambda q: q[0])
    begin = first_ns(data, skip_s)
    end = begin + int(seconds * 1e9)
    found: list[Episode] = []
    opened = 0
    buy = ""
    last: dict[str, tuple[float, float]] = {}
    for ns, venue, bid, ask in quotes:
        last[venue] = (bid, ask)
        if len(last) < 2 or ns < begin or ns > end:
            continue
        (b_bid, b_ask), (k_bid, k_ask) = last["binance"], last["kucoin"]
        edge, cheap = max((k_bid / b_ask, "binance"), (b_bid / k_ask, "kucoin"))
        if edge * 1e4 - 1e4 >= bps:
            if not opened:
                opened, buy = ns, cheap
        elif opened:
            found.append(Episode(opened, ns, buy))
            opened = 0
    return found


def first_ns(data: Path, skip_s: float = 0.0) -> int:
    """The first moment of both recordings, local time; or the first one `skip_s` later."""
    found = 0
    for after in (0.0, skip_s):
        begin = found + int(after * 1e9)
        found = min(_first_after(data / "recordings" / name, begin) for name in (SPOT, PERPETUAL))
    return found


def _first_after(path: Path, ns: int) -> int:
    with gzip.open(path, "rt") as lines:
        return next(at for at in (int(line.split(" ", 1)[0]) for line in lines) if at >= ns)


def _quotes(path: Path, venue: str) -> list[tuple[int, str, float, float]]:
    found = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            stamp, _, text = line.partition(" ")
            if "bookTicker" in text[:60]:
                quote = json.loads(text)["data"]
                found.append((int(stamp), venue, float(quote["b"]), float(quote["a"])))
    return found


# ---- what the daemon made of it --------------------------------------------------------------------------------------


class Clock(NamedTuple):
    """When a recorded moment was played."""

    first_ns: int  # recorded
    began_ns: int  # played
    speed: float

    def played_ns(self, recorded_ns: int) -> int:
        return self.began_ns + int((recorded_ns - self.first_ns) / self.speed)


class Met(NamedTuple):
    """One episode of the tickers and ours of that time; None where we saw none."""

    at_s: float  # since the first moment that was played
    lasted_ms: float
    ours: OpportunityClosed | None
    filled: bool = False  # an arbitrage of it had a fill
    why: str = ""  # it was not seen

    @property
    def fate(self) -> str:
        """ "taken", every reason of the refusal, or that it was not seen."""
        if self.ours is None:
            return f"not seen: {self.why}"
        if self.ours.taken:
            return "taken" if self.filled else "taken, but no leg filled"
        return " then ".join(f"{' + '.join(d.reasons)} ({d.count} times)" for d in self.ours.decisions)


class ArbitrageResult(NamedTuple):
    """What a run on recorded feeds showed. `others` are episodes of ours that the tickers alone do not show."""

    met: list[Met]
    seen: int
    legs: int
    outcomes: dict[str, int]
    others: int
    spans: list[tuple[int, int]]  # of all of ours

    @property
    def in_band(self) -> int:
        return len(self.met)

    @property
    def taken(self) -> int:
        return sum(met.fate == "taken" for met in self.met)


def real_arbitrage(
    folder: Path, data: Path, *, fee_bps: int = 0, speed: float = 1.0, skip_s: float = 0.0, seconds: float = SECONDS
) -> ArbitrageResult:
    """Both recordings through sockets and the whole daemon, from `skip_s` on for `seconds` of them.

    Without fees an arbitrage needs the whole 5 bps; with fees, anything that they leave.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recordings = data / "recordings"
    venues = {
        "binance": Venue({"BTC/USDT": Listed("BTCUSDT", "0.01", "0.00001")}, Feed(recordings / SPOT, "binance")),
        "kucoin": Venue(
            {"BTC/USDT": Listed("BTC-USDT", "0.1", "0.001")},
            Feed(recordings / PERPETUAL, "binance_usdm", {"BTCUSDT": "BTC/USDT"}),
        ),
    }
    settings = write_simulator(
        folder / "simulator.toml", venues, speed=speed, skip_s=skip_s, rate=f"{fee_bps / 1e4:g}", balances=BALANCES
    )
    params = PARAMS.format(min_edge_bps=0 if fee_bps else WATCH_BPS)
    with house(folder, [str(settings)], symbols=["BTC/USDT"], params=params, more=MORE) as built:
        built.start()
        built.wait("playing", lambda s: all(b["bid"] for b in s["books"]), 60)
        began_ns = play_began_ns(built)
        require(began_ns, "the simulator does not play")
        time.sleep(max(0.0, began_ns / 1e9 + seconds / speed - time.time()))
        code = built.stop()
        require(code == 0, f"the daemon ended with code {code}")
        clock = Clock(first_ns(data, skip_s), began_ns, speed)
        result = _result(built, episodes(data, skip_s, seconds), clock)
        return _explained(built, result, clock)


def _result(built: House, in_band: Sequence[Episode], clock: Clock) -> ArbitrageResult:
    ours: list[OpportunityClosed] = []
    opportunity: dict[int, int] = {}  # of each arbitrage
    filled: set[int] = set()
    outcomes: dict[str, int] = {outcome.value: 0 for outcome in Outcome}
    legs = 0
    for record in built.records():
        if isinstance(record, ArbitrageOpened):
            legs += len(record.legs)
            opportunity[record.arbitrage] = record.opportunity
        elif isinstance(record, ArbitrageClosed):
            outcomes[record.outcome.value] += 1
            if record.outcome is not Outcome.NOTHING:
                filled.add(opportunity[record.arbitrage])
        elif isinstance(record, OpportunityClosed):
            require(record.decisions, f"opportunity {record.opportunity} has no decision")
            ours.append(record)
    met = [m._replace(filled=m.ours is not None and m.ours.opportunity in filled) for m in match(in_band, ours, clock)]
    found = sum(m.ours is not None for m in met)
    spans = [(one.opened, one.opened + one.duration_ns) for one in ours]
    return ArbitrageResult(met, len(ours), legs, outcomes, len(ours) - found, spans)


def match(in_band: Sequence[Episode], ours: Sequence[OpportunityClosed], clock: Clock) -> list[Met]:
    """Each episode with the first of ours in its direction that begins within its time and is no other's."""
    left = sorted(ours, key=lambda one: one.opened)
    met = []
    for episode in in_band:
        start = clock.played_ns(episode.start_ns) - EARLY_NS
        end = clock.played_ns(episode.end_ns) + LATE_NS
        fitting = (one for one in left if one.buy_venue == episode.buy and start <= one.opened <= end)
        found = next(fitting, None)
        if found is not None:
            left.remove(found)
        lasted_ms = (episode.end_ns - episode.start_ns) / 1e6
        met.append(Met((episode.start_ns - clock.first_ns) / 1e9, lasted_ms, found))
    return met


def _explained(built: House, result: ArbitrageResult, clock: Clock) -> ArbitrageResult:
    """What was not seen was not there to be seen. Raises CheckFailedError where the daemon should have seen it."""
    if all(met.ours is not None for met in result.met):
        return result
    (run,) = layout.journals(built.state).iterdir()
    edges = Edges()
    look_on(run, edges.look)
    explained = [m if m.ours is not None else m._replace(why=edges.why(m, result.spans, clock)) for m in result.met]
    return result._replace(met=explained)


class Edges:
    """How far the venues stood apart for the daemon, after every event: buying at KuCoin, selling at Binance."""

    def __init__(self) -> None:
        self.all: list[tuple[int, float]] = []

    def look(self, engine: Engine, event: Event) -> None:
        """After one step."""
        if isinstance(event, BestQuote | BookDelta):
            ask = engine.market.symbols["kucoin", "BTC/USDT"].ask
            bid = engine.market.symbols["binance", "BTC/USDT"].bid
            self.all.append((event.ts, (bid / ask - 1) * 1e4 if ask else 0.0))

    def why(self, met: Met, spans: Sequence[tuple[int, int]], clock: Clock) -> str:
        """Why nothing of its own was seen of this episode. Raises CheckFailedError where something should have been."""
        start = clock.played_ns(clock.first_ns + int(met.at_s * 1e9))
        end = start + int(met.lasted_ms / clock.speed * 1e6)
        here = [(ts, edge) for ts, edge in self.all if start - EARLY_NS <= ts <= end + EARLY_NS]
        wide = [ts for ts, edge in here if edge >= WATCH_BPS]
        missed = [ts for ts in wide if not any(begin <= ts <= over for begin, over in spans)]
        require(not missed, f"at {met.at_s:.3f} s {WATCH_BPS:g} bps stood for the daemon and it saw nothing")
        if wide:
            return "in the order in which the frames came it was one with an episode next to it, or it was not there"
        most = max((edge for _, edge in here), default=0.0)
        return f"in the order in which the frames came at most {most:.2f} bps stood between the venues"


def check(result: ArbitrageResult, least_taken: int) -> None:
    """Raises CheckFailedError with the listing where too few were taken."""
    text = "\n".join((describe(result), *listing(result)))
    require(result.taken >= least_taken, f"fewer than {least_taken} taken: {text}")


def describe(result: ArbitrageResult) -> str:
    """One line for a person."""
    met = sum(m.ours is not None for m in result.met)
    outcomes = ", ".join(f"{count} {name}" for name, count in result.outcomes.items() if count) or "none"
    return (
        f"{result.in_band} episodes in the in-band tickers: {result.taken} taken, {met - result.taken} refused, "
        f"{result.in_band - met} not seen; {result.others} more seen between them; {result.legs} legs; "
        f"arbitrages: {outcomes}"
    )


def listing(result: ArbitrageResult) -> list[str]:
    """Every episode that was not taken, with why."""
    return [f"{m.at_s:.3f} s, {m.lasted_ms:.1f} ms: {m.fate}" for m in result.met if m.fate != "taken"]
