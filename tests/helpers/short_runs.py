"""Runs of a few updates on toys, and what they leave behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from counting import Counting
from toys import Reach, Recall

from algos.core import spec_of
from algos.mappo import Mappo, MappoConfig
from algos.training import checkpoint
from algos.training.schedule import Schedule
from algos.training.session import Outcome, Session, run
from envs.vector import VectorView

Make = Callable[[int], Any]


def counting(n_worlds: int) -> Any:
    return VectorView(Counting(late=True, max_steps=9), n_worlds, stagger=True)


CASES: dict[str, tuple[Make, MappoConfig]] = {
    "memory": (lambda n: Recall(n), MappoConfig(rollout_steps=8, gru=8, hidden=(8,), share="none", anneal=True)),
    "deaths and masks": (counting, MappoConfig(rollout_steps=8, hidden=(8,), anneal=False)),
    "continuous": (lambda n: Reach(n), MappoConfig(rollout_steps=8, hidden=(8,), critic="local")),
}
WORLDS = 4
TOTAL = 4 * 8 * WORLDS + 3 * WORLDS  # four updates, and a rollout that is only begun


def session(folder: Path, make: Make, config: MappoConfig, **options: Any) -> tuple[Mappo, Session]:
    """A session in `folder`; with `resume=True` it goes on from the last checkpoint there."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    env = make(WORLDS)
    algo = Mappo(spec_of(env), config, seed=3)
    stop_after = options.pop("stop_after", None)
    if stop_after is not None:
        asked = iter(range(10**9))
        options["stop"] = lambda: next(asked) >= stop_after
    if options.pop("resume", False):
        options["resume"] = checkpoint.load_latest(folder / "checkpoints")[1]
    schedule = Schedule(**{"total_steps": TOTAL, "eval_episodes": 0, **options.pop("schedule", {})})
    return algo, Session(env, algo, schedule, folder=folder, make_env=make, quiet=True, **{"seed": 5, **options})


def start(folder: Path, make: Make, config: MappoConfig, **options: Any) -> tuple[Mappo, Outcome]:
    """Makes a whole run in `folder`, resumed if it has begun."""
    algo, one = session(folder, make, config, **options)
    return algo, run(one)


def saved(folder: Path) -> dict[str, Any]:
    """Returns the last checkpoint without times."""
    return without_clock(checkpoint.load_latest(folder / "checkpoints")[1])


def without_clock(content: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of a checkpoint without times."""
    del content["run"]["seconds"]
    return content


def rows(folder: Path) -> list[dict[str, float]]:
    """Returns the rows of metrics.jsonl without times."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [{key: value for key, value in row.items() if not key.startswith("time")} for row in found]
