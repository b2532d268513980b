"""Alert rules and dashboards: every expression parses, every metric and label in it exists, every rule has its page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from tradeserver.services.metrics.catalogue import Catalogue

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
BOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
OURS = {"instance", "job"}  # that Prometheus adds to everything


def known() -> dict[str, set[str]]:
    """Sample name -> its labels, of everything that the relay can serve."""
    found: dict[str, set[str]] = {}
    for metric in Catalogue().registry._names_to_collectors.values():
        labels, name, kind = set(metric._labelnames), metric._name, metric._type
        if kind == "counter":
            found[f"{name}_total"] = labels
        elif kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name] = labels
    return found


KNOWN = known()


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str, str]]:
    """(where, expression, text with {{label}}s)."""
    for rule in rules():
        yield f"rule {rule['alert']}", rule["expr"], re.sub(r"\$labels\.", "", rule["annotations"]["summary"])
    for path in BOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"], target["legendFormat"]


def selectors(node: Any) -> Iterator[Any]:
    """Every vector selector below `node`."""
    if isinstance(node, promql.VectorSelector):
        yield node
        return
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
        child = getattr(node, name, None)
        if isinstance(child, promql.VectorSelector) or (child is not None and not isinstance(child, str | float)):
            yield from selectors(child)
    for child in getattr(node, "args", None) or ():
        yield from selectors(child)


def groupings(node: Any) -> Iterator[list[str]]:
    """The labels of every `by (...)`."""
    modifier = getattr(node, "modifier", None)
    if isinstance(node, promql.AggregateExpr) and modifier is not None:
        yield list(modifier.labels)
    for name in ("expr", "lhs", "rhs", "param"):
        child = getattr(node, name, None)
        if child is not None and not isinstance(child, str | float):
            yield from groupings(child)
    for child in getattr(node, "args", None) or ():
        yield from groupings(child)


ALL = list(queries())


@pytest.mark.parametrize(("where", "expression", "text"), ALL, ids=[where for where, _, _ in ALL])
def test_every_query_resolves(where: str, expression: str, text: str) -> None:
    tree = promql.parse(expression)
    found = list(selectors(tree))
    names = set(re.findall(r"tradeserver_\w+", expression))
    assert {s.name for s in found} == names, "the search saw every metric"
    assert names
    labels = set.intersection(*(KNOWN[name] for name in names)) | OURS
    for selector in found:
        for matcher in selector.matchers.matchers:
            assert matcher.name in KNOWN[selector.name] | OURS, matcher.name
    for grouping in groupings(tree):
        assert set(grouping) <= labels, grouping
    used = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", text)) - {"value"}
    assert used <= labels


def test_a_metric_that_is_not_there_is_found_out() -> None:
    with pytest.raises(KeyError):
        test_every_query_resolves("x", "tradeserver_nonsense > 1", "")
    with pytest.raises(AssertionError):
        test_every_query_resolves("x", "sum by (colour) (tradeserver_book_trusted)", "")
    with pytest.raises(ValueError, match=r"."):
        promql.parse("sum by (")


def test_every_metric_is_looked_at() -> None:
    """A number that no rule and no panel shows is a number that nobody will find."""
    used = {name for _, expression, _ in ALL for name in re.findall(r"tradeserver_\w+", expression)}
    unused = {name for name in KNOWN if not re.search(r"_(sum|count)$", name)} - used
    assert not unused


def test_every_rule_has_its_page_and_every_page_its_rule() -> None:
    pages = {path.stem: path.read_text() for path in (ROOT / "docs" / "runbooks").glob("*.md") if path.stem != "README"}
    assert set(pages) == {rule["alert"] for rule in rules()}
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text()
    for rule in rules():
        page = pages[rule["alert"]]
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{rule['alert']}.md"
        assert f"`{rule['expr']}`" in page, "the page says what fires it"
        assert re.findall(r"^## (.+)$", page, flags=re.M) == ["What it means", "Look", "Do"]
        assert f"Severity {rule['labels']['severity']}." in page
        assert f"[{rule['alert']}]({rule['alert']}.md) | {rule['labels']['severity']} |" in index


def test_the_rest_of_deploy_is_well_formed() -> None:
    files = list((ROOT / "deploy").rglob("*.yml"))
    assert len(files) >= 4
    for path in files:
        assert yaml.safe_load(path.read_text())
    scrape = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    assert scrape["rule_files"] == [RULES.name]
    for path in BOARDS:
        board = json.loads(path.read_text())
        assert board["uid"] == path.stem
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
