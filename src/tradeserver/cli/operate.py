"""The verbs that do something: run a daemon and its helpers, tell a daemon what to do, check and replay."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from tradeserver.cli import research
from tradeserver.cli.chaos import chaos
from tradeserver.cli.read import DEFAULT_STATE, ConfigOption, JsonOption, StateOption, control_socket

RUN, TELL, PROVE = "Run", "Tell a running daemon", "Check and prove"

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Configuration (TOML).")]
ScopeOption = Annotated[
    str, typer.Option("--scope", help="global, venue:NAME, symbol:BASE/QUOTE or strategy:NAME.", show_default=True)
]

data = typer.Typer(help="Recorded market data.", no_args_is_help=True, rich_markup_mode="rich")


alert = typer.Typer(help="Who is told.", no_args_is_help=True, rich_markup_mode="rich")


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    panels: dict[str, tuple[Callable[..., None], ...]] = {
        RUN: (demo, run, simulate),
        TELL: (kill, pause, resume, clear),
        PROVE: (check, replay, rebuild, drill, chaos),
    }
    for panel, verbs in panels.items():
        for verb in verbs:
            app.command(rich_help_panel=panel)(verb)
    data.command("verify")(verify)
    research.register(app, data)
    app.add_typer(data, name="data", rich_help_panel=PROVE)
    alert.command("test")(alert_test)
    app.add_typer(alert, name="alert", rich_help_panel=PROVE)
    app.command(hidden=True)(relay)
    app.command(hidden=True)(guard)


# ---- run ------------------------------------------------------------------------------------------------------------


def run(
    file: FileArgument,
    live: Annotated[
        bool, typer.Option("--live", help='Real orders, real money; the file must say mode = "live" too.')
    ] = False,
) -> None:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C."""
    from tradeserver import app

    raise typer.Exit(int(app.run(file, live)))


def demo(
    duration: Annotated[float, typer.Option("--duration", min=0, help="End after so many seconds; 0: Ctrl-C.")] = 0.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the summary there as JSON.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Work there and keep it; default: a temporary one.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the simulated market.")] = 1,
    fault: Annotated[list[str] | None, typer.Option("--fault", help="A fault to inject; may be repeated.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of the live picture.")] = False,
    capital: Annotated[
        float, typer.Option("--capital", min=0, help="Trade with so many USDT over both venues, and default limits.")
    ] = 0.0,
) -> None:
    """Everything at once on this machine: NATS, a simulated market, the daemon, the relay, and a live view."""
    from tradeserver.lab import demo as lab

    options = lab.DemoOptions(
        duration_s=duration,
        json_file=json_file,
        folder=folder,
        seed=seed,
        faults=tuple(fault or ()),
        plain=plain,
        capital=capital,
    )
    raise typer.Exit(int(lab.run(options)))


def simulate(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Markets, accounts, ports (TOML); default: a demo market.")
    ] = None,
    fault: Annotated[list[str] | None, typer.Option("--fault", help="A fault to inject; may be repeated.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the synthetic market; overrides the file's.")] = None,
    capital: Annotated[
        float, typer.Option("--capital", min=0, help="The demo market's accounts are worth so many USDT together.")
    ] = 0.0,
    step_ms: Annotated[
        int | None, typer.Option("--step-ms", min=1, help="Between two moves of each book; overrides the file's.")
    ] = None,
) -> None:
    """Run the simulated exchanges on loopback ports until Ctrl-C; prints one JSON line with their addresses."""
    import msgspec

    from tradeserver.services.faults import ConfigError
    from tradeserver.simulator import config, server

    try:
        if file is not None and capital:
            raise ConfigError("--capital is for the demo's market: a file has balances of its own")
        settings = config.default_config(Decimal(repr(capital))) if file is None else config.load(file)
        settings = msgspec.structs.replace(
            settings,
            faults=(*settings.faults, *(fault or ())),
            seed=settings.seed if seed is None else seed,
        )
        if step_ms is not None:
            settings = msgspec.structs.replace(
                settings, market=msgspec.structs.replace(settings.market, step_ms=step_ms)
            )
        config.check(settings, "the command line")
    except config.SimConfigError as error:
        raise ConfigError(str(error)) from None
    raise typer.Exit(int(server.run(settings)))


def relay(
    file: FileArgument,
    lifeline: Annotated[int, typer.Option("--lifeline", help="End on EOF of this inherited descriptor.")] = -1,
) -> None:
    """Deliver the write-ahead log to NATS and the database. The daemon starts one by itself."""
    from tradeserver import relay as process
    from tradeserver.config import load

    raise typer.Exit(int(process.run(load(file), lifeline)))


def guard(
    file: FileArgument,
    lifeline: Annotated[
        int, typer.Option("--lifeline", help="Read configuration and keys from this inherited descriptor, end on EOF.")
    ] = -1,
) -> None:
    """Watch over a daemon: kill when it cannot. The daemon starts one by itself."""
    from tradeserver import guard as process

    raise typer.Exit(int(process.run(file, lifeline)))


# ---- tell -----------------------------------------------------------------------------------------------------------


def kill(
    hedge: Annotated[bool, typer.Option("--hedge", help="First let hedges flatten what is open, then halt.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for the proof.")] = 60.0,
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop all trading now, cancel everything, and prove it: exit 0 only when nothing is open at any venue.

    The daemon is asked first, then the guard; with --config and neither of them, this command does it itself, with the
    keys that the configuration names. It stays so over restarts, until `clear kill`.
    """
    from tradeserver.cli import killing
    from tradeserver.services import kill_client

    path = control_socket(state, config).parent
    outcome = kill_client.kill(path, hedge, timeout, None if config is None else killing.here(config))
    raise typer.Exit(killing.tell(outcome, as_json))


def pause(
    scope: ScopeOption = "global",
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open no new arbitrage in a scope; open ones finish and hedge. `resume` lifts it; a restart does not.

    Scopes: global, venue:binance, symbol:BTC/USDT, strategy:cross_arb. Several may be paused at a time.

        tradeserver pause --scope venue:kucoin
    """
    _tell("pause", state, config, as_json, scope=scope)


def resume(
    scope: ScopeOption = "global",
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lift the pause of one scope. A kill or a latch needs `clear`; what has a time ends by itself.

    tradeserver resume --scope venue:kucoin
    """
    _tell("resume", state, config, as_json, scope=scope)


def clear(
    reason: Annotated[str, typer.Argument(help="The latch, as `status` names it; kill is one.")],
    scope: ScopeOption = "global",
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Clear a latch, after you have understood why it is there.

    A latch is what stops trading until a person has looked: a kill, a breaker, repeated crashes, a key that a venue
    does not accept. `status` names each with its scope. Dust that was levelled by hand is forgotten the same way.

        tradeserver clear kill
        tradeserver clear one-sided --scope strategy:cross_arb
        tradeserver clear "key refused" --scope venue:kucoin
        tradeserver clear dust --scope asset:BTC
    """
    _tell("clear", state, config, as_json, scope=scope, reason=reason)


def _tell(verb: str, state: Path, config: Path | None, as_json: bool, **args: Any) -> None:
    from tradeserver.cli import show
    from tradeserver.services.control import ask

    answer = ask(control_socket(state, config), verb, **args)
    if as_json:
        show.as_json(answer)
    else:
        show.as_facts(answer if isinstance(answer, dict) else {verb: answer})


# ---- check and prove ------------------------------------------------------------------------------------------------


def check(file: FileArgument, as_json: JsonOption = False) -> None:
    """Explain a configuration: where orders would go, every limit in words, the venues' cards, every value."""
    from tradeserver.cli import show
    from tradeserver.config import check_alerts, credentials, describe, load, wiring_allowed
    from tradeserver.config.feasible import refuse_impossible
    from tradeserver.services.faults import ConfigError

    config = load(file)
    refuse_impossible(config)
    keys = credentials(config)
    check_alerts(config)
    try:
        wiring = wiring_allowed(config, False, keys)
    except ConfigError:
        wiring = wiring_allowed(config, True, keys)
    found = describe.effective(config, wiring)
    if as_json:
        show.as_json(found)
        return
    print(f"{file} is good.\n\nWiring\n  {found['wiring']}\n\nLimits")
    for line in found["limits"]:
        print(f"  {line}")
    for venue, rows in found["cards"].items():
        print(f"\nCard of {venue}")
        for row in rows:
            print(f"  {row['rule']:<16} {row['state']:<6} {row['note']}")
    print(f"\nEffective configuration\n\n{found['config']}", end="")


def replay(
    directory: Annotated[Path, typer.Argument(metavar="RUN", help="A run's journal directory, or a recording.")],
    until: Annotated[
        str, typer.Option("--until", metavar="T", help="Stop there and show the state: ISO time, +SECONDS, or ns.")
    ] = "",
    explain: Annotated[
        str, typer.Option("--explain", metavar="ID", help="A client order id, a12 (arbitrage) or o12 (opportunity).")
    ] = "",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="What if? The same market, this key changed. May be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="With --set: folder of both results.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Feed a run's journal through the same code and compare every digest. Exit 1 where one differs.

    With --until it stops there and shows books, orders and balances as they stood; with --explain every record of one
    order, arbitrage or opportunity, the input behind each, and the books at the first. --set plays the run's market
    twice, as it was and changed, with orders to a paper venue.
    """
    from tradeserver.cli import show
    from tradeserver.lab import incident
    from tradeserver.runtime.journal import JournalError
    from tradeserver.services.faults import NotFoundError, OperatorError

    if not directory.is_dir():
        raise NotFoundError(f"there is no journal directory {directory}")
    try:
        if changes:
            with research.bar("what if") as progress:
                target = out or Path("backtests") / f"what-if-{directory.name}"
                (show.as_json if as_json else show.as_facts)(incident.what_if(directory, changes, target, progress))
            return
        answer = incident.question(directory, until, explain)
    except JournalError as error:
        raise OperatorError(f"{directory} cannot be replayed: {error}") from None
    (show.as_json if as_json else show.as_facts)(answer)
    proven = answer["mismatch"] is None if until else answer["equal"]
    raise typer.Exit(0 if proven else 1)


def rebuild(file: FileArgument) -> None:
    """Drop the database and fold the whole write-ahead log into it again."""
    from tradeserver.config import load
    from tradeserver.runtime.wal_read import read
    from tradeserver.services import layout
    from tradeserver.services.faults import OperatorError
    from tradeserver.services.lock import Lock
    from tradeserver.services.store import Store, StoreError

    config = load(file)
    lock = Lock(layout.relay_lock(config.state_dir))
    if not lock.take():
        raise OperatorError(f"a relay is at work here (process {lock.owner()}): stop the daemon first")
    try:
        at = Store(config.store_url).rebuild(read(layout.wal(config.state_dir), synced_only=True))
    except StoreError as error:
        raise OperatorError(f"the database cannot be rebuilt: {error}") from None
    print(f"rebuilt up to sequence {at}")


def drill(
    orders: Annotated[int, typer.Option("--orders", min=1, help="Orders that rest when the kill comes.")] = 20,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Kills of each scenario.")] = 3,
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", help="calm, frozen, thaw, throttled; may be repeated.")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the result there as JSON; - is stdout."),
    ] = None,
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
) -> None:
    """Rehearse the kill: harmlessly with the daemon that runs here, else for real against a simulator of its own."""
    from tradeserver.cli import killing
    from tradeserver.lab import drill as lab

    for name in scenario or ():
        if name not in lab.SCENARIOS:
            raise typer.BadParameter(f"choose of {', '.join(lab.SCENARIOS)}", param_hint="--scenario")
    path = control_socket(state, config).parent
    result = lab.run(path, orders, rounds, scenario or lab.SCENARIOS, lambda text: print(text, file=sys.stderr))
    raise typer.Exit(killing.tell_drill(result, json_file))


def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A recorded feed; or a recording's or data set's folder.")
    ],
    venue: Annotated[
        str, typer.Option("--venue", help="Of a feed: whose codec shall read it, binance or kucoin.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Prove recorded data: gaps, resyncs, agreement with the tickers in it, final books; exit 1 where they do not.

    A feed goes through the venue's codec alone; a recording is replayed and every digest compared; of a data set every
    block is read.
    """
    import msgspec

    from tradeserver.cli import show
    from tradeserver.lab.data import proving
    from tradeserver.runtime import verify as proof

    try:
        if file.is_dir():
            answer, problem = proving.prove(file)
        else:
            report = proof.verify(file, venue)
            answer, problem = msgspec.to_builtins(report), report.problem
    except proof.VerifyError as error:
        sys.stderr.write(f"tradeserver: {error}\n")
        raise typer.Exit(1) from None
    (show.as_json if as_json else show.as_facts)(answer)
    if problem:
        sys.stderr.write(f"tradeserver: {problem}\n")
        raise typer.Exit(1)


def alert_test(file: FileArgument, as_json: JsonOption = False) -> None:
    """Send one alert of each severity and a sample summary to everybody, fetch the heartbeat; exit 1 if one fails."""
    import asyncio

    from tradeserver.cli import show
    from tradeserver.config import load, resolver
    from tradeserver.services.alerting.rehearsal import rehearse
    from tradeserver.services.faults import NotFoundError
    from tradeserver.services.logs import Log

    config = load(file)
    rows = asyncio.run(rehearse(config.alerts, config.instance.name, resolver(config), Log("alert", out=sys.stderr)))
    if not rows:
        raise NotFoundError(f"{file} names nobody to tell: set alerts.discord, alerts.others or alerts.heartbeat")
    if as_json:
        show.as_json({"rows": rows})
    else:
        for row in rows:
            print(f"{row['channel']:<12} {row['what']:<10} {row['result']}")
    raise typer.Exit(0 if all(row["result"] == "delivered" for row in rows) else 1)
