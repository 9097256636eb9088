"""Does MAPPO beat the hand-written policies of intersection and signals, and what is a shared intent worth?

    python benchmarks/traffic_learning.py --cases "intersection shared" "intersection none" --seeds 3
    python benchmarks/traffic_learning.py --cases "signals" --minutes 10
    python benchmarks/traffic_learning.py --table        # only prints what results/traffic_learning.json holds

Runs the command as a user does, once for each seed. Arguments after `--` are passed to `train.py`, after the case's own
options. The learned policy acts greedily on unseen episodes; the environment's default rule and random actions play the
same ones. Finished runs in `runs/bench/` are not repeated. Only means by seed are kept, without curves.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import report
import trainings
from trainings import Training

POLICIES = ("learned", "heuristic", "random")


class Case(NamedTuple):
    """A training, and the metrics that are reported of it."""

    options: tuple[str, ...]  # of train.py
    columns: tuple[str, ...]  # metrics


_CROSSING = ("success", "crash_rate", "delay", "throughput", "min_ttc")
_TOWN = ("delay", "queue", "stops", "throughput", "fairness")
CASES = {
    "intersection shared": Case(("--env", "intersection", "--env.intent", "shared"), _CROSSING),
    "intersection none": Case(("--env", "intersection", "--env.intent", "none"), _CROSSING),
    "signals": Case(("--env", "signals"), _TOWN),
}
CURVES = {"step": "step", "seconds": "time/training_seconds", "return": "rollout/return"}


def summary(columns: tuple[str, ...], runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns by column and policy the mean over seeds, its bootstrap interval, and the value of every seed."""
    found: dict[str, Any] = {}
    for column in (*columns, "return"):
        found[column] = {}
        for policy in POLICIES:
            values = np.array([run["policies"][policy][column]["mean"] for run in runs], float).tolist()  # None: NaN
            mean = report.bootstrap(values, lambda drawn: np.nanmean(drawn, axis=-1))
            found[column][policy] = {**mean, "by_seed": values}
    return found


def table(results: dict[str, Any]) -> str:
    """Returns a table with a line for each case and column."""
    rows = []
    for key, row in results.items():
        steps = f"{np.mean([run['steps'] for run in row['runs']]) / 1e6:.2f}"
        seconds = report.short(float(np.mean([run["command_seconds"] for run in row["runs"]])))
        for column, policies in row["summary"].items():
            cells = [f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]" for one in policies.values()]
            rows.append([f"{key}: {column}", str(len(row["runs"])), steps, seconds, *cells])
    return report.markdown(["", "seeds", "million steps", "command [s]", *POLICIES], rows)


def main() -> int:
    """Runs the trainings, writes the results and prints them."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    extra = tuple(words[cut + 1 :])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES), metavar="CASE")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds: 0, 1, ...")
    parser.add_argument("--minutes", type=float, default=0.0, help="time limit of a command; 0: none")
    parser.add_argument("--episodes", type=int, default=200, help="evaluation episodes of each policy, for each seed")
    parser.add_argument("--jobs", type=int, default=1, help="commands that run at the same time")
    parser.add_argument("--fresh", action="store_true", help="repeat runs that are finished")
    parser.add_argument("--table", action="store_true", help="only print the results so far")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "traffic_learning.json")
    given = parser.parse_args(words[:cut])
    results = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.exists() else {}
    if given.table:
        print(table(results))
        return 0
    names = {" ".join([case, *extra]): case for case in given.cases}
    jobs = [
        Training(
            " ".join([case, *extra]),
            (*CASES[case].options, "--algo", "mappo", *extra),
            seed,
            given.minutes,
            given.episodes,
            given.work,
            CURVES,
        )
        for seed in range(given.seeds)
        for case in given.cases
    ]
    found: dict[str, list[dict[str, Any]]] = {}
    for one, run in trainings.results(jobs, jobs=given.jobs, fresh=given.fresh):
        columns = CASES[names[one.key]].columns
        told = ", ".join(f"{column} {run['policies']['learned'][column]['mean']:.3f}" for column in columns)
        print(f"{one.key}, seed {one.seed}: {told}; {run['command_seconds']:.0f} s", file=sys.stderr)
        runs = found.setdefault(one.key, [])
        runs.append(run)
        kept = ("seed", "command", "ended", "command_seconds", "steps", "training_seconds", "episodes", "machine")
        results[one.key] = {
            "summary": summary(columns, runs),
            "runs": [{name: each[name] for name in kept} for each in runs],
        }
        report.write(given.out, {"rows": results}, quiet=True)  # after every run, in case the next one is interrupted
    print(table(results))
    return int(sum(map(len, found.values())) < len(jobs))


if __name__ == "__main__":
    sys.exit(main())
