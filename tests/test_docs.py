"""The documents say what is in the code: codes, keys, defaults, verbs, kinds, limits, names, links.

Tables are compared by their cells, so a default that changes in the code fails here until its row says so. Names are
looked up where the document says that they are: `core/engine.py: Engine.step` must be defined in that file.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from tradeserver.cli import app as command_line
from tradeserver.config.describe import docs
from tradeserver.config.schema import Config
from tradeserver.core.breaker import BreakerLimits
from tradeserver.core.execution import ExecutionPolicy
from tradeserver.core.limits import LIMITS
from tradeserver.core.losses import LossLimits
from tradeserver.core.orders import TRANSITIONS, Stimulus
from tradeserver.core.records import KINDS, Checkpoint, OrderState, TradingState
from tradeserver.core.risk import Reason, RiskLimits
from tradeserver.core.types import plain
from tradeserver.lab.bench.profile import NAMES as STAGE_NAMES
from tradeserver.lab.bench.table import TARGETS
from tradeserver.services.faults import Exit
from tradeserver.simulator import config as simulated
from tradeserver.simulator.fault_text import CHANNELS
from tradeserver.simulator.fault_text import KINDS as FAULTS
from tradeserver.strategies.base import BUILT_IN
from tradeserver.venues.card import RULES, incomplete

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src" / "tradeserver"
DOCS = ROOT / "docs"
TEXTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / ".github" / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
VENUES = ("binance", "kucoin")

Row = tuple[str, ...]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def tables(name: str) -> dict[Row, list[Row]]:
    """The tables of a document: their heads, and the rows of all tables with that head."""
    found: dict[Row, list[Row]] = {}
    head: Row = ()
    for line in [*text_of(name).splitlines(), ""]:
        if not line.startswith("|"):
            head = ()
            continue
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if not head:
            head = cells
            found.setdefault(head, [])
        elif set(line) - set("|-"):
            found[head].append(cells)
    return found


def table(name: str, *first: str) -> list[Row]:
    """The rows under the heads that begin with these cells."""
    rows = [row for head, rows in tables(name).items() if head[: len(first)] == first for row in rows]
    assert rows, f"docs/{name} has no table | {' | '.join(first)} |"
    return rows


def codes(text: str) -> list[str]:
    """What is written as code within lines; fenced blocks are left out."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def literal(value: Any) -> str:
    """A default as the documents write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, str):
        return f'"{value}"'
    return repr(list(value) if isinstance(value, tuple) else value)


def defaults(kind: Any) -> dict[str, str]:
    """Field -> its default of a dataclass that has one for each."""
    return {
        f.name: literal(f.default if f.default is not dataclasses.MISSING else f.default_factory())  # type: ignore[misc]
        for f in dataclasses.fields(kind)
    }


def written(rows: list[Row], key: int = 0, value: int = 1) -> dict[str, str]:
    return {codes(row[key])[0]: codes(row[value])[0] for row in rows}


# ---- risk ------------------------------------------------------------------------------------------------------------


def test_every_reason_has_a_row() -> None:
    rows = table("risk.md", "code", "means")
    assert [codes(row[0])[0] for row in rows] == [reason.value for reason in Reason]
    assert all(all(row) for row in rows), "each says what it means, what to do, and its scope"


@pytest.mark.parametrize(
    ("heads", "kind"),
    [
        (("key of `[execution]`", "default"), ExecutionPolicy),
    ],
)
def test_limits_have_their_defaults(heads: tuple[str, ...], kind: type) -> None:
    assert written(table("risk.md", *heads)) == defaults(kind)


SECTIONS_OF_LIMITS: dict[str, Any] = {"risk": RiskLimits, "losses": LossLimits, "breakers": BreakerLimits}


def test_the_one_table_of_limits_is_the_one_in_the_code() -> None:
    """Code, key, default, scope, meaning, end: every key of the three sections, once."""
    rows = table("risk.md", "code", "key", "default")
    wanted = []
    for limit in LIMITS:
        section, _, key = limit.key.partition(".")
        kind = SECTIONS_OF_LIMITS[section]
        meaning = docs(kind)[key]
        wanted.append(
            (f"`{limit.code}`", f"`{limit.key}`", f"`{defaults(kind)[key]}`", limit.scope, meaning, limit.ends)
        )
    assert rows == wanted
    keys = [f"{name}.{f.name}" for name, kind in SECTIONS_OF_LIMITS.items() for f in dataclasses.fields(kind)]
    assert sorted(limit.key for limit in LIMITS) == sorted(keys)
    capitals = {limit.code for limit in LIMITS if limit.code.isupper()}
    assert capitals <= {reason.value for reason in Reason}


def test_the_life_of_an_order_is_the_table_in_the_code() -> None:
    rows = table("risk.md", "state", *(stimulus.value for stimulus in Stimulus))
    found = {
        (OrderState(codes(row[0])[0]), stimulus): OrderState(cell)
        for row in rows
        for stimulus, cell in zip(Stimulus, row[1:], strict=True)
        if cell != "-"
    }
    assert found == TRANSITIONS
    assert [codes(row[0])[0] for row in rows] == [state.value for state in OrderState]


def test_every_trading_state_has_a_row() -> None:
    rows = table("risk.md", "state", "opening orders")
    assert [codes(row[0])[0] for row in rows] == [state.value for state in TradingState]


# ---- strategies, venues ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", BUILT_IN)
def test_strategy_parameters_are_in_its_document(strategy: str) -> None:
    rows = table(f"strategies/{strategy}.md", "key", "default", "unit")
    assert written(rows) == defaults(BUILT_IN[strategy][1])
    assert all(all(row) for row in rows)


@pytest.mark.parametrize("venue", VENUES)
def test_the_card_is_the_one_in_the_code(venue: str) -> None:
    card = importlib.import_module(f"tradeserver.venues.{venue}.card").CARD
    assert table(f"venues/{venue}.md", "rule") == [(row.rule, RULES[row.rule], row.state, row.note) for row in card]
    assert not incomplete(card)


# ---- alerts and log lines --------------------------------------------------------------------------------------------


def sources(folder: Path = SRC) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(folder.rglob("*.py")):
        if "simulator" not in path.relative_to(SRC).parts:
            yield path, ast.parse(path.read_text("utf-8"))


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in names:
            yield node


def constants(node: ast.AST) -> list[str]:
    """The texts that an expression may be: both branches of a choice, the fixed head of an f-string and a star."""
    if isinstance(node, ast.IfExp):
        return [*constants(node.body), *constants(node.orelse)]
    if isinstance(node, ast.JoinedStr):
        head = node.values[0]
        return [f"{head.value!s}*"] if isinstance(head, ast.Constant) else ["*"]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def alert_codes() -> set[str]:
    """Codes of the records, by the second argument of every `alert(severity, code, text)`; and those of the relay."""
    found: set[str] = set()
    for path, tree in sources():
        for call in calls(tree, "alert"):
            given = constants(call.args[1])
            if call.args[1:] and not given and path.name != "desk.py":
                raise AssertionError(f"{name_of(path)}:{call.lineno}: an alert whose code cannot be read")
            found.update(given)
    relay = ast.parse((SRC / "relay.py").read_text("utf-8"))
    silence = next(n for n in ast.walk(relay) if isinstance(n, ast.FunctionDef) and n.name == "silence")
    for node in ast.walk(silence):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            found.update(constants(node.value.elts[0]))
    return found


def test_every_alert_has_a_paragraph() -> None:
    found = alert_codes()
    assert {"EXPOSURE_HELD", "FOREIGN_ORDER", "ORPHAN_ORDER", "VENUE_*", "DAEMON_GONE"} <= found, "the search works"
    sections = re.split(r"^### ", text_of("operations.md"), flags=re.M)[1:]
    paragraphs = {section.partition("\n")[0]: section.partition("\n")[2].strip() for section in sections}
    assert set(paragraphs) == found
    assert all(len(paragraph) > 60 for paragraph in paragraphs.values())


def fault_codes() -> set[str]:
    """The fixed codes of `VenueFault`s: what follows VENUE_ in an alert."""
    found: set[str] = set()
    for path, tree in sources():
        if path.relative_to(SRC).parts[0] not in ("venues", "runtime", "sessions"):
            continue
        for call in calls(tree, "VenueFault"):
            found.update(c for keyword in call.keywords if keyword.arg == "code" for c in constants(keyword.value))
        for call in calls(tree, "fail", "_fail", "_fault"):
            found.update(constants(call.args[0])[:1] or (constants(call.args[1])[:1] if call.args[1:] else []))
    return {code for code in found if "*" not in code}


def test_every_fault_of_a_venue_has_a_row() -> None:
    rows = table("operations.md", "code after `VENUE_`")
    listed = {code for row in rows for code in codes(row[0])}
    found = fault_codes()
    assert {"malformed", "SILENT", "BAD_BODY", "UNKNOWN_STATUS"} <= found, "the search works"
    assert found <= listed


def test_every_log_line_has_a_row() -> None:
    listed = {code for row in table("operations.md", "event", "process") for code in codes(row[0])}
    found: set[str] = set()
    words: set[str] = set()
    processes = ("app/daemon.py", "relay.py", "guard/process.py", "guard/kill.py")
    alerting = ("services/metrics/sink.py", "services/alerting/outlet.py", "services/alerting/heartbeat.py")
    for name in (*processes, *alerting, "services/logs.py", "services/guarding.py"):
        tree = ast.parse((SRC / name).read_text("utf-8"))
        found.update(text for call in calls(tree, "put") for text in constants(call.args[1]))
        words.update(text for node in ast.walk(tree) for text in constants(node))
    assert "wal_repaired" in found, "the search works"
    assert found <= listed <= words


# ---- configuration, verbs, records, exit codes -----------------------------------------------------------------------


def test_every_section_of_the_configuration_is_named() -> None:
    named = {code for row in table("configuration.md", "section", "what") for code in codes(row[0])}
    sections = {
        f.name
        for f in dataclasses.fields(Config)
        if dataclasses.is_dataclass(f.type) or f.default_factory is not dataclasses.MISSING
    }
    sections |= {"instance", "venues.NAME", "[[strategies]]"}
    assert {code for code in named if code not in ("settings", "paper", "name", "params")} == sections


def group() -> Any:
    """The whole command line, as the library behind typer sees it."""
    return typer.main.get_command(command_line)


def verbs() -> dict[str, Any]:
    """Every verb that `--help` shows; those of a group as "group verb"."""
    found: dict[str, Any] = {}
    for name, command in group().commands.items():
        if hasattr(command, "commands"):
            found.update({f"{name} {inner}": each for inner, each in command.commands.items()})
        elif not command.hidden:
            found[name] = command
    return found


def test_every_verb_has_a_row() -> None:
    assert {codes(row[0])[0] for row in table("operations.md", "verb")} == set(verbs())


def test_every_kind_of_record_has_a_row() -> None:
    listed = [code for row in table("nats.md", "kind", "when") for code in codes(row[0])]
    assert sorted(listed) == sorted(kind for record, kind in KINDS.items() if record is not Checkpoint)


def test_every_exit_code_has_a_row() -> None:
    rows = table("exit-codes.md", "code", "name")
    assert [int(row[0]) for row in rows] == [int(code) for code in Exit]


NOT_THERE: dict[str, Callable[[], bool]] = {
    "NATS as an operator's channel": lambda: not any(SRC.rglob("kraken.py")),
    "Orders by REST while the order link is down": lambda: "reachable" in (SRC / "core/hedging.py").read_text("utf-8"),
}
"""What a release does not do yet, and a sign of it in the code: whoever builds it meets this test."""


def test_what_is_said_not_to_be_there_is_not() -> None:
    bullets = re.findall(r"^- (.+)$", text_of("operations.md").partition("Not there in this release")[2], flags=re.M)
    for beginning, missing in NOT_THERE.items():
        said = any(bullet.startswith(beginning) for bullet in bullets)
        assert said == missing(), f"docs/operations.md, 'Not there': {beginning}"


# ---- the stopwatch ---------------------------------------------------------------------------------------------------


ASKED = {
    "tick_to_order_us", "tick_to_arbitrage_us", "wire_to_wire_us", "floor_ratio", "depth_messages_per_s",
    "orders_per_s", "wal_write_us", "book_update_us", "rss_mb", "symbols_cost",
}  # fmt: skip
"""The figures by which this house is judged."""


def test_every_figure_is_explained_and_measured() -> None:
    explained = [code for row in table("performance.md", "figure", "what it is") for code in codes(row[0])]
    assert {target.figure for target in TARGETS} == set(explained)
    assert set(explained) >= ASKED
    missed = text_of("performance.md").partition("## What a missed target costs")[2]
    assert [figure for figure in ASKED if f"`{figure}`" not in missed and figure != "book_update_us"] == []


def test_results_stand_where_they_belong() -> None:
    """Each page has places for the tables; a table that stands there is whole."""
    keys = [target.key for target in TARGETS]
    for path, marks in (
        (ROOT / "README.md", ("bench", "peers")),
        (DOCS / "performance.md", ("bench", "peers", "stages")),
    ):
        text = path.read_text("utf-8")
        for mark in marks:
            assert f"<!-- {mark} -->" in text
            assert f"<!-- /{mark} -->" in text
        shown = text.partition("<!-- bench -->")[2].partition("<!-- /bench -->")[0]
        listed = re.findall(r"^\| `([\w.]+)` \|", shown, flags=re.M)
        assert not shown.strip() or listed == keys, f"{name_of(path)}: make bench ARGS=--markdown ..."


def test_budgets_stand_beside_the_stages() -> None:
    rows = table("performance.md", "stage", "budget us")
    names = [*STAGE_NAMES.values(), "reactor, frame"]
    assert [row[0] for row in rows[:-1]] == names
    whole = next(target.limit for target in TARGETS if target.key == "tick_to_arbitrage_us.5k.p50")
    assert float(rows[-1][1]) == whole == sum(float(row[1]) for row in rows[:-1])


# ---- the simulator ---------------------------------------------------------------------------------------------------


SECTIONS: dict[str, Any] = {
    "top level": simulated.SimConfig,
    "market": simulated.MarketConfig,
    "market.symbols.SYMBOL": simulated.SymbolFlow,
    "playback": simulated.PlaybackConfig,
    "venues.NAME": simulated.VenueConfig,
    "venues.NAME.accounts": simulated.AccountConfig,
    "venues.NAME.limits": simulated.LimitsConfig,
    "venues.NAME.recording": simulated.RecordingConfig,
}


def shown(field: Any) -> str:
    if field.required:
        return "required"
    if field.default is msgspec.NODEFAULT or field.default is None or isinstance(field.default, msgspec.Struct):
        return "-"
    return f"`{literal(field.default)}`"


def test_the_simulators_keys_have_their_defaults() -> None:
    rows = table("simulator.md", "section", "key", "default")
    wanted = [
        (section, f"`{field.name}`", shown(field))
        for section, kind in SECTIONS.items()
        for field in msgspec.structs.fields(kind)
    ]
    assert [row[:3] for row in rows] == wanted
    assert all(row[3] for row in rows)


def test_faults_and_control_requests_have_rows() -> None:
    assert [codes(row[0])[0] for row in table("simulator.md", "kind", "does")] == list(FAULTS)
    assert all(f"`{channel}`" in text_of("simulator.md") for channel in CHANNELS)
    tree = ast.parse((SRC / "simulator" / "control.py").read_text("utf-8"))
    routes = [
        f"{call.func.attr.upper()} {call.args[0].value!s}"
        for call in calls(tree, "get", "post")
        if isinstance(call.func, ast.Attribute)
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and str(call.args[0].value).startswith("/")
    ]
    assert routes, "the search works"
    assert [codes(row[0])[0] for row in table("simulator.md", "request")] == routes


# ---- names, limits, links, commands ----------------------------------------------------------------------------------


PLACE = re.compile(r"`([\w/]+\.py): ([\w.]+)`")


def defined(path: Path, dotted: str) -> bool:
    """Whether a file defines this function, class or constant, or this member of a class."""
    body: list[ast.stmt] = ast.parse(path.read_text("utf-8")).body
    for part in dotted.split("."):
        for node in body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = [getattr(node, "name", ""), *(getattr(t, "id", "") for t in targets)]
            if part in names:
                body = getattr(node, "body", [])
                break
        else:
            members = {t.attr for n in ast.walk(ast.Module(body, [])) for t in [n] if isinstance(t, ast.Attribute)}
            return part in members and dotted.endswith(part)  # set in __init__
    return True


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_named_places_exist(path: Path) -> None:
    wrong = [
        f"{file}: {dotted}"
        for file, dotted in PLACE.findall(path.read_text("utf-8"))
        if not (SRC / file).is_file() or not defined(SRC / file, dotted)
    ]
    assert not wrong


def constant(file: str, dotted: str) -> Any:
    """The value of a constant, or the default of a field."""
    found: Any = importlib.import_module("tradeserver." + file.removesuffix(".py").replace("/", "."))
    *parents, last = dotted.split(".")
    for parent in parents:
        found = getattr(found, parent)
    if dataclasses.is_dataclass(found):
        return next(f.default for f in dataclasses.fields(found) if f.name == last)
    return getattr(found, last)


def test_every_limit_has_the_value_of_its_place() -> None:
    rows = table("architecture.md", "limit", "default", "place")
    assert len(rows) > 40
    for row in rows:
        places = PLACE.findall(row[2])
        assert places, row
        assert codes(row[1]) == [literal(constant(*place)) for place in places], row
        assert row[3], row


PATH = re.compile(r"^[\w./*-]+(\.(py|md|toml|json|yml|conf|service)|/)$")
NO_FILE = re.compile(r"NAME|\*|^(build|state|http|/)|^[A-Z]+/|^SYMBOL|\.(cut-|log)|^package|^[\w-]+\.\w+\.\w+$")


def exists(token: str, beside: Path) -> bool:
    places = [ROOT / token, SRC / token, beside / token]
    return any(place.exists() for place in places) or any(SRC.rglob(token.rstrip("/")))


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_named_files_exist(path: Path) -> None:
    tokens = [code for code in codes(path.read_text("utf-8")) if PATH.match(code) and not NO_FILE.search(code)]
    assert [token for token in tokens if not exists(token, path.parent)] == []


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        file, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


def commands(text: str) -> list[list[str]]:
    """The words behind every `tradeserver` that is written as code."""
    blocks = re.findall(r"^```\w*\n(.*?)^```|((?:^    .*\n)+)", text, flags=re.M | re.S)
    code = [line for block in blocks for part in block for line in part.splitlines()] + codes(text)
    found = [re.match(r"\s*(?:\$ )?(?:\.venv/bin/)?tradeserver (.*)", line) for line in code]
    return [re.sub(r"\s#.*", "", match[1]).split() for match in found if match]


def test_commands_exist() -> None:
    known = verbs()
    known |= {name: group().commands[name] for name in ("relay", "guard")}  # hidden: the daemon starts them
    checked = 0
    for path in TEXTS:
        for words in commands(path.read_text("utf-8")):
            if words[0] in ("VERB", "--help"):
                continue
            verb = words[0] if words[0] in known else " ".join(words[:2])
            assert verb in known, f"{name_of(path)}: tradeserver {' '.join(words)}"
            options = {option for param in known[verb].params for option in param.opts} | {"--help", "-h"}
            used = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert used <= options, f"{name_of(path)}: tradeserver {' '.join(words)}"
            checked += 1
    assert checked > 15


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.M))
    for path in TEXTS:
        text = path.read_text("utf-8")
        used = {m for line in [*codes(text), *text.splitlines()] for m in re.findall(r"^make ([a-z-]+)", line)}
        assert used <= targets, f"{name_of(path)}: make {used - targets}"


def test_every_decision_is_in_the_index_and_whole() -> None:
    records = sorted(path for path in (DOCS / "decisions").glob("*.md") if path.name != "README.md")
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    index = text_of("decisions/README.md")
    for path in records:
        text = path.read_text("utf-8")
        heads = re.findall(r"^#+ (.+)$", text, flags=re.M)
        assert heads[1:] == ["Context", "Decision", "Consequence"], path.name
        assert f"| [{path.name[:4]}]({path.name}) | {heads[0][5:]} |" in index, path.name


def test_the_index_names_every_document() -> None:
    index = text_of("README.md")
    indexed = ("decisions", "runbooks")  # with an index of their own
    named = {path for path in DOCS.rglob("*.md") if path.parent.name not in indexed and path != DOCS / "README.md"}
    assert [str(path.relative_to(DOCS)) for path in sorted(named) if str(path.relative_to(DOCS)) not in index] == []
