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
RULES |= {"random": ("random", "-.")}
"""Name and style of the line of each policy of Traffic Junction that is not learned."""
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
            sampled = row["summary"]["success"].get("sampled")
            if sampled is not None:
                axis.plot(
                    index, sampled["value"], "D", color="white", markeredgecolor="black", label="with sampled actions"
                )
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
    names = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))  # each once
    figure.legend(names.values(), names.keys(), fontsize=8, ncols=len(names), loc="outside lower center")
    return _save(plt, figure, picture)


def draw_bits(rows: Rows, picture: Path) -> bool:
    """Draws what is reached against the size of a message, on `whispers` and at the blind crossing.

    Returns:
        False without matplotlib.
    """
    plt = _pyplot()
    if plt is None:
        return False
    task = TASKS["whispers-4-slow"]
    best = {
        medium: over_episode(task.max_steps, task.n_symbols, persistence=task.persistence, loss=loss, delay=delay)
        for medium, (loss, delay) in _LOSS_AND_DELAY.items()
    }
    panels = {"whispers slow": ("share_right", "share of right names (dotted: optimum)", best)}
    if _of_medium(rows, "blind-8", "ideal"):
        panels["blind-8"] = ("return", "return of a car, greedy", {})
    figure, axes = plt.subplots(1, len(panels), figsize=(6.4 * len(panels), 4.5), squeeze=False, layout="constrained")
    for axis, (task, (column, name, levels)) in zip(axes.flat, panels.items(), strict=True):
        _draw_media(axis, rows, task, column, levels)
        axis.set_ylabel(name)
    return _save(plt, figure, picture)


def _draw_media(axis: Any, rows: Rows, task: str, column: str, best: Mapping[str, float]) -> None:
    """Draws a line for each medium, its interval over seeds, and the best that is possible there, if it is known."""
    for index, medium in enumerate(_LOSS_AND_DELAY):
        points = [(budget, one["summary"][column]["learned"]) for budget, one in _of_medium(rows, task, medium)]
        x = [list(communication.BUDGETS).index(budget) for budget, _ in points]
        low, high = ([one[end] for _, one in points] for end in ("low", "high"))
        axis.plot(x, [one["value"] for _, one in points], "o-", color=f"C{index}", label=medium, markersize=4)
        axis.fill_between(x, low, high, color=f"C{index}", alpha=0.2)
        if medium in best:
            axis.axhline(best[medium], color=f"C{index}", linestyle=":", linewidth=1)
    axis.set_xticks(range(len(communication.BUDGETS)), communication.BUDGETS, fontsize=8)
    axis.set_xlabel("size of a message")
    axis.set_title(task, fontsize=10)
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)


def _of_medium(rows: Rows, task: str, medium: str) -> list[tuple[str, Any]]:
    """Returns what was measured in a medium by size of a message; silence is the same in all of them."""
    found = [
        (budget, f"{task}, {'ideal' if budget == '0 bits' else medium}, {budget}") for budget in communication.BUDGETS
    ]
    return [(budget, _plain(rows)[name]) for budget, name in found if name in _plain(rows)]


def write_bits(rows: Rows, data: Path) -> None:
    """Writes the numbers of `draw_bits` as lines of JSON, one a seed."""
    lines = []
    for task, column in (("whispers slow", "share_right"), ("blind-8", "return")):
        for medium in _LOSS_AND_DELAY:
            for budget, one in _of_medium(rows, task, medium):
                values = one["summary"][column]["learned"]["by_seed"]
                lines += [
                    {"task": task, "medium": medium, "message": budget, "seed": seed, column: value}
                    for seed, value in enumerate(values)
                ]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def redraw() -> bool:
    """Draws all of them beside the results; False without matplotlib."""
    found = {
        name: json.loads((report.RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("communication", "traffic_rules")
    }
    rows = found["communication"]["rows"]
    write_bits(rows, report.RESULTS / "communication_bits.jsonl")
    junction, bits = (report.RESULTS / f"communication_{name}.png" for name in ("junction", "bits"))
    return draw_junction(rows, found["traffic_rules"], junction) and draw_bits(rows, bits)


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
