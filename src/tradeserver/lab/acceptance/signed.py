"""Signatures: the tests that hold our signers against every published and captured signature, none left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from tradeserver.lab.acceptance.house import require

FILES = ("tests/venues/test_binance_signing.py", "tests/venues/test_kucoin_signing.py")
AGAINST_DATA = (
    "test_documented_hmac_vectors",
    "test_documented_ed25519_vectors",
    "test_captured_signatures_of_a_third_party_client",
    "test_every_documented_vector",
    "test_every_signature_that_ccxt_made",
)
"""The tests that read the shared vectors and count them; each must have been run."""


def item_5(folder: Path, data: Path) -> str:
    """Every vector and every captured signature is reproduced from its payload."""
    report = folder / "signing.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junit-xml={report}", *FILES],
        capture_output=True,
        text=True,
        timeout=120,
    )
    require(report.exists(), f"the tests did not run: {done.stdout[-500:]}{done.stderr[-500:]}")
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    passed = {str(case.get("name")) for case in cases if not len(case)}
    wrong = [str(case.get("name")) for case in cases if len(case)]
    require(done.returncode == 0 and not wrong, f"failed or skipped: {', '.join(wrong) or done.stdout[-500:]}")
    missing = [name for name in AGAINST_DATA if name not in passed]
    require(not missing, f"not run: {', '.join(missing)}")
    return f"{len(passed)} tests passed, none skipped"
