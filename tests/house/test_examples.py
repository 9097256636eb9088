"""Every example runs as it stands once the package is installed (`pip install -e .`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES: dict[str, tuple[list[str], str]] = {
    "step_warehouse.py": ([], "orders_per_hour"),
    "rows_and_actions.py": ([], "16 of 16 actions were those of the agents' own spaces"),
}
"""By example, arguments that keep it short and a text that it must print."""


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example(name: str, tmp_path: Path) -> None:
    arguments, expected = EXAMPLES[name]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # the networks are small
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_every_example_is_run_by_some_test() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for path in (ROOT / "examples").rglob("*.py"):
        assert path.name in tests, f"no test runs {path.relative_to(ROOT)}"
