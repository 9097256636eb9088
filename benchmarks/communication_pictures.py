"""Pictures of `communication.py`: success on Traffic Junction by method, and what bits, losses and delays cost.

The rows are those of results/communication.json, and the rules those of results/traffic_rules.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import communication
import report

sys.path.insert(0, str(report.ROOT))

from envs.whispers import TASKS
from envs.whispers.optimum import over_episode

Rows = Mapping[str, Any]
RULES = {"priority": ("planner", "-"), "vision": ("rule with a vision of 1", "--"), "gas": ("always gas", ":")}
"""Name and style of the line of each hand-written policy of Traffic Junction."""
WIDE = 3
"""Levels side by side."""
COLOURS = ("0.6", "0.8", "tab:olive", "tab:green", "tab:blue", "tab:purple")
_LOSS_AND_DELAY = {"ideal": (0.0, 0), "loss 20 %": (0.2, 0), "loss 50 %": (0.5, 0), "delay 2": (0.0, 2)}
_LOSS_AND_DELAY |= {"delay 5": (0.0, 5)}


def draw_junction(rows: Rows, rules: Rows, picture: Path) -> bool:
    """Draws bars of success by method, a panel a level; False without matplotlib."""
    plt = _pyplot()
    if plt is None:
        return False
    methods = dict(zip(_order(), COLOURS, strict=True))
    levels = [level for level in communication.LEVELS if any(f"{level} {method}" in _plain(rows) for method in methods)]
    blocks = max(-(-len(levels) // WIDE), 1)
    figure, axes = plt.subplots(
        blocks, WIDE, figsize=(4 * WIDE, 3.2 * blocks), sharey=True, squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(levels) :]:
        axis.set_axis_off()
    for axis, level in zip(axes.flat, levels, strict=False):
        for index, (method, colour) in enumerate(methods.items()):
            row = _plain(rows).get(f"{level} {method}")
            if row is None:
                continue
            found = row["summary"]["success"]["learned"]
            axis.bar(index, found["value"], color=colour)
            axis.plot([index] * len(found["by_seed"]), found["by_seed"], "k.", markersize=4)
        for rule, (name, style) in RULES.items():
            value = rules["traffic_junction"][level]["policies"][rule]["success"]["mean"]
            axis.axhline(value, color="black", linestyle=style, linewidth=1, label=name)
        axis.set_xticks(range(len(methods)), [name.replace("attention", "att.") for name in methods], fontsize=8)
        axis.set_title(level.replace("-", ", vision "), fontsize=10)
        axis.set_xlim(-0.6, len(methods) - 0.4)
        axis.set_ylim(0, 1.05)
        axis.grid(axis="y", alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("success, greedy")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), fontsize=8, ncols=len(RULES), loc="outside lower center")
    return _save(plt, figure, picture)


def draw_bits(rows: Rows, picture: Path) -> bool:
    """Draws the share of right names in `whispers` against the bits of a message; False without matplotlib."""
    plt = _pyplot()
    if plt is None:
        return False
    task, budgets = TASKS["whispers-4-slow"], list(communication.BUDGETS)
    figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for index, (medium, (loss, delay)) in enumerate(_LOSS_AND_DELAY.items()):
        colour, points = f"C{index}", []
        for place, budget in enumerate(budgets):
            row = _plain(rows).get(f"whispers slow, {'ideal' if budget == '0 bits' else medium}, {budget}")
            if row is not None:
                points.append((place, row["summary"]["share_right"]["learned"]))
        x = [place for place, _ in points]
        low, high = ([one[end] for _, one in points] for end in ("low", "high"))
        axis.plot(x, [one["value"] for _, one in points], "o-", color=colour, label=medium, markersize=4)
        axis.fill_between(x, low, high, color=colour, alpha=0.2)
        best = over_episode(task.max_steps, task.n_symbols, persistence=task.persistence, loss=loss, delay=delay)
        axis.axhline(best, color=colour, linestyle=":", linewidth=1)
    axis.set_xticks(range(len(budgets)), budgets, fontsize=8)
    axis.set_xlabel("size of a message")
    axis.set_ylabel("share of right names (dotted: optimum)")
    axis.set_ylim(0.2, 1.03)
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    return _save(plt, figure, picture)


def redraw() -> bool:
    """Draws all of them beside the results; False without matplotlib."""
    found = {
        name: json.loads((report.RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("communication", "traffic_rules")
    }
    rows = found["communication"]["rows"]
    junction = report.RESULTS / "communication_junction.png"
    return draw_junction(rows, found["traffic_rules"], junction) and draw_bits(
        rows, report.RESULTS / "communication_bits.png"
    )


def _order() -> list[str]:
    methods = list(communication.METHODS)
    return ["none", "deaf", *(method for method in methods if method not in ("none", "deaf"))]


def _plain(rows: Rows) -> Rows:
    """Returns the rows by their names without options of the command line."""
    return {name.split(" --")[0]: row for name, row in rows.items()}


def _pyplot() -> Any:
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        return None
    return plt


def _save(plt: Any, figure: Any, picture: Path) -> bool:
    figure.savefig(picture, dpi=110)
    plt.close(figure)
    return True
