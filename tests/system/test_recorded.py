"""Short form of acceptance item 4: forty seconds of two recorded feeds through the whole daemon. See lab/acceptance."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradeserver.lab.acceptance.spread import check, describe, episodes, real_arbitrage

pytestmark = pytest.mark.system

SKIP_S, SECONDS = 212.0, 41.0
"""The liveliest part of the recordings, and a few quiet seconds before it: the guard comes up first."""
IN_BAND = 20


def test_the_tickers_show_the_documented_episodes(shared_data: Path) -> None:
    """48 at 5 bps in the whole of both files; the short form's part of them."""
    assert len(episodes(shared_data)) == 48
    assert len(episodes(shared_data, SKIP_S, SECONDS)) == IN_BAND


@pytest.mark.timeout(120)
def test_half_of_the_episodes_are_taken_and_the_others_have_reasons(shared_data: Path, tmp_path: Path) -> None:
    result = real_arbitrage(tmp_path, shared_data, skip_s=SKIP_S, seconds=SECONDS)
    print(describe(result))
    assert result.in_band == IN_BAND
    check(result, IN_BAND // 2)
    assert all(met.fate for met in result.met)
