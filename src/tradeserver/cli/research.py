"""The verbs of research: backtests, what they came to, and the data that they run on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeserver.cli.read import JsonOption

if TYPE_CHECKING:
    from tradeserver.lab.backtest.run import Progress

PANEL = "Research"

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key, as risk.max_order_notional=50. May be repeated."),
]


def register(app: typer.Typer, data: typer.Typer) -> None:
    """Add the verbs to `app`, and those of data to `data`."""
    for verb in (backtest, report, sweep, parity, record):
        app.command(rich_help_panel=PANEL)(verb)
    data.command("import")(import_)
    data.command("export")(export)


# ---- backtests ------------------------------------------------------------------------------------------------------


def backtest(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A configuration with a section \\[backtest] (TOML).")],
    changes: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the result; default backtests/NAME.")
    ] = None,
    database: Annotated[
        bool, typer.Option("--database", help="Build the database too: then orders, fills ... --state DIR read it.")
    ] = False,
    html: Annotated[bool, typer.Option("--html", help="Write report.html into the folder too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the engine over recorded data with pretended orders: the same code that trades live.

    The file is what `run` takes, plus `[backtest]`: data (folders made by `data import`, recordings, or runs), trading
    rules where the data have none, and an account for each venue. docs/research.md has one to copy. Exit 1 where a part
    of the data could not be read (the rest was run), 78 where the file is wrong.
    """
    from tradeserver.cli import show
    from tradeserver.lab.backtest import run as lab
    from tradeserver.lab.backtest import settings

    read = settings.load(file, changes or ())
    folder = out or Path("backtests") / file.stem
    with bar(f"backtest {file.name}") as progress:
        summary = lab.run(read, folder, progress, database=database)
    if html:
        from tradeserver.lab.report import page

        page.write(folder, folder / "report.html")
    if as_json:
        show.as_json(summary)
    else:
        show.as_facts({key: value for key, value in summary.items() if key != "figures"})
        print()
        show.as_facts(_short(summary["figures"]))
    for text in summary["troubles"]:
        sys.stderr.write(f"tradeserver: {text}\n")
    raise typer.Exit(1 if summary["troubles"] else 0)


def _short(figures: dict[str, Any]) -> dict[str, Any]:
    """What is asked for first; the report has all of it."""
    keys = ("quote", "capital", "profit", "fees", "trades", "orders", "returns", "refusals")
    return {key: figures[key] for key in keys}


class bar:  # noqa: N801  # used as a function
    """A progress bar on a terminal's standard error, a line every ten seconds into anything else."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown: Any = None
        self._task: Any = None
        self._next_s = 0.0

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._shown = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]:,.0f}/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._shown.start()
            self._task = self._shown.add_task(self._title, total=None, rate=0.0)
        return self.update

    def __exit__(self, *_: object) -> None:
        if self._shown is not None:
            self._shown.stop()

    def update(self, done: int, total: int, rate: float) -> None:
        """So far, in all, a second."""
        import time

        if self._shown is not None:
            self._shown.update(self._task, completed=done, total=max(total, done), rate=rate)
        elif time.monotonic() >= self._next_s:
            if self._next_s and rate:
                left = max(total - done, 0) / rate
                sys.stderr.write(f"{self._title}: {done:,} of about {total:,}, {rate:,.0f}/s, {left:.0f} s left\n")
            self._next_s = time.monotonic() + 10


def report(
    state: Annotated[Path, typer.Argument(metavar="DIR", help="State directory of a daemon, or a backtest's folder.")],
    run: Annotated[str, typer.Option("--run", help="One run of the log; default: the last.")] = "",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one page with plots, complete in itself.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What a run came to, live, paper or backtest: profit by day, symbol, strategy and venue, trades, edge, risk.

    Reads the write-ahead log alone; the daemon may be running. docs/research.md defines every figure.
    """
    from tradeserver.cli import show
    from tradeserver.lab.report.figures import figures_of

    figures = figures_of(state, run)
    if html is not None:
        from tradeserver.lab.report import page

        page.write(state, html, run)
        sys.stderr.write(f"tradeserver: {html} is written\n")
    (show.as_json if as_json else show.as_facts)(figures.summary())


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backtest's file.")],
    vary: Annotated[
        list[str],
        typer.Option("--vary", metavar="KEY=VALUES", help="KEY=1,2,5 or KEY=FROM:TO:STEP. May be repeated."),
    ],
    changes: SetOption = None,
    sample: Annotated[int, typer.Option("--random", min=0, help="So many points of the grid, by dice; 0: all.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Of the dice.")] = 1,
    objective: Annotated[
        str, typer.Option("--objective", help="profit, sharpe, sortino, average_profit or win_rate.")
    ] = "profit",
    walk_forward: Annotated[
        int,
        typer.Option("--walk-forward", min=0, help="So many parts of the time: choose on one, trade the next."),
    ] = 0,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes; 0: one a core.")] = 0,
    heat: Annotated[
        Path | None, typer.Option("--heat", metavar="FILE.png", help="A heat map of the first two keys.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Backtest every point of a grid of parameters, or a random sample of it, over all cores.

    Prints a table, best first, and a heat map of two keys. The best of many is also the luckiest: --walk-forward says
    what choosing by the past would have earned. docs/research.md.
    """
    import tempfile

    import msgspec

    from tradeserver.cli import show
    from tradeserver.lab.backtest import sweep as lab

    if objective not in lab.OBJECTIVES:
        raise typer.BadParameter(f"choose of {', '.join(lab.OBJECTIVES)}", param_hint="--objective")
    axes = [lab.axis(text) for text in vary]
    with tempfile.TemporaryDirectory(prefix="tradeserver-sweep-") as scratch, bar("sweep") as progress:
        found = lab.sweep(
            file,
            changes or (),
            axes,
            sample=sample,
            seed=seed,
            objective=objective,
            parts=walk_forward,
            workers=workers,
            scratch=Path(scratch),
            progress=progress,
        )
    if heat is not None:
        from tradeserver.lab.report import plots

        heat.write_bytes(plots.heat(*lab.matrix(found)))
    if as_json:
        show.as_json(msgspec.to_builtins(found))
    else:
        show.as_facts(lab.shown(found))


def parity(
    a: Annotated[Path, typer.Argument(metavar="A", help="What is trusted: a state directory or a backtest's folder.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="What is judged against it.")],
    as_json: JsonOption = False,
) -> None:
    """Compare two runs of the same hours (live, paper, backtest) and take their difference in profit apart.

    Missed and extra trades with the reason why the other run did not do them; of pairs: size, price, latency, fee. Exit
    1 where the difference is more than 10 % of A's profit.
    """
    from tradeserver.cli import show
    from tradeserver.lab.report import parity as lab

    answer = lab.compare(a, b)
    (show.as_json if as_json else show.as_facts)(answer)
    raise typer.Exit(0 if answer["good"] else 1)


# ---- data -----------------------------------------------------------------------------------------------------------


def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV (also .gz, .zip), a raw feed, or the folder of a run.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The data set: a new folder.")],
    venue: Annotated[str, typer.Option("--venue", help="Under this name the data will trade.")] = "binance",
    symbol: Annotated[str, typer.Option("--symbol", metavar="BASE/QUOTE", help="Where the file does not say.")] = "",
    kind: Annotated[
        str,
        typer.Option(
            "--kind", help="klines, bars, trades, aggTrades, bookTicker, books, feed, usdm, run; else by look."
        ),
    ] = "",
    tick: Annotated[float, typer.Option("--tick", min=0, help="Of bars: the distance of bid and ask.")] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Make a data set for backtests of market data that others, or a run of ours, have recorded.

    Binance's public files (klines, trades, aggTrades, bookTicker; several days at once), CryptoDataDownload's daily
    bars, rows of N levels, raw feeds (through the venue's real codec), and journals of runs (replayed). What is wrong
    with a row costs that row and a sentence; exit 1 says that there were such.
    """
    import msgspec

    from tradeserver.cli import show
    from tradeserver.lab.data import importing

    if kind and kind not in importing.KINDS:
        raise typer.BadParameter(f"choose of {', '.join(importing.KINDS)}", param_hint="--kind")
    made = importing.import_files(files, out, venue, symbol, kind, tick)
    answer = msgspec.to_builtins(made)
    if as_json:
        show.as_json(answer)
    else:
        show.as_facts({key: value for key, value in answer.items() if key != "problems"})
    for text in made.problems:
        sys.stderr.write(f"tradeserver: {text}\n")
    raise typer.Exit(1 if made.problems else 0)


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data set.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the Parquet files go.")],
    levels: Annotated[int, typer.Option("--levels", min=1, max=1_000, help="Levels a side of books.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Write a data set as Parquet for polars: books.parquet (the book after each change), trades.parquet."""
    from tradeserver.cli import show
    from tradeserver.lab.data import exporting

    answer = exporting.export(folder, out, levels)
    (show.as_json if as_json else show.as_facts)(answer)


def record(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A configuration: venues, symbols, endpoints (TOML).")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The recording: a new folder.")],
    venue: Annotated[list[str] | None, typer.Option("--venue", help="Only this one; may be repeated.")] = None,
    symbol: Annotated[
        list[str] | None, typer.Option("--symbol", metavar="BASE/QUOTE", help="Only this one; may be repeated.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="End after so many; 0: Ctrl-C.")] = 0.0,
    file_mb: Annotated[int, typer.Option("--file-mb", min=1, help="Size at which the next file begins.")] = 64,
    file_s: Annotated[float, typer.Option("--file-seconds", min=1, help="Age at which it does.")] = 3_600.0,
    as_json: JsonOption = False,
) -> None:
    """Record what the venues say: raw frames and answers with receive stamps, compressed and rotated. No key is read.

    `data verify DIR` proves a recording, `replay DIR` replays it, and a backtest takes it as data.
    """
    from tradeserver.cli import show
    from tradeserver.config import load
    from tradeserver.lab.data import recording
    from tradeserver.runtime.tape import TapeSettings

    config = recording.chosen(load(file), venue or (), symbol or ())

    def say(text: str) -> None:
        sys.stderr.write(f"tradeserver: {text}\n")

    settings = TapeSettings(file_bytes=file_mb << 20, file_s=file_s)
    answer = recording.record(config, out, seconds, settings, say)
    (show.as_json if as_json else show.as_facts)(answer)
