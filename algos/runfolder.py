"""The folder of a run: everything to repeat it, to go on with it, and to use what it has learned.

```
runs/warehouse-small-4-mappo-1-20260131-101500/
  config.json       what was asked for, and by which code
  checkpoints/      step-000000065536.pt, the last two, and best.pt
  metrics.jsonl     one row of scalars a line
  events.out.*      TensorBoard
```
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from .checkpoint import write_atomically
from .core import Spec

CONFIG = "config.json"
CHECKPOINTS = "checkpoints"
FORMAT = "coterie-run"
VERSION = 1
PACKAGES = ("torch", "numpy", "gymnasium", "pettingzoo", "numba", "pymunk", "tensorboard", "tyro")


class RunFolderError(ValueError):
    """The folder is not a run of ours; the message is one line that says why."""


def create(log_dir: Path, name: str, config: dict[str, Any]) -> Path:
    """Makes a new run folder with its config.json.

    Args:
        log_dir: Where runs live; made if it is missing.
        name: Of the folder. Where it is taken, `-2`, `-3`, ... is appended: a run never writes into another.
        config: Plain data; `format`, `version`, `created` and `code` are added.

    Returns:
        The folder.
    """
    log_dir.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, 1000):
        folder = log_dir / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir()
            break
        except FileExistsError:
            continue
    else:
        raise RunFolderError(f"{log_dir / name} exists a thousand times; choose another run name")
    (folder / CHECKPOINTS).mkdir()
    write_config(folder, {**config, "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "code": code_versions()})
    return folder


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Writes config.json atomically."""
    text = json.dumps({"format": FORMAT, "version": VERSION, **config}, indent=2)
    write_atomically(folder / CONFIG, (text + "\n").encode())


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a run.

    Raises:
        RunFolderError: There is no such folder, or it is not a run, or its config.json is damaged.
    """
    if not folder.is_dir():
        raise RunFolderError(f"{folder}: there is no such folder; expected a run folder, such as runs/NAME")
    path = folder / CONFIG
    if not path.is_file():
        raise RunFolderError(f"{folder} is not a run folder: it has no {CONFIG}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise RunFolderError(f"{path} was not written by Coterie")
    if config.get("version") != VERSION:
        raise RunFolderError(f"{path} has format version {config.get('version')}; this program reads {VERSION}")
    missing = [
        f"{part}.{key}" if key else part
        for part, keys in _NEEDED.items()
        for key in keys
        if not (isinstance(config.get(part), dict) and key in config[part] if key else part in config)
    ]
    if missing:
        raise RunFolderError(f"{path} is damaged: it lacks {', '.join(missing)}")
    return config


_NEEDED = {
    "env": ("name", "task", "options"),
    "algo": ("name", "options"),
    "run": ("seed", "n_worlds", "total_steps", "device", "threads"),
    "spec": ("n_agents", "obs_dim", "state_dim", "action_space", "groups"),
    "agents": ("",),
}
"""What config.json must hold, by part; an empty key is the part itself."""


def code_versions() -> dict[str, Any]:
    """What runs: commit, packages, interpreter, machine, command line."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "git": _git_commit(),
        "packages": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": sys.argv,
    }


def _git_commit() -> dict[str, Any] | None:
    """Commit of this file's repository and whether tracked files were changed; None outside a repository."""
    here = Path(__file__).resolve().parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        if _git(here, "ls-files", "--error-unmatch", Path(__file__).name) == "":
            return None
        return {"commit": commit, "changed": bool(_git(here, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None  # no git, or installed into somebody else's repository


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def options_from_plain(options: dict[str, Any]) -> dict[str, Any]:
    """A config dataclass's arguments from JSON, which has no tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}


def spec_to_plain(spec: Spec) -> dict[str, Any]:
    """A `Spec` as plain data for config.json."""
    space = spec.action_space
    if isinstance(space, Discrete):
        plain: dict[str, Any] = {"kind": "discrete", "n": int(space.n), "start": int(space.start)}
    else:
        plain = {"kind": "box", "low": space.low.tolist(), "high": space.high.tolist(), "dtype": str(space.dtype)}
    return {
        "n_agents": spec.n_agents,
        "obs_dim": spec.obs_dim,
        "state_dim": spec.state_dim,
        "action_space": plain,
        "groups": [list(group) for group in spec.groups],
        "obs_shape": list(spec.obs_shape),
        "pixels": spec.pixels,
    }


def spec_from_plain(plain: dict[str, Any]) -> Spec:
    """The inverse of `spec_to_plain`."""
    space = plain["action_space"]
    if space["kind"] == "discrete":
        action_space: Box | Discrete = Discrete(space["n"], start=space["start"])
    else:
        dtype = np.dtype(space["dtype"]).type
        action_space = Box(np.array(space["low"], dtype), np.array(space["high"], dtype), dtype=dtype)
    groups = tuple(tuple(group) for group in plain["groups"])
    obs_shape = tuple(plain.get("obs_shape", ()))  # older folders do not say: flat
    pixels = plain.get("pixels", False)  # older ones kept images as floats
    return Spec(plain["n_agents"], plain["obs_dim"], plain["state_dim"], action_space, groups, obs_shape, pixels)
