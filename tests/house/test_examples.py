"""Every example runs as it stands once the package is installed (`pip install -e .`)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES: dict[str, tuple[list[str], str]] = {
    "step_warehouse.py": ([], "orders_per_hour"),
    "noisy_channel.py": ([], "8 bits sent by each agent in a step"),
    "serverless.py": (["2", "2000"], "after the average"),
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "--algo.comm graph --algo.comm-rounds 2 --algo.gru 8 --channel.loss 0.3 --channel.delay-most 2",
        "--algo.comm attention --algo.comm-graph full --channel.range 0.8",
        "--algo.comm attention --algo.comm-graph knn-1",
        "--algo.comm mean --algo.comm-graph radius-0.8",
    ],
    ids=["late", "range", "knn", "radius"],
)
def test_agents_in_processes_of_their_own_act_as_in_the_batch(words: str, tmp_path: Path) -> None:
    """Positions, momentum and two rounds of late and lost messages: everything that a policy may carry along."""
    words += " --env spread --env.continuous --algo mappo --total-steps 3200 --eval-episodes 0 --no-videos --quiet"
    words += " --log-dir runs --run-name talking"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command in (["-m", "coterie", *words.split()], [str(ROOT / "examples" / "apart.py"), "runs/talking"]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    found = re.search(r"75 actions differ from those of the batched policy by at most (\S+)", done.stdout)
    assert found is not None, done.stdout
    assert float(found[1]) < 1e-6


def test_every_example_is_run_by_some_test() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for path in (ROOT / "examples").rglob("*.py"):
        assert path.name in tests, f"no test runs {path.relative_to(ROOT)}"
