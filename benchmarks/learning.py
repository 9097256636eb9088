"""How MAPPO, MADDPG and IDDPG learn on the field's standard tasks: the real command, five seeds, shipped defaults.

    pip install -c constraints.txt -e '.[foreign]' matplotlib
    python benchmarks/learning.py                        # every task; hours on 2 cores
    python benchmarks/learning.py --tasks spread mpe2.simple_spread_v3
    python benchmarks/learning.py --tasks "spread maddpg" "spread iddpg"
    python benchmarks/learning.py --table                # only prints what results/learning.json holds

Arguments after `--` are passed to `train.py`. Returns are **mpa**: the mean over agents of the sum of their rewards in
an episode, of 25 steps in MPE. EPyMARL and JaxMARL print the sum over the three agents of simple_spread.
Where agents are in groups with interests of their own, the mean over each group stands beside it.

The learned policy is greedy, on 100 episodes a seed, none of which it was trained on; random plays the same ones. The
mean over seeds is an interquartile mean with a 95 % bootstrap interval, stratified in that seeds of one task are drawn
among themselves (Agarwal et al. 2021). Curves show the exploring policy. Finished runs in `runs/bench/` are not
repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import learning_curves
import numpy as np
import report
import trainings
from trainings import Training


class Case(NamedTuple):
    """A standard task."""

    options: tuple[str, ...]
    levels: tuple[float, ...] = ()
    """Returns at which the clock is read."""
    algo: str = "mappo"
    """Where it is another one, the task's name says so."""


_SHORT = ("--total-steps", "4e5")
# Eight learners in a world, on copies of the same task. Episodes are long: a long horizon and many gradient steps.
_LUNAR = (
    *("--env.n-copies", "8", "--n-worlds", "16", "--total-steps", "1.5e5", "--algo.gamma", "0.999"),
    *("--algo.gae-lambda", "0.98", "--algo.epochs", "8", "--algo.minibatches", "16"),
)
CASES = {
    "spread": Case(("--env", "spread"), (-18.5, -13.5)),
    "mpe2.simple_spread_v3": Case(("--env", "mpe2.simple_spread_v3"), (-18.5, -13.5)),
    "mpe2.simple_speaker_listener_v4": Case(("--env", "mpe2.simple_speaker_listener_v4", *_SHORT)),
    "mpe2.simple_adversary_v3": Case(("--env", "mpe2.simple_adversary_v3", *_SHORT)),
    "mpe2.simple_tag_v3": Case(("--env", "mpe2.simple_tag_v3", *_SHORT)),
    "gymnasium:LunarLander-v3 ippo": Case(("--env", "gymnasium:LunarLander-v3", *_LUNAR), (200.0,), algo="ippo"),
    "sisl/pursuit_v5": Case(("--env", "sisl/pursuit_v5", "--env.max-cycles", "150", "--total-steps", "1e5")),
}
_MPE = ("mpe2.simple_spread_v3", "mpe2.simple_speaker_listener_v4", "mpe2.simple_adversary_v3", "mpe2.simple_tag_v3")
_OFF_POLICY = {  # a decentralised critic stands beside the centralised one
    "spread": ("--env", "spread"),
    "spread continuous": ("--env", "spread", "--env.continuous"),
    **{task: ("--env", task) for task in _MPE},
    **{f"{task} continuous": ("--env", task, "--env.continuous-actions", "True") for task in _MPE[:2]},
}
CASES |= {
    f"{task} {algo}": Case(options, CASES["spread"].levels if "spread" in task else (), algo)
    for task, options in _OFF_POLICY.items()
    for algo in ("maddpg", "iddpg")
}
CURVES = {"step": "step", "seconds": "time/training_seconds", "return": "rollout/return"}
"""Columns of a run's curve that are kept: name in results/learning_curves.jsonl, and in metrics.jsonl."""


def passed(curve: Sequence[dict[str, float]], level: float) -> dict[str, float] | None:
    """Returns steps and seconds of training at which the exploring policy's return reached a level; None: never."""
    for row in curve:
        if row["return"] >= level:
            return {"step": row["step"], "seconds": row["seconds"]}
    return None


def summary(case: Case, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Summarises one task: returns by column and policy, and when levels were passed, seed by seed."""
    policies = list(runs[0]["policies"])
    columns = [name for name in runs[0]["policies"]["learned"] if name.startswith("return")]
    found: dict[str, Any] = {
        column: {
            policy: report.bootstrap(
                [run["policies"][policy][column]["mean"] for run in runs], report.interquartile_mean
            )
            for policy in policies
        }
        for column in columns
    }
    found["passed"] = {str(level): [passed(run["curve"], level) for run in runs] for level in case.levels}
    found["command_seconds"] = [run["command_seconds"] for run in runs]
    return found


def table(results: dict[str, Any]) -> str:
    """Returns tables of returns, and of the steps at which levels were reached."""

    def interval(one: dict[str, float] | None) -> str:
        return "-" if one is None else f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"

    rows, clocks = [], []
    for key, row in results.items():
        found, runs = row["summary"], row["runs"]
        steps = f"{np.mean([run['steps'] for run in runs]) / 1e6:.2f}"
        seconds = report.short(np.median([run["training_seconds"] for run in runs]))
        for column in (name for name in found if name.startswith("return")):
            name = key if column == "return" else f"{key}: {column.removeprefix('return_')}"
            cells = [interval(found[column].get(policy)) for policy in ("learned", "heuristic", "random")]
            rows.append([name, str(len(runs)), steps, seconds, *cells])
        for level, reached in found["passed"].items():
            there = [one for one in reached if one is not None]
            cells = ["-", "-", "-"]
            if there:
                steps_there = [one["step"] for one in there]
                seconds_there = [one["seconds"] for one in there]
                cells = [report.short(np.median(steps_there)), report.short(np.median(seconds_there))]
                cells.append(report.short(max(seconds_there)))
            clocks.append([f"{key}: {level}", f"{len(there)} of {len(reached)}", *cells])
    head = ["return (mpa)", "seeds", "million steps", "training [s]", "learned, IQM [95 %]", "heuristic", "random"]
    text = report.markdown(head, rows)
    if clocks:
        head = ["exploring policy reaches", "seeds", "steps, median", "seconds, median", "seconds, slowest seed"]
        text += f"\n\n{report.markdown(head, clocks)}"
    return text


def main() -> int:
    """Runs the trainings, writes the results and prints them."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    extra = tuple(words[cut + 1 :])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(CASES), choices=list(CASES), metavar="TASK")
    parser.add_argument("--seeds", type=int, default=5, help="how many: 0, 1, ...")
    parser.add_argument("--episodes", type=int, default=100, help="of each policy, for each seed")
    parser.add_argument("--jobs", type=int, default=1, help="commands at a time")
    parser.add_argument("--fresh", action="store_true", help="run again what is finished")
    parser.add_argument("--table", action="store_true", help="only print the results so far")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"), help="where the runs go")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "learning.json")
    given = parser.parse_args(words[:cut])
    results = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.exists() else {}
    if given.table:
        print(table(results))
        return 0

    def wanted(task: str, seed: int) -> Training:
        options = (*CASES[task].options, "--algo", CASES[task].algo, *extra)
        return Training(" ".join([task, *extra]), options, seed, 0.0, given.episodes, given.work, CURVES)

    jobs = [wanted(task, seed) for task in given.tasks for seed in range(given.seeds)]
    tasks = {" ".join([task, *extra]): task for task in given.tasks}
    data = given.out.with_name(given.out.stem + "_curves.jsonl")
    found: dict[str, list[dict[str, Any]]] = {}
    for one, run in trainings.results(jobs, jobs=given.jobs, fresh=given.fresh):
        means = ", ".join(f"{policy} {run['policies'][policy]['return']['mean']:.2f}" for policy in run["policies"])
        print(f"{one.key}, seed {one.seed}: {means}; {run['command_seconds']:.0f} s", file=sys.stderr)
        runs = found.setdefault(one.key, [])
        runs.append(run)
        row = {
            "summary": summary(CASES[tasks[one.key]], runs),
            "jobs": given.jobs,
            "runs": trainings.without_curves(runs),
        }
        results[one.key] = row
        learning_curves.merge(one.key, {run["seed"]: run["curve"] for run in runs}, data)
        report.write(given.out, {"rows": results}, quiet=True)  # after every run, in case the next one is interrupted
    print(table(results))
    levels = {key: row["summary"] for key, row in results.items()}
    if not learning_curves.draw(levels, ("return",), data, given.out.with_suffix(".png")):
        print("\nno picture: matplotlib is not installed (pip install matplotlib)")
    print(f"\nwritten: {given.out.name} and its curves")
    return int(sum(map(len, found.values())) < len(jobs))


if __name__ == "__main__":
    sys.exit(main())
