"""The folder of a run: everything to repeat it, to resume it, and to use what it has learned.

```
runs/warehouse-small-4-mappo-1-20260131-101500/
  config.json       what was asked for, and by which code (`run_record`)
  checkpoints/      step-000000065536.pt, the last two, and best.pt
  metrics.jsonl     one row of scalars a line
  evaluation.json   the table at the end
  events.out.*      TensorBoard
  run.lock          held by the process that trains in the folder
```
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from ..report.atomic import write_atomically
from .run_record import FORMAT, VERSION, RunRecord

CONFIG = "config.json"
CHECKPOINTS = "checkpoints"
PACKAGES = ("torch", "numpy", "gymnasium", "pettingzoo", "numba", "pymunk", "tensorboard", "tyro")
"""Packages whose versions a run records."""


class RunFolderError(ValueError):
    """A folder that is not a run of Coterie, or cannot be used now; the message is one line that says why."""


def create(log_dir: Path, name: str, record: RunRecord) -> Path:
    """Makes a new run folder with its config.json.

    Args:
        log_dir: Folder of all runs; made if it is missing.
        name: Name of the run folder. If it is taken, `-2`, `-3`, ... is appended: a run never writes into another.
        record: Content of config.json; `created` and `code` are set.

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
    write_config(folder, replace(record, created=time.strftime("%Y-%m-%dT%H:%M:%S%z"), code=code_versions()))
    return folder


def write_config(folder: Path, record: RunRecord) -> None:
    """Writes config.json atomically."""
    write_atomically(folder / CONFIG, (json.dumps(record.to_plain(), indent=2) + "\n").encode())


def read_config(folder: Path, *, unknown: Callable[[str], None] | None = None) -> RunRecord:
    """Reads config.json, and checks all but the options of environment, algorithm and run.

    Args:
        folder: The run folder.
        unknown: Called with one line for each key that is not known, as in folders of a newer version; None: it is an
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
        plain = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise RunFolderError(f"{path} was not written by Coterie")
    if plain.get("version") != VERSION:
        raise RunFolderError(f"{path} has format version {plain.get('version')}; this program reads {VERSION}")
    try:
        return RunRecord.from_plain(plain, unknown=None if unknown is None else lambda line: unknown(f"{path}: {line}"))
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns a dictionary from JSON, and refuses equal keys, of which Python's own reader keeps the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found


def code_versions() -> dict[str, Any]:
    """Returns commit, versions of packages, interpreter, machine and command line of this process."""
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
    """Returns the commit of this file's repository and whether files were changed; None outside a repository."""
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
