"""The safety case is complete: every row of the fault matrix, every test that it names, every section it points to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tradeserver.lab.chaos.matrix import ROWS

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "safety-case.md").read_text("utf-8")
TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if re.match(r"\| \d+ \|", line)
]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


def anchors(name: str) -> set[str]:
    """Of the headings of a document, as its readers make them."""
    heads = re.findall(r"^#+ (.*)$", (ROOT / "docs" / name).read_text("utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_row_is_there_in_the_matrix_own_words() -> None:
    assert [(int(number), title, rule) for number, title, rule, _, _ in TABLE] == [
        (row.number, row.title, row.rule) for row in ROWS
    ]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_every_row_has_a_test_or_says_why_not(row) -> None:  # type: ignore[no-untyped-def]
    proof = TABLE[row.number - 1][3]
    assert ("::" in proof) is bool(row.cases)
    if row.later:
        assert row.later in proof


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_every_named_test_exists(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text("utf-8"), flags=re.M)


def test_every_row_leads_to_a_section_that_exists() -> None:
    for row in TABLE:
        (name, anchor) = re.fullmatch(r"\[.*\]\(([\w\-./]+)#([\w\-]+)\)", row[4]).groups()  # type: ignore[union-attr]
        assert anchor in anchors(name), row[4]
