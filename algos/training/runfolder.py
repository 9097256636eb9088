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
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box, Discrete

from ..core import Spec
from .checkpoint import write_atomically
from .typed import refuse_unknown, typed

CONFIG = "config.json"
CHECKPOINTS = "checkpoints"
FORMAT = "coterie-run"
VERSION = 1
LARGEST = 2**26
"""Most agents, numbers of an observation, numbers of a state, or choices that a config.json may name."""
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


def read_config(folder: Path, *, unknown: Callable[[str], None] | None = None) -> dict[str, Any]:
    """The config of a run, with the types that it must have.

    Not looked into are the options of environment and algorithm and of the run itself, which their own dataclasses
    know (`typed.fields`).

    Args:
        folder: The run's.
        unknown: Told in one line of each key that is not known here, as in folders of a newer version; None: it is an
            error.

    Raises:
        RunFolderError: There is no such folder, or it is not a run, or its config.json is damaged.
    """
    if not folder.is_dir():
        raise RunFolderError(f"{folder}: there is no such folder; expected a run folder, such as runs/NAME")
    path = folder / CONFIG
    if not path.is_file():
        raise RunFolderError(f"{folder} is not a run folder: it has no {CONFIG}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
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
    try:
        _check(config, None if unknown is None else lambda line: unknown(f"{path}: {line}"))
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error
    return config


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dictionary from JSON, which keeps the last of two equal keys and says nothing."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found


_NEEDED = {
    "env": ("name", "task", "options"),
    "algo": ("name", "options"),
    "run": ("seed", "n_worlds", "total_steps", "device", "threads"),
    "spec": ("n_agents", "obs_dim", "state_dim", "action_space", "groups"),
    "agents": ("",),
}
"""What config.json must hold, by part; an empty key is the part itself."""

_TYPES: dict[str, Any] = {
    "format": str,
    "version": int,
    "created": str,
    "code": dict[str, Any],
    "resumed": list[dict[str, Any]],
    "env": {"name": str, "task": str | None, "options": dict[str, Any], "version": str | None},
    "algo": {"name": str, "options": dict[str, Any]},
    "run": dict[str, Any],
    "spec": {
        "n_agents": int,
        "obs_dim": int,
        "state_dim": int,
        "action_space": dict[str, Any],
        "groups": list[list[int]],
        "obs_shape": list[int],
        "pixels": bool,
    },
    "agents": list[str],
    "own_spaces": dict[str, Any] | None,
}
"""What config.json may hold, and of which types."""


def _check(config: dict[str, Any], unknown: Callable[[str], None] | None) -> None:
    """Checks types, sizes and names.

    Raises:
        ValueError: Something is wrong; the message is one line.
    """
    refuse_unknown(config, _TYPES, "", unknown)
    for part, types in _TYPES.items():
        if not isinstance(types, dict):
            if part in config:
                typed(config[part], types, part)
            continue
        refuse_unknown(config[part], types, part, unknown)
        for key, hint in types.items():
            if key in config[part]:
                typed(config[part][key], hint, f"{part}.{key}")
    spec, agents = spec_from_plain(config["spec"]), config["agents"]
    if len(agents) != spec.n_agents:
        raise ValueError(f"there are {len(agents)} names in agents, and spec.n_agents is {spec.n_agents}")
    if len(set(agents)) < len(agents):
        raise ValueError("agents holds a name twice")


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
    """The inverse of `spec_to_plain`.

    Raises:
        ValueError: A value is missing or cannot be; the message is one line.
    """
    for name, low in (("n_agents", 1), ("obs_dim", 0), ("state_dim", 0)):
        if not low <= typed(plain.get(name), int, f"spec.{name}") <= LARGEST:
            raise ValueError(f"spec.{name} is {plain[name]}; allowed are {low} to {LARGEST}")
    space = typed(plain.get("action_space"), dict[str, Any], "spec.action_space")
    kind = typed(space.get("kind"), Literal["discrete", "box"], "spec.action_space.kind")
    if kind == "discrete":
        n, start = (typed(space.get(name), int, f"spec.action_space.{name}") for name in ("n", "start"))
        if not 1 <= n <= LARGEST:
            raise ValueError(f"spec.action_space.n is {n}; allowed are 1 to {LARGEST}")
        action_space: Box | Discrete = Discrete(n, start=start)
    else:
        try:
            dtype = np.dtype(typed(space.get("dtype"), str, "spec.action_space.dtype")).type
            action_space = Box(np.array(space["low"], dtype), np.array(space["high"], dtype), dtype=dtype)
        except Exception as error:  # a space refuses by errors of many kinds, assertions among them
            reason = " ".join(str(error).split())
            raise ValueError(f"spec.action_space cannot be a Box: {type(error).__name__}: {reason}") from error
    groups = tuple(tuple(group) for group in typed(plain.get("groups"), list[list[int]], "spec.groups"))
    if sorted(agent for group in groups for agent in group) != list(range(plain["n_agents"])):
        raise ValueError(f"spec.groups is {str(groups)[:60]}; each of {plain['n_agents']} agents must be in one group")
    obs_shape = tuple(typed(plain.get("obs_shape", []), list[int], "spec.obs_shape"))  # older folders do not say: flat
    if any(size < 0 for size in obs_shape):
        raise ValueError(f"spec.obs_shape is {obs_shape}; sizes are not negative")
    pixels = typed(plain.get("pixels", False), bool, "spec.pixels")  # older folders kept images as floats
    return Spec(plain["n_agents"], plain["obs_dim"], plain["state_dim"], action_space, groups, obs_shape, pixels)


def misfit(config: dict[str, Any], spec: Spec, agents: Sequence[str]) -> str:
    """What differs between an environment and the one that a run was trained in, "" where nothing does.

    The length of the global state does not count: no policy reads it.
    """
    before = spec_from_plain(config["spec"])
    if list(agents) != config["agents"]:
        return f"its agents are {_some(agents)}; the run was trained with {_some(config['agents'])}"
    for what, now, then in (
        ("its observations have shape", spec.obs_shape, before.obs_shape),
        ("its action space is", spec.action_space, before.action_space),
        ("its groups of agents are", spec.groups, before.groups),
    ):
        if now != then:
            return f"{what} {now}; the run was trained with {then}"
    return ""


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:8], *(["..."] if len(names) > 8 else [])])
