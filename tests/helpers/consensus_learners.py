"""Sessions that average without a server, made by functions that can be sent to processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import envs.builder
from algos import ALGOS
from algos.training.builder import run_config, session
from algos.training.resuming import resume
from algos.training.session import Session


def learner(folder: Path, number: int, **more: Any) -> Session:
    """Makes a small session, or resumes the one that is in its folder."""
    where = folder / f"learner-{number}"
    if where.exists():
        return resume(where, envs=envs.builder, algos=ALGOS, quiet=True)
    tables: dict[str, Any] = {"envs": envs.builder, "algos": ALGOS}
    of_algo = {"hidden": (8,), "rollout_steps": 8, "minibatches": 2, "epochs": 1}
    options: dict[str, Any] = {"algo_options": of_algo, "total_steps": 512, "n_worlds": 4, "eval_episodes": 0}
    options |= {"videos": False, "quiet": True, "threads": 1, "seed": number} | more
    return session(
        run_config(options.pop("env", "spread"), options.pop("algo", "ippo"), **tables, **options), where, **tables
    )


def broken(folder: Path, number: int) -> Session:
    raise ValueError(f"learner {number} has no disk")


def dying(folder: Path, number: int) -> Session:
    os._exit(7)
