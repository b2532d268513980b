"""A record that cannot be folded in is left out and told; a checkpoint that cannot is the end."""

from __future__ import annotations

import pytest

from shell_kit import alert, checkpoint
from tradeserver.core.records import Record
from tradeserver.runtime.recovery import fold


def test_a_record_that_raises_is_left_out_and_told() -> None:
    applied: list[Record] = []

    def apply(record: Record) -> None:
        if record.ts == 1_002:
            raise KeyError("order of nobody")
        applied.append(record)

    told = fold([checkpoint(ts=0, number=1), alert(1), alert(2), alert(3)], apply)
    assert [record.ts for record in applied] == [0, 1_001, 1_003]
    assert len(told) == 1
    assert told[0].startswith("alert of 1002: ")
    assert "order of nobody" in told[0]


def test_a_checkpoint_that_raises_ends_the_start() -> None:
    def apply(record: Record) -> None:
        raise KeyError("balances")

    with pytest.raises(KeyError):
        fold([checkpoint(ts=0, number=1)], apply)
