"""The verbs that only look: they read the database that the relay keeps, or ask the daemon's control socket.

Which daemon: `--state DIR` (default $TRADESERVER_STATE, else ./state) or `--config FILE`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

StateOption = Annotated[
    Path, typer.Option("--state", envvar="TRADESERVER_STATE", help="State directory of the daemon.", show_default=True)
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Find the state directory and database in this configuration instead.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON: money as strings, times as integers in ns.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many rows.")]

DEFAULT_STATE = Path("state")
PANEL = "Look"


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    for verb in (status, orders, fills, balances, arbitrages, opportunities, pnl, why, alerts):
        app.command(rich_help_panel=PANEL)(verb)


def control_socket(state: Path, config: Path | None) -> Path:
    """The daemon's control socket."""
    from tradeserver.services import layout

    if config is not None:
        from tradeserver.config import load

        state = load(config).state_dir
    return layout.control(state)


def status(state: StateOption = DEFAULT_STATE, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """How the daemon is: links, books, trading states, orders in flight. Exit 3 when none is running."""
    from tradeserver.cli import show
    from tradeserver.services.control import ask

    answer = ask(control_socket(state, config), "status")
    (show.as_json if as_json else show.as_facts)(answer)


def orders(
    live: Annotated[bool, typer.Option("--live", help="Only orders that have not ended.")] = False,
    limit: LimitOption = 50,
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Orders, newest first."""
    _answer("orders", state, config, as_json, lambda q, e: q.orders(e, limit, live))


def fills(
    limit: LimitOption = 50,
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fills, newest first."""
    _answer("fills", state, config, as_json, lambda q, e: q.fills(e, limit))


def balances(state: StateOption = DEFAULT_STATE, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The ledger's balance of each asset at each venue."""
    _answer("balances", state, config, as_json, lambda q, e: q.balances(e))


def arbitrages(
    limit: LimitOption = 50,
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Arbitrages with their expected and realised edge, newest first."""
    _answer("arbitrages", state, config, as_json, lambda q, e: q.arbitrages(e, limit))


def opportunities(
    taken: Annotated[bool | None, typer.Option("--taken/--refused", help="Only those.")] = None,
    limit: LimitOption = 50,
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Opportunities (episodes above the watch threshold), taken or refused and why, newest first."""
    _answer("opportunities", state, config, as_json, lambda q, e: q.opportunities(e, limit, taken))


def pnl(
    by: Annotated[str, typer.Option("--by", metavar="[day|symbol|venue]", help="Split by this.")] = "",
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Profit and loss by asset: the last mark, or realised by day (UTC) or symbol, or each venue's net flows."""
    if by not in ("", "day", "symbol", "venue"):
        raise typer.BadParameter("choose day, symbol or venue", param_hint="--by")
    _answer("split" if by else "pnl", state, config, as_json, lambda q, e: q.pnl(e, by))


def why(
    opportunity: Annotated[int | None, typer.Argument(help="Number of one opportunity, to see it in full.")] = None,
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why opportunities were refused, by reason; or everything about one of them."""
    if opportunity is None:
        _answer("refusals", state, config, as_json, lambda q, e: q.refusals(e))
        return
    from tradeserver.cli import show
    from tradeserver.services import queries

    answer = queries.opportunity(_database(state, config), opportunity)
    show.as_json(answer) if as_json else show.as_facts(answer["rows"][0])


def alerts(
    limit: LimitOption = 50,
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a person should have read, newest first."""
    _answer("alerts", state, config, as_json, lambda q, e: q.alerts(e, limit))


def _answer(
    kind: str, state: Path, config: Path | None, as_json: bool, question: Callable[[Any, Any], dict[str, Any]]
) -> None:
    from tradeserver.cli import show
    from tradeserver.services import queries

    answer = question(queries, _database(state, config))
    show.as_json(answer) if as_json else show.as_table(kind, answer)


def _database(state: Path, config: Path | None) -> Any:
    from tradeserver.services import layout, store

    if config is None:
        return store.read(layout.store_url(state))
    from tradeserver.config import load

    return store.read(load(config).store_url)
