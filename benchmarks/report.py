"""Reports of benchmarks: the machine, medians and spreads, a markdown table, a JSON file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("numpy", "numba", "pymunk", "gymnasium", "pettingzoo", "torch")


def machine() -> dict[str, Any]:
    """Returns processor, cores, load, versions, date and commit, without which a number is worth nothing."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": versions,
        "date": time.strftime("%Y-%m-%d"),
        "commit": _git("rev-parse", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no", "--", "envs", "algos", "train.py")),
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Returns median and quartiles of the repetitions, and the repetitions themselves."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(median), "q1": float(low), "q3": float(high), "values": [float(value) for value in values]}


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Returns the mean of the middle half along the last axis; of fewer than four values the mean of all."""
    ordered = np.sort(values, axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def bootstrap(
    values: Sequence[float] | np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, float]:
    """Returns a statistic with its percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: (E,).
        statistic: From (..., E) to (...).
        level: Confidence level in (0, 1).
        resamples: How many times E values are drawn with replacement.
        seed: Of the drawing.
    """
    array = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(len(array), size=(resamples, len(array)))
    low, high = np.quantile(statistic(array[drawn]), [(1 - level) / 2, (1 + level) / 2])
    return {"value": float(statistic(array)), "low": float(low), "high": float(high)}


def short(number: float) -> str:
    """Returns a number with three significant digits, thousands with commas."""
    if not np.isfinite(number):
        return "-"
    return f"{float(f'{number:.3g}'):,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def cell(found: dict[str, Any], scale: float = 1.0) -> str:
    """`median [q1, q3]` of `spread`, for reading."""
    return "{} [{}, {}]".format(*(short(found[key] * scale) for key in ("median", "q1", "q3")))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table whose first column is text and whose others are numbers."""
    every = [list(head), *(list(row) for row in rows)]
    widths = [max(3, *(len(row[column]) for row in every)) for column in range(len(head))]
    lines = [
        [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        for row in every
    ]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(path: Path, content: dict[str, Any], *, quiet: bool = False) -> None:
    """Writes JSON, and prints where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
    if not quiet:
        print(f"\nwritten: {path.name}")


def last_line(text: str) -> str:
    """Returns the line that says why something failed: the last one, or pip's last error, which advice follows."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it ended without a word"])[-1]


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
