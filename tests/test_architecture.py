"""The import contracts of pyproject.toml, kept."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_import_contracts_are_kept(tmp_path: Path) -> None:
    program = Path(sysconfig.get_path("scripts")) / "lint-imports"
    done = subprocess.run(  # a process of its own: import-linter keeps state, and reads its configuration where it runs
        [program, "--config", ROOT / "pyproject.toml", "--cache-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
