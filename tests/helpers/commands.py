"""Runs command lines for tests."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = ["--env", "warehouse", "--env.task", "tiny-2", "--env.max-steps", "30", "--algo", "mappo", "--n-worlds", "4"]
TINY += ["--algo.hidden", "8", "--algo.rollout-steps", "8", "--algo.no-anneal"]  # an extended run anneals otherwise
TINY += ["--eval-episodes", "3", "--quiet", "--threads", "1"]


def options(log_dir: Path, *more: str) -> list[str]:
    return [*TINY, "--log-dir", str(log_dir), "--run-name", "run", *more]
