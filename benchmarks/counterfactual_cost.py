"""What do counterfactuals cost? A step with them over a plain step from the same state, by processor time.

    python benchmarks/counterfactual_cost.py
    python benchmarks/counterfactual_cost.py --tasks medium-8 large-16 --worlds 16 64

Actions are of chance. Plain steps and steps with counterfactuals take turns in one process, on one thread; the ratio is
the median of ratios of blocks of steps.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import report
from gymnasium.spaces import Box

import envs

TASKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "small-4": ("warehouse", ("stop", "absent")),
    "medium-8": ("warehouse", ("stop", "absent", "shapley")),
    "large-16": ("warehouse", ("stop", "absent")),
    "cross-8": ("intersection", ("stop", "absent", "shapley")),
    "busy-16": ("intersection", ("stop", "absent", "shapley")),
    "village-8": ("edge_market", ("absent", "shapley")),
    "city-50": ("edge_market", ("absent",)),
    "grid-4x4": ("signals", ("hold",)),
    "hard-1": ("traffic_junction", ("absent",)),
    "spread-3": ("spread", ("absent", "shapley")),
    "rovers-16": ("rovers", ("absent", "shapley")),
}
"""Environment, and kinds of counterfactuals, by task."""
BLOCK = 10
"""Steps between two looks at the clock."""


def chosen(env: Any, step: Any, rng: np.random.Generator) -> np.ndarray:
    """Returns actions of chance for all worlds."""
    space = env.action_space
    if isinstance(space, Box):
        return rng.uniform(space.low, space.high, (*step.alive.shape, *space.shape)).astype(np.float32)
    keys = rng.random((*step.alive.shape, space.n))
    if step.action_mask is not None:
        keys = np.where(step.action_mask | ~step.alive[..., None], keys, -1.0)
    return keys.argmax(axis=-1)


def measured(name: str, task: str, kind: str, n_worlds: int, blocks: int) -> dict[str, Any]:
    """Returns the time of a plain step [ms], and that of one with counterfactuals over it."""
    plain, asked = envs.make(name, task), envs.make(name, task, counterfactual=kind)
    rng, seeds = np.random.default_rng(0), range(n_worlds)
    state, step = plain.reset(seeds)
    for _ in range(20):  # on their way, and compiled
        state, step = plain.step(state, chosen(plain, step, rng))
    asked.step(state, chosen(plain, step, rng))
    times: list[tuple[float, float]] = []
    for _ in range(blocks):
        if step.truncated.any() or not step.alive.any():
            state, step = plain.reset(seeds)
        moments, spent = [], []
        for _ in range(BLOCK):
            moments.append((state, chosen(plain, step, rng)))
            state, step = plain.step(*moments[-1])
        for env in (plain, asked):
            begin = time.process_time()
            for before, action in moments:
                env.step(before, action)
            spent.append(1e3 * (time.process_time() - begin) / BLOCK)
        times.append((spent[0], spent[1]))
    ratio = float(np.median([one / none for none, one in times]))
    row = {"task": task, "kind": kind, "worlds": n_worlds, "ratio": ratio}
    return {**row, "plain_ms": float(np.median([none for none, _ in times]))}


def main() -> None:
    """Measures, writes the results and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS), metavar="TASK")
    parser.add_argument("--worlds", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--blocks", type=int, default=30, help="blocks of steps")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "counterfactual_cost.json")
    given = parser.parse_args()
    rows = [
        measured(TASKS[task][0], task, kind, n_worlds, given.blocks)
        for task in given.tasks
        for kind in TASKS[task][1]
        for n_worlds in given.worlds
    ]
    lines = [
        [row["task"], row["kind"], str(row["worlds"]), f"{row['plain_ms']:.2f}", f"{row['ratio']:.2f}"] for row in rows
    ]
    print(report.markdown(["task", "counterfactual", "worlds", "plain step [ms]", "of it with them"], lines))
    before = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.exists() else []
    every = {(row["task"], row["kind"], row["worlds"]): row for row in (*before, *rows)}
    report.write(given.out, {"rows": list(every.values())})


if __name__ == "__main__":
    main()
