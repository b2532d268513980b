"""For all tests: where the shared protocol data lie; and no time limit on an example, for a machine may be busy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with signing vectors, payload samples and recordings; the test is skipped where there is none."""
    default = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    folder = Path(os.environ.get("TRADESERVER_DATA", default)).resolve()
    if not (folder / "README.md").exists():
        pytest.skip(f"shared protocol data not found at {folder}; set TRADESERVER_DATA")
    return folder
