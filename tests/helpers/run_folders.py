"""Run folders for tests, made in a fraction of a second: policies that were never trained."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from algos import ALGOS
from algos.core import spec_of
from algos.training import checkpoint, runfolder
from algos.training.identity import identity_of
from algos.training.plain_spec import spec_to_plain
from algos.training.run_record import RunRecord
from envs.vector import VectorView


def untrained(
    log_dir: Path, env: Any, algo: str = "mappo", *, name: str, task: str | None = None, **options: Any
) -> Path:
    """A run folder at step 0.

    Args:
        log_dir: Where it is made.
        env: Worlds that were reset.
        algo: Name of the algorithm.
        name: Of the environment, as after `--env`.
        task: Of the environment.
        **options: Of the algorithm (`algo_...`) and of the environment.
    """
    given = {key.removeprefix("algo_"): options.pop(key) for key in list(options) if key.startswith("algo_")}
    entry = ALGOS[algo]
    config = entry.config(hidden=(8,), **given)
    learner = entry.algorithm(spec_of(env), config, seed=0, device="cpu")
    plain: dict[str, Any] = {
        "env": {"name": name, "task": task, "options": options, "version": None},
        "algo": {"name": algo, "options": json.loads(json.dumps(dataclasses.asdict(config)))},
        "run": {"seed": 0, "n_worlds": env.n_worlds, "total_steps": 8, "device": "cpu", "threads": 1},
        "spec": spec_to_plain(spec_of(env)),
        "agents": list(env.agents),
        "own_spaces": getattr(env, "own_spaces", None),
        "obs_names": list(getattr(env, "obs_names", ())),
    }
    record = RunRecord.from_plain(json.loads(json.dumps(plain)))
    folder = runfolder.create(log_dir, f"{name.replace(':', '-')}-{algo}", record)
    content = {
        "algo": learner.state_dict(),
        "env": env.state_dict(),
        "started": [],
        "run": {"steps": 0},
        "whose": identity_of(record),
    }
    checkpoint.save_latest(folder / runfolder.CHECKPOINTS, 0, content)
    return folder


def spread(log_dir: Path, algo: str = "mappo", **options: Any) -> Path:
    """A run on three agents of `spread`, whose episodes take four steps."""
    import envs

    own = {key: options.pop(key) for key in ("continuous",) if key in options}
    env = VectorView(envs.make("spread", max_steps=4, **own), 2)
    env.reset(0)
    return untrained(log_dir, env, algo, name="spread", max_steps=4, **own, **options)


def change(folder: Path, *path: str | int, value: Any) -> None:
    """Writes another value into config.json."""
    file = folder / runfolder.CONFIG
    config = json.loads(file.read_text(encoding="utf-8"))
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file.write_text(json.dumps(config), encoding="utf-8")
