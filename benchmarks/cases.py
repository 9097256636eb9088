"""Tables of trainings with several seeds: cases by name, each a command and the metrics that are reported of it.

`run` is the `main` of a benchmark: it runs the trainings, writes their means with intervals, and prints a table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import learning_curves
import numpy as np
import report
import trainings
from trainings import Training

POLICIES = ("learned", "heuristic", "random")
SAMPLED = "sampled"
"""The further evaluation whose actions are sampled as in training, by `--sampled`."""
CURVES = {"step": "step", "seconds": "time/training_seconds", "return": "rollout/return"}
"""Columns of a run's curve that are kept beside its first metric: name in the file of curves, and in metrics.jsonl."""


class Case(NamedTuple):
    """A training, and the metrics that are reported of it."""

    options: tuple[str, ...]
    """Options of train.py."""
    columns: tuple[str, ...]
    """Metrics, the one that decides first."""
    elsewhere: Mapping[str, tuple[str, ...]] = {}
    """Further evaluations of the learned policy: options of `train.py --evaluate` by name."""


def summary(columns: Sequence[str], runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns by column and policy the mean over seeds, its bootstrap interval, and the value of every seed.

    The learned policy in other circumstances is a policy of its own, by the name of the evaluation; where that is
    `SAMPLED`, it is the one whose actions are sampled. Policies that a column says nothing about are left out of it.
    """
    found: dict[str, Any] = {}
    for column in columns:
        values = {policy: [_value(run["policies"][policy], column) for run in runs] for policy in POLICIES}
        for name in dict.fromkeys(name for run in runs for name in run.get("elsewhere", {})):
            policy = SAMPLED if name == SAMPLED else "learned"
            values[name] = [_value(run.get("elsewhere", {}).get(name, {}).get(policy, {}), column) for run in runs]
        defined = {policy: by_seed for policy, by_seed in values.items() if np.isfinite(by_seed).any()}
        found[column] = {policy: _mean(np.array(by_seed)) for policy, by_seed in defined.items()}
    return found


def measured(row: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Returns the runs of a row of results by their seed, each with what it measured: the inverse of `summary`."""
    found = {}
    for at, run in enumerate(row["runs"]):
        values: dict[str, dict[str, dict[str, Any]]] = {}
        for column, policies in row["summary"].items():
            for policy, of_seeds in policies.items():
                values.setdefault(policy, {})[column] = {"mean": of_seeds["by_seed"][at]}
        elsewhere = {
            name: {SAMPLED if name == SAMPLED else "learned": one}
            for name, one in values.items()
            if name not in POLICIES
        }
        found[run["seed"]] = {**run, "policies": {name: values.get(name, {}) for name in POLICIES}}
        found[run["seed"]]["elsewhere"] = elsewhere
    return found


def _value(of_policy: Mapping[str, Any], column: str) -> float:
    """Returns the mean of a column over episodes; NaN where it is not known."""
    mean = of_policy.get(column, {}).get("mean")
    return np.nan if mean is None else float(mean)


def _mean(values: np.ndarray) -> dict[str, Any]:
    mean = report.bootstrap(values[np.isfinite(values)], lambda drawn: drawn.mean(axis=-1))
    return {**mean, "by_seed": values.tolist()}


def tall_table(results: Mapping[str, Any]) -> str:
    """Returns a table with a line for each case and column, and a cell for each policy."""
    rows = []
    for key, row in results.items():
        for column, policies in row["summary"].items():
            cells = [interval(policies[policy]) for policy in POLICIES]
            rows.append([f"{key}: {column}", *_effort(row), *cells])
    return report.markdown(["", "seeds", "million steps", "command [s]", *POLICIES], rows)


def wide_table(results: Mapping[str, Any]) -> str:
    """Returns a table for each group of columns, with a line for each case, and for the learned policy elsewhere."""
    parts = []
    for columns in dict.fromkeys(tuple(row["summary"]) for row in results.values()):
        rows = []
        for key, row in results.items():
            if tuple(row["summary"]) != columns:
                continue
            for policy in row["summary"][columns[0]]:
                if policy in ("heuristic", "random"):
                    continue
                name = key if policy == "learned" else f"{key}: {policy}"
                cells = [interval(row["summary"][column][policy]) for column in columns]
                known = int(np.isfinite(row["summary"][columns[0]][policy]["by_seed"]).sum())
                rows.append([name, str(known), *_effort(row)[1:], *cells])
        parts.append(report.markdown(["", "seeds", "million steps", "command [s]", *columns], rows))
    return "\n\n".join(parts)


def interval(one: Mapping[str, float]) -> str:
    """Returns a mean and its interval as text."""
    return f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"


def _effort(row: Mapping[str, Any]) -> tuple[str, str, str]:
    runs = row["runs"]
    seconds = report.short(float(np.mean([run["command_seconds"] for run in runs])))
    return str(len(runs)), f"{np.mean([run['steps'] for run in runs]) / 1e6:.2f}", seconds


def run(
    description: str | None,
    groups: Mapping[str, Mapping[str, Case]],
    name: str,
    table: Callable[[Mapping[str, Any]], str],
    *,
    options: Sequence[str] = (),
    episodes: int = 200,
    curves: bool = False,
) -> int:
    """Runs the trainings that the command line asks for, writes the results after each, and prints them.

    Seeds that the file of results holds are not run again, except with `--fresh`.

    Args:
        description: Text of `--help`.
        groups: Cases by name, by the name of their group.
        name: Of the file of results.
        table: Turns results into text.
        options: Options of train.py for all cases, before those of the command line.
        episodes: Evaluation episodes of each policy, for each seed.
        curves: Whether to keep curves of the first metric beside the results.

    Returns:
        The exit status: 1 if a training failed.
    """
    cases = {case: found for group in groups.values() for case, found in group.items()}
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    extra = tuple(words[cut + 1 :])
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*dict.fromkeys([*groups, *cases])]
    parser.add_argument("--cases", nargs="+", default=list(groups), choices=names, metavar="CASE")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds: 0, 1, ...")
    parser.add_argument("--minutes", type=float, default=0.0, help="time limit of a command; 0: none")
    parser.add_argument("--episodes", type=int, default=episodes, help="evaluation episodes of a policy, for each seed")
    parser.add_argument("--jobs", type=int, default=1, help="commands that run at the same time")
    parser.add_argument("--fresh", action="store_true", help="repeat runs that are finished or in the results")
    parser.add_argument("--table", action="store_true", help="only print the results so far")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=report.RESULTS / f"{name}.json")
    given = parser.parse_args(words[:cut])
    results = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.exists() else {}
    if given.table:
        print(table(results))
        return 0
    asked = {" ".join([case, *extra]): case for group in given.cases for case in groups.get(group, [group])}
    jobs = [
        Training(
            key,
            (*cases[case].options, *options, *extra),
            seed,
            given.minutes,
            given.episodes,
            given.work,
            {**CURVES, cases[case].columns[0]: f"env/{cases[case].columns[0]}"} if curves else CURVES,
            cases[case].elsewhere,
        )
        for seed in range(given.seeds)
        for key, case in asked.items()
    ]
    known = {} if given.fresh else {key: measured(results[key]) for key in asked if key in results}
    jobs = [one for one in jobs if one.seed not in known.get(one.key, {})]
    finished = 0
    for one, run in trainings.results(jobs, jobs=given.jobs, fresh=given.fresh):
        columns = cases[asked[one.key]].columns
        told = ", ".join(f"{column} {_value(run['policies']['learned'], column):.3f}" for column in columns)
        print(f"{one.key}, seed {one.seed}: {told}; {run['command_seconds']:.0f} s", file=sys.stderr, flush=True)
        finished += 1
        by_seed = known.setdefault(one.key, {})
        by_seed[one.seed] = run
        runs = [by_seed[seed] for seed in sorted(by_seed)]
        kept = ("seed", "command", "ended", "command_seconds", "steps", "training_seconds", "episodes", "machine")
        results[one.key] = {
            "summary": summary(columns, runs),
            "runs": [{part: each[part] for part in kept} for each in runs],
        }
        report.write(given.out, {"rows": results}, quiet=True)  # after every run, in case the next one is interrupted
        if curves:
            data = given.out.with_name(f"{given.out.stem}_curves.jsonl")
            drawn = {each["seed"]: each["curve"] for each in runs if "curve" in each}
            learning_curves.merge(one.key, drawn, data, keep=by_seed.keys() - drawn.keys())
    print(table(results))
    return int(finished < len(jobs))
