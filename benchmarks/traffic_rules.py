"""Results of hand-written policies and of random actions on intersection, signals and traffic junction.

python benchmarks/traffic_rules.py
python benchmarks/traffic_rules.py --env signals --tasks single grid-4x4 --episodes 64
python benchmarks/traffic_rules.py --table        # only prints what results/traffic_rules.json holds
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import typing
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import report

sys.path.insert(0, str(report.ROOT))

import envs
from algos.training import evaluation

COLUMNS = {
    "intersection": ("success", "crash_rate", "delay", "longest_wait", "min_ttc", "fairness"),
    "signals": ("delay", "queue", "stops", "throughput", "fairness", "spillback"),
    "traffic_junction": ("success", "throughput", "delay", "brakes"),
}


def rules(env: str) -> tuple[str, ...]:
    """Returns the values of `Config.rule`."""
    return typing.get_args(typing.get_type_hints(type(envs.config(env)))["rule"])


def follow(env: str, task: str, rule: str, worlds: Any) -> Callable[[Any], Any]:
    """Returns a rule as a policy, which reads the state of the worlds."""
    policy = envs.heuristic(env, task, rule=rule)
    return lambda _: policy(worlds.batch_state)


def play(env: str, task: str, episodes: int) -> dict[str, Any]:
    """Returns means and intervals by policy and column."""
    policies: dict[str, Any] = {"random": evaluation.random_policy}
    policies |= {rule: partial(follow, env, task, rule) for rule in rules(env)}
    found = evaluation.compare(lambda n_worlds: envs.vector(env, n_worlds, task), policies, episodes)
    assert found is not None
    return evaluation.summary(found)


def table(env: str, rows: dict[str, Any]) -> str:
    """Returns a table with a line for each task and policy, means only."""
    lines = []
    for task, row in rows.items():
        for policy, values in row["policies"].items():
            lines.append([f"{task}, {policy}", *(report.short(values[column]["mean"]) for column in COLUMNS[env])])
    return report.markdown([f"{env}, mean of {next(iter(rows.values()))['episodes']} episodes", *COLUMNS[env]], lines)


def main() -> None:
    """Plays the episodes, writes the results and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", nargs="+", default=list(COLUMNS), choices=list(COLUMNS), metavar="ENV")
    parser.add_argument("--tasks", nargs="+", default=None, help="tasks of one environment (default: all)")
    parser.add_argument("--episodes", type=int, default=256, help="episodes of each policy on each task")
    parser.add_argument("--table", action="store_true", help="only print the results so far")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "traffic_rules.json")
    given = parser.parse_args()
    results = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    for env in [] if given.table else given.env:
        tasks = list(importlib.import_module(f"envs.{env}").TASKS) if given.tasks is None else given.tasks
        for task in tasks:
            print(f"{env} {task}", file=sys.stderr)
            row = {"episodes": given.episodes, "machine": report.machine(), "policies": play(env, task, given.episodes)}
            results.setdefault(env, {})[task] = row
            report.write(given.out, results, quiet=True)
    for env, rows in results.items():
        print(f"\n{table(env, rows)}")


if __name__ == "__main__":
    main()
