"""Picture of `credit.py`: curves of learning by rule, a panel a task, from the stored results."""

from __future__ import annotations

import json
from pathlib import Path

import credit
import learning_curves
import numpy as np
import report

WIDE = 3
"""Panels side by side."""
COLOURS = dict(zip(credit.RULES, ("0.6", "black", "tab:blue", "tab:green", "tab:orange", "tab:red"), strict=True))


def redraw(picture: Path = report.RESULTS / "credit.png") -> bool:
    """Draws mean curves over seeds, and bands of their 95 % bootstrap intervals; False without matplotlib."""
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        return False
    every = learning_curves.load(credit.CURVES)
    rows = json.loads((report.RESULTS / "credit.json").read_text(encoding="utf-8"))["rows"]
    keys = {key.split(" --")[0]: key for key in rows}
    tasks = [task for task in credit.TASKS if any(f"{task} {rule}" in keys for rule in credit.RULES)]
    blocks, wide = max(-(-len(tasks) // WIDE), 1), min(max(len(tasks), 1), WIDE)
    size = (4.4 * max(wide, 1.5), 3.3 * blocks)
    figure, axes = plt.subplots(blocks, wide, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat[len(tasks) :]:
        axis.set_axis_off()
    for axis, task in zip(axes.flat, tasks, strict=False):
        column = credit.TASKS[task][1][0]
        for rule, colour in COLOURS.items():
            key = keys.get(f"{task} {rule}")
            steps, values = credit.mean_curve(every, key, column) if key else (np.empty(0), np.empty((0, 0)))
            if not values.size:
                continue
            drawn = np.random.default_rng(0).integers(len(values), size=(1000, len(values)))
            low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975], axis=0)
            axis.plot(steps / 1e6, values.mean(axis=0), color=colour, label=f"{rule} ({len(values)})", linewidth=1.4)
            axis.fill_between(steps / 1e6, low, high, color=colour, alpha=0.15, linewidth=0)
            for policy, style in (("heuristic", "--"), ("random", ":")):
                level = rows[key]["summary"][column][policy]["value"]
                axis.axhline(level, color="black", linestyle=style, linewidth=0.8)
        axis.set_title(task, fontsize=10)
        axis.set_xlabel("environment steps [million]")
        axis.set_ylabel(column.replace("_", " "))
        axis.legend(fontsize=7, framealpha=0.5)
        axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=100)
    plt.close(figure)
    return True
