"""Does MAPPO learn to beat the heuristic? Runs the real command for each task and seed, and compares.

    pip install matplotlib                        # for the picture of the learning curves
    python benchmarks/warehouse_learning.py --tasks small-4 --seeds 5 --minutes 5
    python benchmarks/warehouse_learning.py --tasks medium-8 large-16 --seeds 2 --minutes 10 -- --total-steps 1e8
    python benchmarks/warehouse_learning.py --table      # only prints what results/warehouse_learning.json holds

Arguments after `--` are passed to `train.py`. A command that still runs after `--minutes` gets a Ctrl-C, and saves;
so with a large `--total-steps` the time is the limit, and without one the command's own default is. Each seed is judged
on its own unseen episodes, the same for the learned policy, the heuristic and random. Finished runs in `runs/bench/`
are not repeated, so this can be stopped and started again. Rows of the results are replaced one by one, by task and
options.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import learning_curves
import numpy as np
import report
import trainings
from trainings import Training

POLICIES = ("learned", "heuristic", "random")
COLUMNS = ("orders_per_hour", "contacts", "deadlock_seconds", "return")
CURVES = {
    "step": "step",
    "seconds": "time/training_seconds",
    "orders_per_hour": "env/orders_per_hour",
    "contacts": "env/contacts",
    "return": "rollout/return",
}
"""Columns of a run's curve that are kept: name in results/warehouse_learning_curves.jsonl, and in metrics.jsonl."""


def training(task: str, seed: int, minutes: float, episodes: int, passed: tuple[str, ...], work: Path) -> Training:
    """Returns the command of one task and seed."""
    options = ("--env", "warehouse", "--env.task", task, "--algo", "mappo", *passed)
    return Training(" ".join([task, *passed, f"({minutes:g} min)"]), options, seed, minutes, episodes, work, CURVES)


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns means over seeds with bootstrap intervals, and the learned policy over the heuristic seed by seed."""

    def values(policy: str, column: str) -> np.ndarray:
        found = [run["policies"][policy][column]["mean"] for run in runs]
        return np.array([np.nan if value is None else value for value in found], dtype=np.float64)

    def mean(numbers: np.ndarray) -> dict[str, float]:
        return report.bootstrap(numbers, lambda drawn: np.nanmean(drawn, axis=-1))

    found: dict[str, Any] = {
        column: {policy: mean(values(policy, column)) for policy in POLICIES} for column in COLUMNS
    }
    ratio = values("learned", "orders_per_hour") / np.maximum(values("heuristic", "orders_per_hour"), 1e-9)
    found["orders_ratio"] = mean(ratio)
    found["orders_ratio_iqm"] = report.bootstrap(ratio, report.interquartile_mean)
    found["orders_ratio_by_seed"] = ratio.tolist()
    found["contacts_more"] = mean(values("learned", "contacts") - values("heuristic", "contacts"))
    found["command_seconds"] = [run["command_seconds"] for run in runs]
    return found


def table(results: dict[str, Any]) -> str:
    """Returns two tables of all rows: orders per hour, then the other columns."""

    def interval(one: dict[str, float]) -> str:
        return f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"

    orders, others = [], []
    for key, row in results.items():
        found, runs = row["summary"], row["runs"]
        rates = [report.short(found["orders_per_hour"][policy]["value"]) for policy in POLICIES]
        steps = np.mean([run["steps"] for run in runs]) / 1e6
        seconds = f"{report.short(np.mean(found['command_seconds']))} ({report.short(max(found['command_seconds']))})"
        ratios = [interval(found["orders_ratio"]), interval(found["orders_ratio_iqm"])]
        ratios.append(f"{min(found['orders_ratio_by_seed']):.2f}")
        orders.append([learning_curves.title(key), str(len(runs)), f"{steps:.2f}", seconds, *rates, *ratios])
        for column in COLUMNS[1:]:
            cells = [found[column][policy] for policy in POLICIES]
            name = f"{learning_curves.title(key)}: {column.replace('_', ' ')}"
            others.append([name, *(interval(one) for one in cells)])
    head = ["orders per hour", "seeds", "million steps", "command: mean (longest) [s]", *POLICIES]
    head += ["learned / heuristic, mean [95 %]", "IQM [95 %]", "worst seed"]
    return f"{report.markdown(head, orders)}\n\n{report.markdown(['', *POLICIES], others)}"


def main() -> int:
    """Runs the trainings, writes the results and prints them."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    passed = tuple(words[cut + 1 :])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["small-4"])
    parser.add_argument("--seeds", type=int, default=5, help="how many: 0, 1, ...")
    parser.add_argument("--minutes", type=float, default=5.0, help="longest time of a command; 0: none")
    parser.add_argument("--episodes", type=int, default=100, help="of each policy, for each seed")
    parser.add_argument("--jobs", type=int, default=1, help="commands at a time; with several, each has its share")
    parser.add_argument("--fresh", action="store_true", help="run again what is finished")
    parser.add_argument("--table", action="store_true", help="only print the results so far")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"), help="where the runs go")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "warehouse_learning.json")
    given = parser.parse_args(words[:cut])
    results = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.exists() else {}
    if given.table:
        print(table(results))
        return 0
    if given.jobs > 1 and "--threads" not in passed:
        passed += ("--threads", str(max(1, (os.cpu_count() or 1) // given.jobs)))

    wanted = [
        training(task, seed, given.minutes, given.episodes, passed, given.work)
        for task in given.tasks
        for seed in range(given.seeds)
    ]
    data = given.out.with_name(given.out.stem + "_curves.jsonl")
    found: dict[str, list[dict[str, Any]]] = {}
    for one, run in trainings.results(wanted, jobs=given.jobs, fresh=given.fresh):
        rate = [run["policies"][policy]["orders_per_hour"]["mean"] for policy in POLICIES]
        words = ", ".join(f"{policy} {value:.0f}" for policy, value in zip(POLICIES, rate, strict=True))
        print(f"{one.key}, seed {one.seed}: orders per hour {words}; {run['command_seconds']:.0f} s", file=sys.stderr)
        runs = found.setdefault(one.key, [])
        runs.append(run)
        row = {"summary": summary(runs), "jobs": given.jobs, "runs": trainings.without_curves(runs)}
        results[one.key] = row
        learning_curves.merge(one.key, {run["seed"]: run["curve"] for run in runs}, data)
        report.write(given.out, {"rows": results}, quiet=True)  # after every run, in case the next one is interrupted
    print(table(results))
    levels = {key: row["summary"] for key, row in results.items()}
    panels = ("orders_per_hour", "contacts")
    if not learning_curves.draw(levels, panels, data, given.out.with_suffix(".png"), bottom=0.0):
        print("\nno picture: matplotlib is not installed (pip install matplotlib)")
    print(f"\nwritten: {given.out.name} and its curves")
    return int(sum(map(len, found.values())) < len(wanted))


if __name__ == "__main__":
    sys.exit(main())
