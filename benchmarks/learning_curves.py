"""Learning curves: thinned rows of runs as JSONL, and a picture of them.

A row is `row` (key of the results they belong to), `seed`, `step` (environment steps), `seconds` (of training), and
what the benchmark keeps of the last episodes under the exploring policy.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

POINTS = 100
"""About as many rows are kept of a run."""
WIDE = 4
"""Keys side by side in a picture."""
TITLE = 46
"""Longest line of a title [letters]; wider ones would run into each other."""


def title(key: str) -> str:
    """Returns a key without the parts that a reader sees elsewhere or does not need; `(0 min)` is no limit."""
    key = re.sub(
        r" --(total-steps|threads|env.n-workers|log-every|save-every|video-every|eval-every|eval-episodes) \S+", "", key
    )
    return re.sub(r" \(([\d.]+) min\)", r" (at most \1 min)", key.replace(" (0 min)", ""))


def thinned(metrics: Path, columns: Mapping[str, str]) -> list[dict[str, float]]:
    """Returns about `POINTS` rows of a run's metrics.jsonl, evenly spread, the last one among them.

    Args:
        metrics: The file.
        columns: What to keep: name here, and there.
    """
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if all(name in row for name in columns.values())]
    kept = np.unique(np.linspace(0, len(rows) - 1, POINTS).round().astype(int)) if rows else []
    return [{name: round(rows[index][source], 3) for name, source in columns.items()} for index in kept]


def load(data: Path) -> list[dict[str, Any]]:
    """Returns all stored rows."""
    if not data.exists():
        return []
    return [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]


def merge(key: str, curves: dict[int, list[dict[str, float]]], data: Path, *, keep: Collection[int] = ()) -> None:
    """Replaces the stored curves of one key by new ones, by seed; those of the seeds in `keep` stay."""
    rows = [row for row in load(data) if row["row"] != key or row["seed"] in keep]
    rows += [{"row": key, "seed": seed, **row} for seed, curve in sorted(curves.items()) for row in curve]
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def draw(
    levels: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]],
    panels: Sequence[str],
    data: Path,
    picture: Path,
    *,
    bottom: float | None = None,
) -> bool:
    """Draws curves against steps, `WIDE` keys side by side, a row a panel; False without matplotlib.

    Args:
        levels: By key, panel and policy, the `value` at which a policy that does not learn is drawn as a line.
        panels: Columns of the data.
        data: The JSONL file.
        picture: The PNG file.
        bottom: Lowest value of the axes; None: as the curves need.
    """
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        return False
    rows = load(data)
    keys = [key for key in levels if any(row["row"] == key for row in rows)]
    if not keys:
        return True
    blocks = -(-len(keys) // WIDE)
    wide = -(-len(keys) // blocks)
    size = (4.2 * wide, 3 * len(panels) * blocks)
    figure, every = plt.subplots(len(panels) * blocks, wide, figsize=size, squeeze=False)
    columns = np.concatenate(np.split(every, blocks), axis=1)  # (panels, WIDE x blocks)
    for unused in columns[:, len(keys) :].flat:
        unused.set_axis_off()
    for key, axes in zip(keys, columns.T, strict=False):
        seeds = sorted({row["seed"] for row in rows if row["row"] == key})
        for axis, name in zip(axes, panels, strict=True):
            curves = []
            for seed in seeds:
                mine = [row for row in rows if row["row"] == key and row["seed"] == seed]
                curves.append(([row["step"] / 1e6 for row in mine], [row[name] for row in mine]))
                axis.plot(*curves[-1], color="tab:blue", linewidth=0.8, alpha=0.4)
            grid = np.linspace(max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves), POINTS)
            mean = np.mean([np.interp(grid, x, y) for x, y in curves], axis=0)
            axis.plot(grid, mean, color="tab:blue", label="learning, mean of the seeds")
            for policy, style in (("heuristic", "--"), ("random", ":")):
                if policy in levels[key][name]:
                    level = levels[key][name][policy]["value"]
                    axis.axhline(level, color="black", linestyle=style, linewidth=1, label=policy)
            axis.set_ylabel(name.replace("_", " "))
            low, high = axis.get_ylim()
            room = 0.05 * (high - low)  # a level at the very top would lie under the frame
            axis.set_ylim(low - room if bottom is None else bottom, high + room)
            axis.grid(alpha=0.3)
        words = [*textwrap.wrap(title(key).replace("--env.", ""), TITLE), f"{len(seeds)} seeds"]
        axes[0].set_title("\n".join(words), fontsize=9)
        axes[-1].set_xlabel("environment steps [million]")
    every[0, 0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    plt.close(figure)
    return True
