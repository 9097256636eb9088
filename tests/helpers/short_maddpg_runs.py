"""Runs of a few updates of MADDPG on toys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from short_runs import counting
from toys import Reach

from algos.core import spec_of
from algos.maddpg import Maddpg, MaddpgConfig
from algos.training import checkpoint
from algos.training.schedule import Schedule
from algos.training.session import Outcome, Session, run

RUNS: dict[str, tuple[Callable[[int], Any], dict[str, Any]]] = {
    "deaths and masks": (counting, {"prioritised": 0.5, "n_step": 2}),
    "continuous": (lambda n: Reach(n), {"noise": "ou", "twin": True, "critic": "local"}),
}


def session(
    folder: Path, case: str, *, stop_after: int = 10**9, resume: bool = False, save_replay: bool = True, **schedule: int
) -> Session:
    """A session of 4 worlds in `folder`: 40 steps, of which the ring holds 25."""
    make, options = RUNS[case]
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    small: dict[str, Any] = {"hidden": (8,), "warm_up": 24, "replay_size": 100, "batch": 8, "updates": 1}
    config = MaddpgConfig(policy_start=0, **small, **options)
    asked = iter(range(10**9))
    how: dict[str, Any] = {"total_steps": 160, "eval_episodes": 0, "save_replay": save_replay, **schedule}
    return Session(
        make(4),
        Maddpg(spec_of(make(4)), config, seed=3),
        Schedule(**how),
        folder=folder,
        seed=5,
        make_env=make,
        resume=checkpoint.load_latest(folder / "checkpoints")[1] if resume else None,
        stop=lambda: next(asked) >= stop_after,
        quiet=True,
    )


def start(folder: Path, case: str, **options: Any) -> Outcome:
    """Makes a whole run, see `session`."""
    return run(session(folder, case, **options))
