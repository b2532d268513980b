"""The verb `chaos`: everything goes wrong that can, against the simulated venues; see `tradeserver/lab/chaos`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def chaos(
    rows: Annotated[
        str,
        typer.Option("--rows", metavar="1,2", help="These rows of the fault matrix alone; default: all, and pairs."),
    ] = "",
    random: Annotated[
        int, typer.Option("--random", min=0, help="Instead: so many arbitrage attempts under seeded mixes of faults.")
    ] = 0,
    kill: Annotated[
        int, typer.Option("--kill", min=0, help="Instead: kill -9 of a real daemon at so many points.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", help="All the chance there is.")] = 1,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the result there as JSON.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes; 0: one a core.")] = 0,
) -> None:
    """Fault matrix, randomised faults, or kill -9: what must hold afterwards is asked of the simulated exchanges."""
    if random and kill:
        raise typer.BadParameter("choose one of --random and --kill")
    if random:
        from tradeserver.lab.chaos import randomised

        code = randomised.run(random, seed, json_file, workers)
    elif kill:
        from tradeserver.lab.chaos import killing

        code = killing.run(kill, seed, json_file)
    else:
        from tradeserver.lab.chaos import matrix

        code = matrix.run(_numbers(rows), seed, json_file, workers)
    raise typer.Exit(int(code))


def _numbers(text: str) -> frozenset[int]:
    try:
        numbers = frozenset(int(part) for part in text.split(",") if part)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: write row numbers, as in 1,2,13", param_hint="--rows") from None
    if not numbers <= set(range(1, 51)):
        raise typer.BadParameter("there are rows 1 to 50", param_hint="--rows")
    return numbers
