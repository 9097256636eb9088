"""What is communication worth, and what do bits, losses and delays cost? The real command, several seeds.

    python benchmarks/communication.py --cases junction --seeds 5 -- --threads 1
    python benchmarks/communication.py --cases crossing --seeds 5 -- --threads 1
    python benchmarks/communication.py --cases whispers --seeds 3 -- --threads 1
    python benchmarks/communication.py --cases "easy-1 attention" "easy-1 deaf"
    python benchmarks/communication.py --table           # only prints what results/communication.json holds

junction: Traffic Junction, three levels with a vision of 1 and 0; `deaf` is attention in two rounds, of which every
message is lost: a network of equal size, beside which every claim for communication stands. crossing: the intersection
as it is (cross-8), and one where nobody sees far (blind-8). whispers: bits, losses and delays beside the optimum in
closed form.

Arguments after `--` are passed to `train.py`. The learned policy acts greedily on unseen episodes. Finished runs in
`runs/bench/` are not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import report
import trainings
from trainings import Training


class Case(NamedTuple):
    """A training, and the metrics that are reported of it."""

    options: tuple[str, ...]  # of train.py
    columns: tuple[str, ...]  # metrics


METHODS: dict[str, tuple[str, ...]] = {
    "none": (),
    "mean": ("--algo.comm", "mean"),
    "graph": ("--algo.comm", "graph"),
    "attention": ("--algo.comm", "attention"),
    "attention 2": ("--algo.comm", "attention", "--algo.comm-rounds", "2"),
    "deaf": ("--algo.comm", "attention", "--algo.comm-rounds", "2", "--channel.loss", "1"),
}
LEVELS: dict[str, tuple[str, ...]] = {
    "easy-1": ("--total-steps", "250000"),
    "medium-1": ("--total-steps", "600000"),
    "hard-1": ("--total-steps", "1000000"),
    # Without sight every method settles on always driving, unless it explores much.
    "easy-0": ("--total-steps", "400000", "--algo.ent-coef", "0.3"),
    "medium-0": ("--total-steps", "800000", "--algo.ent-coef", "0.3"),
    "hard-0": ("--total-steps", "1000000", "--algo.ent-coef", "0.3"),
}
_JUNCTION = ("success", "throughput", "delay", "brakes")
_CROSSING = ("return", "success", "crash_rate", "delay")
_NONE, _THREE = ("--env.intent", "none"), ("--algo.hidden", "64", "64", "64")
_ATTENTION = (*_NONE, "--algo.comm", "attention")
CROSSINGS: dict[str, tuple[str, ...]] = {
    "none": _NONE,
    "none, 3 layers": (*_NONE, *_THREE),
    "shared": ("--env.intent", "shared"),
    "shared, 3 layers": ("--env.intent", "shared", *_THREE),
    "attention": _ATTENTION,
    "attention, deaf": (*_ATTENTION, "--channel.loss", "1"),
}
_SLOW = ("--env", "whispers", "--env.task", "whispers-4-slow", "--algo.comm", "attention")
GROUPS: dict[str, dict[str, Case]] = {
    "junction": {
        f"{level} {method}": Case(("--env", "traffic_junction", "--env.task", level, *steps, *options), _JUNCTION)
        for level, steps in LEVELS.items()
        for method, options in METHODS.items()
    },
    "crossing": {
        f"{task} {name}": Case(("--env", "intersection", "--env.task", task, *options), _CROSSING)
        for task in ("cross-8", "blind-8")
        for name, options in CROSSINGS.items()
        if not (task == "blind-8" and name == "shared, 3 layers")
    },
    "whispers": {
        "whispers none": Case(("--env", "whispers"), ("share_right",)),
        **{
            f"whispers {method}": Case(("--env", "whispers", "--algo.comm", method), ("share_right",))
            for method in ("mean", "graph", "attention")
        },
        **{
            f"whispers {entries} x {bits} bits": Case(
                (*_SLOW[:2], *_SLOW[4:], "--channel.entries", f"{entries}", "--channel.bits", f"{bits}"),
                ("share_right",),
            )
            for entries, bits in ((2, 1), (4, 1), (8, 1), (4, 2), (4, 4), (16, 4))
        },
        **{
            f"whispers slow loss {loss} delay {delay}": Case(
                (*_SLOW, "--channel.loss", f"{loss}", "--channel.delay", f"{delay}"), ("share_right",)
            )
            for loss in (0.0, 0.2, 0.5)
            for delay in (0, 2, 5)
        },
    },
}
CASES = {name: case for group in GROUPS.values() for name, case in group.items()}
CURVES = {"step": "step", "seconds": "time/training_seconds", "return": "rollout/return"}
POLICIES = ("learned", "heuristic", "random")


def summary(columns: tuple[str, ...], runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns by column and policy the mean over seeds, its bootstrap interval, and the value of every seed."""
    found: dict[str, Any] = {}
    for column in columns:
        found[column] = {}
        for policy in POLICIES:
            values = np.array([run["policies"][policy][column]["mean"] for run in runs], float).tolist()
            mean = report.bootstrap(values, lambda drawn: np.nanmean(drawn, axis=-1))
            found[column][policy] = {**mean, "by_seed": values}
    return found


def table(results: dict[str, Any]) -> str:
    """Returns a table for each group of columns, with a line for each case."""
    parts = []
    for columns in dict.fromkeys(tuple(row["summary"]) for row in results.values()):
        rows = []
        for key, row in results.items():
            if tuple(row["summary"]) != columns:
                continue
            cells = [
                f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"
                for one in (row["summary"][column]["learned"] for column in columns)
            ]
            seconds = report.short(float(np.mean([run["command_seconds"] for run in row["runs"]])))
            rows.append([key, str(len(row["runs"])), seconds, *cells])
        parts.append(report.markdown(["", "seeds", "command [s]", *columns], rows))
    return "\n\n".join(parts)


def main() -> int:
    """Runs the trainings, writes the results and prints them."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    extra = tuple(words[cut + 1 :])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(GROUPS), choices=[*GROUPS, *CASES], metavar="CASE")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds: 0, 1, ...")
    parser.add_argument("--minutes", type=float, default=10.0, help="time limit of a command; 0: none")
    parser.add_argument("--episodes", type=int, default=400, help="evaluation episodes of each policy, for each seed")
    parser.add_argument("--jobs", type=int, default=1, help="commands that run at the same time")
    parser.add_argument("--fresh", action="store_true", help="repeat runs that are finished")
    parser.add_argument("--table", action="store_true", help="only print the results so far")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "communication.json")
    given = parser.parse_args(words[:cut])
    results = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.exists() else {}
    if given.table:
        print(table(results))
        return 0
    cases = [case for name in given.cases for case in GROUPS.get(name, [name])]
    jobs = [
        Training(
            case,
            (*CASES[case].options, "--algo", "mappo", "--no-videos", *extra),
            seed,
            given.minutes,
            given.episodes,
            given.work,
            CURVES,
        )
        for seed in range(given.seeds)
        for case in cases
    ]
    found: dict[str, list[dict[str, Any]]] = {}
    for one, run in trainings.results(jobs, jobs=given.jobs, fresh=given.fresh):
        columns = CASES[one.key].columns
        told = ", ".join(f"{column} {run['policies']['learned'][column]['mean']:.3f}" for column in columns)
        print(f"{one.key}, seed {one.seed}: {told}; {run['command_seconds']:.0f} s", file=sys.stderr, flush=True)
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
