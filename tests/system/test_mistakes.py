"""Bad input ends with one sentence and the right code; `make acceptance` makes the other mistakes of the table too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tradeserver.lab.acceptance.mistakes import MISTAKES, Mistake, check
from tradeserver.lab.processes import Simulator

pytestmark = pytest.mark.system

HERE = (
    "unknown key",
    "missing secret file",
    "a secret that is no key",
    "simulator's port in use",
    "state directory is a file",
    "a directory as control socket",
    "second daemon",
    "damaged log",
    "unknown symbol",
    "HTML, 503",
    "never answers",
)
"""The others differ from these in the sentence, not in the way it is reached."""


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    made = Simulator(tmp_path_factory.mktemp("simulator"))
    yield made
    made.child.stop()


@pytest.mark.parametrize("mistake", [m for m in MISTAKES if m.name in HERE], ids=lambda m: m.name)
def test_one_sentence_the_right_code_nothing_left(mistake: Mistake, simulator: Simulator, tmp_path: Path) -> None:
    check(mistake, tmp_path / "site", simulator)


def test_the_table_has_what_is_tested_here() -> None:
    assert set(HERE) <= {m.name for m in MISTAKES}
