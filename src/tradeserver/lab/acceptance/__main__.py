"""`make acceptance`: every item in full, one verdict a line; exit 1 if any fails.

    python -m tradeserver.lab.acceptance [--only 3,8] [--json FILE] [--keep DIR]

It runs in a checkout of the project (the directory it is started in) and needs the shared protocol data
($TRADESERVER_DATA, else ../shared/data). The working folder of an item that failed is kept and named.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tradeserver.lab.acceptance.house import CheckFailedError
from tradeserver.services.faults import Exit, OperatorError

Check = Callable[[Path, Path], str]
"""(working folder, folder of the shared data) -> what was seen. Raises CheckFailedError."""

DETAIL = 400  # characters of a verdict; the whole of it is in the JSON


class Item(NamedTuple):
    """Where the check of one item lies."""

    number: int
    module: str
    title: str


ITEMS = (
    Item(1, "newcomer", "a fresh clone, one command"),
    Item(2, "balanced", "ledger and accounts equal, nothing to hedge"),
    Item(3, "recorded", "real books"),
    Item(4, "spread", "real arbitrage input"),
    Item(5, "signed", "signatures"),
    Item(6, "delivered", "every sequence once on NATS"),
    Item(7, "replayed", "replay"),
    Item(8, "killed", "kill -9"),
    Item(9, "mistakes", "bad input"),
    Item(10, "paper", "paper without a key"),
)


class Verdict(NamedTuple):
    """What became of one item."""

    number: int
    title: str
    passed: bool
    detail: str
    seconds: float


def main(words: Sequence[str] | None = None) -> int:
    """The program; its exit code."""
    options = _options(words)
    try:
        data = shared_data()
        _require_checkout()
    except OperatorError as error:
        print(f"acceptance: {error}", file=sys.stderr)
        return int(error.exit_code)
    folder = Path(options.keep) if options.keep else Path(tempfile.mkdtemp(prefix="tradeserver-acceptance-"))
    verdicts = []
    for item in ITEMS:
        if not options.only or item.number in options.only:
            verdicts.append(_judge(item, folder / f"item-{item.number}", data, bool(options.keep)))
            print(line(verdicts[-1]), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps([v._asdict() for v in verdicts], indent=2) + "\n", "utf-8")
    if not options.keep and all(v.passed for v in verdicts):
        shutil.rmtree(folder, ignore_errors=True)
    return Exit.OK if verdicts and all(v.passed for v in verdicts) else Exit.ERROR


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="acceptance", description="What must be seen, one verdict a line.")
    parser.add_argument("--only", metavar="3,8", type=_numbers, default=(), help="these items alone")
    parser.add_argument("--json", metavar="FILE", help="write the verdicts there")
    parser.add_argument("--keep", metavar="DIR", help="work there and keep everything")
    return parser.parse_args(words)


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(","))
    unknown = set(numbers) - {item.number for item in ITEMS}
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no item {min(unknown)}")
    return numbers


def shared_data() -> Path:
    """The shared protocol data. Raises OperatorError: these checks mean nothing without them."""
    folder = Path(os.environ.get("TRADESERVER_DATA", "../shared/data")).resolve()
    if not (folder / "README.md").exists():
        raise OperatorError(f"the shared protocol data are not at {folder}: set TRADESERVER_DATA to their folder")
    return folder


def _require_checkout() -> None:
    if not Path("Makefile").exists() or not Path("tests").is_dir():
        raise OperatorError("start it in a checkout of the project: there is no Makefile or tests directory here")


def _judge(item: Item, folder: Path, data: Path, keep: bool) -> Verdict:
    """Runs one check; whatever it raises is a verdict too."""
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        passed, detail = True, _check(item)(folder, data)
    except (CheckFailedError, OperatorError) as error:
        passed, detail = False, f"{error} (kept in {folder})"
    except Exception:
        passed, detail = False, f"{traceback.format_exc()} (kept in {folder})"
    if passed and not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return Verdict(item.number, item.title, passed, detail, round(time.monotonic() - started, 1))


def _check(item: Item) -> Check:
    """The function `item_N` of the item's module. Raises CheckFailedError where it is not there."""
    name = f"tradeserver.lab.acceptance.{item.module}"
    try:
        check: Check = getattr(importlib.import_module(name), f"item_{item.number}")
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise CheckFailedError("not there") from None
    except AttributeError:
        raise CheckFailedError("not there") from None
    return check


def line(verdict: Verdict) -> str:
    """PASS or FAIL, number, title, what was seen, seconds: one line whatever the detail holds."""
    detail = " | ".join(part.strip() for part in verdict.detail.splitlines() if part.strip())
    if len(detail) > DETAIL:
        detail = f"{detail[: DETAIL // 2]} ... {detail[-DETAIL // 2 :]}"
    word = "PASS" if verdict.passed else "FAIL"
    return f"{word} {verdict.number:2} {verdict.title}: {detail} ({verdict.seconds:.1f} s)"


if __name__ == "__main__":
    sys.exit(main())
