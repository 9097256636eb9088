"""Do learners learn faster from each other? Populations on Gymnasium's tasks, by the rule of sharing.

    python benchmarks/learners.py --tasks Acrobot-v1 Taxi-v3 --seeds 5 -- --threads 1
    python benchmarks/learners.py --tasks Acrobot-v1 --learners 2 4 --rules independent ucb -- --threads 1
    python benchmarks/learners.py --table         # only prints what results/learners.json holds

The tasks are those of an anonymous paper on UCB-guided sharing (2024). `independent` learns n times from scratch, and
its best learner is chosen by validation; `sequential` is one learner with n times as many steps. Every run is evaluated
`POINTS` times, greedily, on episodes of their own. A task's scale goes from the return of random actions (0) to the
best mean return over seeds that any rule with as many learners ends with (1). `steps to .9` is when the mean of all
learners has reached 0.9 of it, in steps of each learner: its mean over seeds with a 95 % bootstrap interval, where a
run that never did counts with all its steps. `episodes` are those that each learner had played by then, as the paper
counts.

Arguments after `--` are passed to `train.py`. Seeds that the file of results holds are not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import report
from trainings import Training

POINTS = 25
"""Evaluations during a run."""
REACHED = 0.9
"""Share of the scale that counts as learned."""
INDEPENDENT = "independent"
COLUMNS = {"step": "step", "seconds": "time/training_seconds"}
"""What `Training` keeps of every row, for the length of the training."""


class Task(NamedTuple):
    """A task of Gymnasium."""

    steps: int
    """Steps of each learner."""
    options: tuple[str, ...]
    """Options of train.py."""
    every: int
    """Episodes of a learner between two looks at its peers."""


TASKS: dict[str, Task] = {
    "Acrobot-v1": Task(30_000, ("--n-worlds", "8"), 10),
    "Pendulum-v1": Task(150_000, ("--n-worlds", "8"), 20),
    "Taxi-v3": Task(300_000, ("--n-worlds", "8"), 20),
    "LunarLander-v3": Task(300_000, ("--n-worlds", "8"), 20),
    "BipedalWalker-v3": Task(600_000, ("--n-worlds", "8"), 20),
}
RULES: dict[str, tuple[str, ...]] = {
    INDEPENDENT: ("--peers.share", "independent"),
    "sequential": (),
    "ucb": ("--peers.share", "ucb"),
    "pbt": ("--peers.share", "pbt"),
    "distill": ("--peers.share", "independent", "--peers.distill"),
    "seac": ("--peers.share", "seac"),
}


def command(task: str, rule: str, learners: int) -> tuple[str, ...]:
    """Returns the options of train.py for a task, a rule and a number of learners."""
    steps, options, every = TASKS[task]
    total = steps * (learners if rule == "sequential" else 1)
    words = ["--env", f"gymnasium:{task}", "--algo", "ippo", "--algo.share", "none", *options, *RULES[rule]]
    words += ["--env.n-copies", str(1 if rule == "sequential" else learners), "--total-steps", str(total)]
    words += ["--eval-every", str(total // POINTS), "--eval-episodes", "8", "--no-videos"]
    if rule != "sequential":
        words += ["--peers.share-every", str(every), "--peers.window", str(every)]
    if rule == "distill":
        words += ["--peers.distill-every", str(every)]
    return tuple(words)


def points(metrics: Path) -> list[list[float]]:
    """Returns steps, episodes of each learner, mean return, that of the best learner, and spread at each evaluation."""
    found, episodes = [], 0.0
    for line in metrics.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        episodes = row.get("rollout/episodes", episodes)
        if "eval/return" in row:
            best = row.get("eval/return_of_best_learner", row["eval/return"])
            found.append([row["step"], episodes, row["eval/return"], best, row.get("eval/spread_of_learners", 0.0)])
    return found


def reached(curve: Sequence[Sequence[float]], level: float) -> tuple[float, float, bool]:
    """Returns steps and episodes at which a curve first reached a level, and whether it did; otherwise its last."""
    for steps, episodes, mean, *_ in curve:
        if mean >= level:
            return steps, episodes, True
    return curve[-1][0], curve[-1][1], False


def table(rows: Mapping[str, Any]) -> str:
    """Returns a table for each task and number of learners."""
    groups: dict[tuple[str, int], list[Any]] = {}
    for row in rows.values():
        groups.setdefault((row["task"], row["learners"]), []).append(row)
    parts = []
    for (task, learners), members in sorted(groups.items(), key=lambda one: (list(TASKS).index(one[0][0]), one[0][1])):
        low = float(np.mean([run["random"] for row in members for run in row["runs"]]))
        high = max(float(np.mean([run["mean"] for run in row["runs"]])) for row in members)
        level = low + REACHED * (high - low)
        lines = []
        alone = None
        for rule in RULES:
            row = next((row for row in members if row["rule"] == rule), None)
            if row is None:
                continue
            runs = row["runs"]
            when = np.array([reached(run["curve"], level) for run in runs])  # (seeds, 3)
            if rule == INDEPENDENT:
                alone = when.mean(axis=0)
            cells = [_interval([run[name] for run in runs]) for name in ("mean", "best", "spread")]
            share = (
                "" if alone is None or rule in (INDEPENDENT, "sequential") else f"{when[:, 1].mean() / alone[1]:.2f}"
            )
            steps, episodes = _interval(when[:, 0] / 1e3), f"{when[:, 1].mean():.0f}"
            seconds = f"{np.mean([run['seconds'] for run in runs]):.0f}"
            times = (steps, episodes, share, f"{int(when[:, 2].sum())}/{len(runs)}", seconds)
            lines.append([rule, str(len(runs)), *cells, *times])
        head = [f"{task}, {learners} learners", "seeds", "mean return", "best learner", "spread of learners"]
        head += ["thousand steps to .9", "episodes", "of independent", "reached", "command [s]"]
        parts.append(f"Random {low:.1f}, level {level:.1f}\n\n" + report.markdown(head, lines))
    return "\n\n".join(parts)


def _interval(values: Sequence[float] | np.ndarray) -> str:
    found = report.bootstrap(np.asarray(values, float), lambda drawn: drawn.mean(axis=-1))
    return f"{found['value']:.1f} [{found['low']:.1f}, {found['high']:.1f}]"


def measured(one: Training) -> dict[str, Any]:
    """Runs a training, or reads it, and returns what the table needs of it."""
    run = one.result()
    policies = run["policies"]
    best = next((value for name, value in policies.items() if name.startswith("best learner")), policies["learned"])
    curve = points(report.ROOT / one.folder / f"seed-{one.seed}" / "metrics.jsonl")
    return {
        "seed": one.seed,
        "command": run["command"],
        "mean": policies["learned"]["return"]["mean"],
        "best": best["return"]["mean"],
        "spread": curve[-1][-1],
        "random": policies["random"]["return"]["mean"],
        "seconds": run["command_seconds"],
        "curve": [[round(value, 2) for value in point] for point in curve],
        "machine": run["machine"],
    }


def main() -> int:
    """Runs what the command line asks for, writes the results after each run, and prints them."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))
    parser.add_argument("--learners", nargs="+", type=int, default=[8])
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds: 0, 1, ...")
    parser.add_argument("--table", action="store_true", help="only print the results so far")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "learners.json")
    given = parser.parse_args(words[:cut])
    rows: dict[str, Any] = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.exists() else {}
    failed = 0
    jobs = [(t, n, r, s) for s in range(given.seeds) for t in given.tasks for n in given.learners for r in given.rules]
    for task, learners, rule, seed in [] if given.table else jobs:
        key = f"{task} {rule} n={learners}"
        row = rows.setdefault(key, {"task": task, "rule": rule, "learners": learners, "runs": []})
        if any(run["seed"] == seed for run in row["runs"]):
            continue
        options = (*command(task, rule, learners), *words[cut + 1 :])
        one = Training(key, options, seed, 0.0, 40, given.work, COLUMNS)
        try:
            row["runs"].append(measured(one))
        except RuntimeError as error:
            print(f"{key}, seed {seed} failed: {error}", file=sys.stderr)
            failed += 1
            continue
        print(f"{key}, seed {seed}: {row['runs'][-1]['mean']:.1f}", file=sys.stderr, flush=True)
        report.write(given.out, {"rows": {name: one for name, one in rows.items() if one["runs"]}}, quiet=True)
    print(table({name: row for name, row in rows.items() if row["runs"]}))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
