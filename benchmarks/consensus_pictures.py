"""The picture of `consensus.py`: rounds and messages until all nodes agree within 1 %, by rule, size and loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import report

COLOURS = {
    "gossip": "tab:blue",
    "gossip, k = 3": "tab:cyan",
    "pairs": "tab:olive",
    "push-sum": "tab:purple",
    "hierarchical": "tab:red",
    "hierarchical, all levels": "tab:orange",
    "adaptive": "tab:green",
}
"""Rules that are drawn, and how."""


def draw(results: Mapping[str, Any], picture: Path) -> bool:
    """Draws medians over networks, with a band from the least to the most; False without matplotlib.

    Args:
        results: Of `consensus.py`, with the part "agreement".
        picture: Where to.
    """
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
        from matplotlib.ticker import ScalarFormatter
    except ImportError:
        return False
    rows = results["agreement"]
    losses = sorted({row["loss"] for row in rows})
    figure, axes = plt.subplots(
        2, len(losses), figsize=(4 * len(losses), 6), sharex=True, sharey="row", squeeze=False, layout="constrained"
    )
    for column, loss in enumerate(losses):
        for line, what in enumerate(("rounds", "messages")):
            axis = axes[line, column]
            for rule, colour in COLOURS.items():
                found = _course(rows, loss, rule, what)
                if len(found):
                    axis.plot(found[:, 0], found[:, 2], "o-", color=colour, label=rule, markersize=4)
                    axis.fill_between(found[:, 0], found[:, 1], found[:, 3], color=colour, alpha=0.2, linewidth=0)
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.grid(alpha=0.3)
        axes[0, column].set_title(f"loss {loss:.0%}", fontsize=10)
        axes[1, column].set_xlabel("nodes")
        axes[1, column].set_xticks(sorted({row["nodes"] for row in rows}))
        axes[1, column].xaxis.set_major_formatter(ScalarFormatter())
    axes[0, 0].set_ylabel("rounds until all are within 1 %")
    axes[1, 0].set_ylabel("messages a node")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, fontsize=8, ncols=len(names), loc="outside lower center")
    figure.savefig(picture, dpi=110)
    plt.close(figure)
    return True


def _course(rows: list[dict[str, Any]], loss: float, rule: str, what: str) -> np.ndarray:
    """Returns nodes, least, median and most, (sizes, 4), of the sizes in which all networks agreed."""
    found = []
    for row in sorted(rows, key=lambda row: row["nodes"]):
        values = [one[what] for one in row["networks"]]
        if row["loss"] == loss and row["rule"] == rule and None not in values:
            scale = row["nodes"] if what == "messages" else 1
            found.append([row["nodes"], *(np.quantile(values, [0, 0.5, 1]) / scale)])
    return np.array(found)


def redraw() -> bool:
    """Draws it beside the results; False without matplotlib."""
    results = report.RESULTS / "consensus.json"
    return draw(json.loads(results.read_text(encoding="utf-8")), results.with_suffix(".png"))
