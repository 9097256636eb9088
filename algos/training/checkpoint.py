"""Checkpoints that survive a crash at any instant.

A checkpoint is one `torch.save` file of tensors and plain data. It is written under a temporary name in its own folder,
flushed to the disk and renamed, and then the folder is flushed: a reader sees the whole file or none of it. Arrays are
stored as tagged tensors, so that `torch.load(weights_only=True)`, which runs no code of the file, reads them.

Names sort by time: `step-000000065536.pt`. Saving removes old ones, but never `best.pt`.
"""

from __future__ import annotations

import contextlib
import io
import re
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..report.atomic import write_atomically

FORMAT = "coterie-checkpoint"
VERSION = 6
KEEP = 2
"""Number of checkpoints kept besides `best.pt`: the newest, and one more in case the disk damages it."""
_NAME = re.compile(r"step-(\d{12})\.pt")
_ARRAY = "__array__"


class CheckpointError(ValueError):
    """A file that is damaged or is no checkpoint of Coterie; the message is one line that names it."""


class OtherVersionError(CheckpointError):
    """A sound file in the format of another version of Coterie."""


class MisfitError(ValueError):
    """A sound checkpoint of another environment, algorithm or version; the message is one line."""


def pack(value: Any) -> Any:
    """Turns numpy arrays and scalars inside nested plain data into what `weights_only` loading accepts.

    Args:
        value: Dictionaries, lists and tuples of tensors, arrays, numbers, strings, booleans and None.

    Raises:
        TypeError: Something else is in there, such as an object of a class.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("an array of Python objects cannot be saved in a checkpoint")
        flat = np.frombuffer(np.ascontiguousarray(value).tobytes(), dtype=np.uint8).copy()
        return {_ARRAY: value.dtype.str, "shape": list(value.shape), "bytes": torch.from_numpy(flat)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: pack(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(pack(item) for item in value)
    if isinstance(value, list):
        return [pack(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str, torch.Tensor)):
        return value
    raise TypeError(f"a checkpoint holds tensors, arrays and plain data only, not {type(value).__name__}")


def unpack(value: Any) -> Any:
    """Undoes `pack`; named tuples come back as tuples."""
    if isinstance(value, dict):
        if _ARRAY in value:
            raw = value["bytes"].numpy().tobytes()
            return np.frombuffer(raw, dtype=np.dtype(value[_ARRAY])).reshape(value["shape"]).copy()
        return {key: unpack(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(unpack(item) for item in value)
    if isinstance(value, list):
        return [unpack(item) for item in value]
    return value


def save(path: Path, content: dict[str, Any]) -> None:
    """Writes one checkpoint atomically.

    Args:
        path: The file to write, in an existing folder.
        content: Nested plain data, tensors and arrays.

    Raises:
        OSError: See `write_atomically`.
    """
    # Through memory: torch's own writer turns a full disk into a RuntimeError about file positions.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "version": VERSION, "content": pack(content)}, buffer)
    write_atomically(path, buffer.getbuffer())


def load(path: Path) -> dict[str, Any]:
    """Reads one checkpoint, to the CPU.

    Raises:
        CheckpointError: There is no such file, or it cannot be read, is damaged, is no checkpoint of Coterie, or has
            another format version.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
            what = "a folder" if stat.S_ISDIR(mode) else "not a file"
            raise CheckpointError(f"{path} is {what}; a checkpoint is expected there")
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not look at the checksums, and would load a flipped bit
        if damaged is not None:
            raise CheckpointError(f"{path} is damaged: the checksum of {damaged} is wrong")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # torch raises nearly anything on foreign bytes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise CheckpointError(f"{path} is damaged or is not a checkpoint ({reason})") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise CheckpointError(f"{path} is a torch file, but not a checkpoint of Coterie")
    if found.get("version") != VERSION:
        raise OtherVersionError(
            f"{path} has format version {found.get('version')}; this program reads {VERSION}: use the version of "
            "Coterie that wrote it; config.json names its commit under code.git"
        )
    try:
        return unpack(found["content"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error


def steps_of(path: Path) -> int:
    """Returns the number of environment steps in the name of a checkpoint."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path.name} is not the name of a checkpoint; expected step-<12 digits>.pt")
    return int(match[1])


def listing(folder: Path) -> list[Path]:
    """Returns the numbered checkpoints of a folder, oldest first."""
    return sorted(path for path in folder.glob("step-*.pt") if _NAME.fullmatch(path.name))


def save_latest(folder: Path, steps: int, content: dict[str, Any], *, keep: int = KEEP) -> Path:
    """Saves the newest checkpoint of `folder` and removes all but the last `keep`.

    Raises:
        OSError: The save failed. All earlier checkpoints are still there, because they are removed only afterwards.
    """
    path = folder / f"step-{steps:012d}.pt"
    if path.is_dir():  # a file cannot be renamed over a folder
        path.rename(path.with_name(f"{path.name}.aside"))
    for stale in folder.glob(".*.tmp"):  # left by a process that was killed while it wrote
        with contextlib.suppress(OSError):
            stale.unlink()
    save(path, content)
    for old in [one for one in listing(folder) if one.is_file()][:-keep]:
        with contextlib.suppress(OSError):
            old.unlink()
    return path


def load_which(folder: Path, which: str, *, warn: Callable[[str], None] = warnings.warn) -> tuple[Path, dict[str, Any]]:
    """Reads the latest checkpoint that can be read, or the best.

    Args:
        folder: The folder `checkpoints` of a run.
        which: "latest" or "best".
        warn: See `load_latest`.

    Raises:
        ValueError: There is none, none can be read, or `which` is something else; the message is one line.
    """
    if which == "latest":
        return load_latest(folder, warn=warn)
    if which != "best":
        raise ValueError(f"which is {which!r}; allowed: 'latest', 'best'")
    path = folder / "best.pt"
    if not path.exists() and not path.is_symlink():
        raise ValueError(f"{folder.parent} has no best checkpoint; train with evaluations (--eval-every) to get one")
    return path, load(path)


def load_latest(folder: Path, *, warn: Callable[[str], None] = warnings.warn) -> tuple[Path, dict[str, Any]]:
    """Reads the newest checkpoint that can be read.

    Args:
        folder: The folder `checkpoints` of a run.
        warn: Called with one line for each newer checkpoint that cannot be read.

    Raises:
        CheckpointError: There is none, or none can be read.
    """
    paths = listing(folder)
    if not paths:
        raise CheckpointError(f"no checkpoint in {folder}; the run ended before its first save")
    problems: list[CheckpointError] = []
    for path in reversed(paths):
        try:
            content = load(path)
        except CheckpointError as error:
            problems.append(error)
            continue
        for problem in problems:
            warn(f"{problem}; falling back to {path.name}")
        return path, content
    if all(isinstance(problem, OtherVersionError) for problem in problems):
        raise problems[0]  # the newest says it for all
    raise CheckpointError("; ".join(map(str, problems)))
