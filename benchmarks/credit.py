"""What is it worth to know whose doing the team's reward was? The real command, several seeds.

    python benchmarks/credit.py --cases rovers-16 --seeds 5 -- --threads 1
    python benchmarks/credit.py --cases "rovers-16 difference" "rovers-16 team" --seeds 2 -- --threads 1
    python benchmarks/credit.py --table                  # only prints what results/credit.json holds

Every rule of `--algo.credit` on the same environment for the same number of steps. Arguments after `--` are passed to
`train.py`. The learned policy acts greedily on unseen episodes; of the metric that decides, the table has the
interquartile mean over seeds. Finished runs in `runs/bench/` are not repeated.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import learning_curves
import numpy as np
import report
from cases import Case, interval, run

RULES = ("individual", "team", "difference", "shapley", "coma", "learned")
_LARGE = ("--env", "warehouse", "--env.task", "large-16", "--total-steps", "1700000")
TASKS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    # Options, metrics, and the rules that do not work there.
    "rovers-16": (("--env", "rovers", "--total-steps", "400000"), ("score", "overlap"), ()),
    "rovers-32": (
        ("--env", "rovers", "--env.task", "rovers-32", "--total-steps", "400000"),
        ("score", "overlap"),
        ("shapley", "coma", "learned"),
    ),
    "coupled-16": (
        ("--env", "rovers", "--env.task", "coupled-16", "--total-steps", "400000"),
        ("score", "overlap"),
        ("shapley",),
    ),
    "medium-8": (
        ("--env", "warehouse", "--env.task", "medium-8", "--total-steps", "1000000"),
        ("orders_per_hour", "contacts"),
        (),
    ),
    "large-16, contact charge 0.4": (
        (*_LARGE, "--env.contact-charge", "0.4"),
        ("orders_per_hour", "contacts"),
        (),
    ),
    **{
        f"large-16{label}": (
            (*_LARGE, "--env.contact-charge", charge),
            ("orders_per_hour", "contacts"),
            ("team", "difference", "shapley", "coma", "learned"),
        )
        for label, charge in (("", "0.2"), (", contact charge 0.1", "0.1"))
    },
    "busy-16": (
        ("--env", "intersection", "--env.task", "busy-16", "--total-steps", "1000000"),
        ("success", "crash_rate", "delay"),
        (),
    ),
    "village-8": (
        ("--env", "edge_market", "--env.task", "village-8", "--total-steps", "1000000"),
        ("welfare",),
        ("coma", "learned"),
    ),
}
"""Where rules are compared."""
MEASURES = ("credit/factoredness", "credit/learnability", "credit/correlation")
"""How good the credit is, by the closing evaluation."""
GROUPS: dict[str, dict[str, Case]] = {
    task: {
        f"{task} {rule}": Case((*options, "--algo.credit", rule), (*columns, *MEASURES))
        for rule in RULES
        if rule not in without
    }
    for task, (options, columns, without) in TASKS.items()
}

CURVES = report.RESULTS / "credit_curves.jsonl"


def table(results: Mapping[str, Any]) -> str:
    """Returns a table for each task, with a line for each rule, and one of how good the credits are."""
    every, parts = learning_curves.load(CURVES), []
    for task, (_, columns, _) in TASKS.items():
        keys = {rule: next((key for key in results if key.split(" --")[0] == f"{task} {rule}"), None) for rule in RULES}
        found = {rule: key for rule, key in keys.items() if key is not None}
        if not found:
            continue
        curves = {rule: mean_curve(every, key, columns[0]) for rule, key in found.items()}
        rows = []
        for rule, key in found.items():
            summary, runs = results[key]["summary"], results[key]["runs"]
            first = report.bootstrap(summary[columns[0]]["learned"]["by_seed"], report.interquartile_mean)
            others = [interval(summary[column]["learned"]) for column in columns[1:]]
            seconds = report.short(float(np.mean([one["command_seconds"] for one in runs])))
            rows.append([rule, str(len(runs)), interval(first), *others, seconds, _sooner(curves, rule)])
        for policy in ("heuristic", "random"):
            summary = results[next(iter(found.values()))]["summary"]
            rows.append([policy, "", *(f"{summary[column][policy]['value']:.3f}" for column in columns), "", ""])
        head = [task, "seeds", f"{columns[0]} (IQM)", *columns[1:], "command [s]", "as good as team after"]
        parts.append(report.markdown(head, rows))
    return "\n\n".join([*parts, measures(results)])


def measures(results: Mapping[str, Any]) -> str:
    """Returns a table of how good each rule's credit is: means over seeds, with a line for each task and rule."""
    rows = []
    for key, row in results.items():
        found = [row["summary"].get(measure, {}).get("learned") for measure in MEASURES]
        if any(found):
            rows.append([key.split(" --")[0], *("-" if one is None else f"{one['value']:.2f}" for one in found)])
    return report.markdown(["", *(measure.split("/")[1] for measure in MEASURES)], rows)


def mean_curve(rows: Sequence[Mapping[str, Any]], key: str, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the steps of a case's curve, and the metric of each seed at them, (seeds, steps)."""
    mine = [row for row in rows if row["row"] == key and column in row]
    seeds = [[row for row in mine if row["seed"] == seed] for seed in sorted({row["seed"] for row in mine})]
    if not seeds:
        return np.empty(0), np.empty((0, 0))
    steps = np.linspace(0, min(curve[-1]["step"] for curve in seeds), 201)[1:]
    return steps, np.array(
        [np.interp(steps, [row["step"] for row in curve], [row[column] for row in curve]) for curve in seeds]
    )


def _sooner(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], rule: str) -> str:
    """Returns after which share of the steps a rule's mean curve is where the team's ends."""
    (steps, values), (_, team) = curves[rule], curves.get("team", (None, np.empty((0, 0))))
    if rule == "team" or not team.size or not values.size:
        return ""
    reached = values.mean(axis=0) >= team.mean(axis=0)[-1]
    return f"{steps[reached.argmax()] / steps[-1]:.0%}" if reached.any() else "never"


if __name__ == "__main__":
    options = ("--algo", "mappo", "--no-videos")
    sys.exit(run(__doc__, GROUPS, "credit", table, options=options, curves=True))
