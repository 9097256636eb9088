"""What does a learner that turns bad cost the others? Populations in which one lies about its returns or becomes noise.

    python benchmarks/bad_peers.py --seeds 5
    python benchmarks/bad_peers.py --table        # only prints what results/bad_peers.json holds

Learner 0 of four turns bad after a third of the run: `liar` reports returns of ten deviations above the best that
anybody has earned, and goes on learning; the networks of `noise` become noise, once. The table shows the mean return at
the end of the three others, greedy on unseen episodes, and what they lost against the same seeds without a fault, as a
share of what learning had brought (the distance to random actions). Seeds that the file of results holds are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import report
from faults import Liar, Noisy, faulty

from algos import ALGOS
from algos.peers.council import accompany
from algos.training import builder as building
from algos.training.run_config import AlgorithmConfig, EnvironmentConfig, PeersPart, RunConfig, RunOptions
from envs import builder

LEARNERS, BAD = 4, 0
EPISODES = 40
STEPS = {"gymnasium:CartPole-v1": 80_000, "gymnasium:Acrobot-v1": 30_000}
"""Steps of each learner, by task."""
EVERY = 10
"""Episodes of a learner between two looks at its peers."""
RULES: dict[str, dict[str, Any]] = {
    "ucb": {"share": "ucb"},
    "pbt": {"share": "pbt"},
    "distill": {"distill": True, "distill_every": EVERY},
}
FAULTS: dict[str, Any] = {"none": None, "liar": Liar, "noise": Noisy}


def others_return(task: str, rule: str, fault: str, seed: int) -> dict[str, float]:
    """Trains four learners and returns what the three good ones earn in the end, and what random actions earn."""
    total = STEPS[task]
    config = RunConfig(
        EnvironmentConfig(task, None, {"n_copies": LEARNERS}),
        AlgorithmConfig("ippo", {"share": "none"}),
        RunOptions(
            total_steps=total,
            eval_episodes=EPISODES,
            save_every=0,
            videos=False,
            seed=seed,
            n_worlds=8,
            threads=1,
            quiet=True,
        ),
        PeersPart({**RULES[rule], "share_every": EVERY, "window": 2 * EVERY}),
    )
    peers = accompany
    if FAULTS[fault] is not None:
        peers = faulty(accompany, FAULTS[fault], learner=BAD, since=total // 3)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "run"
        with building.session(config, where, envs=builder, algos=ALGOS, peers=peers) as session:
            session.advance(total)
            outcome = session.finish()
    assert outcome.comparison is not None
    of_learners = outcome.comparison["learned"].of_agents.mean(axis=0)  # (P,)
    good = float(np.delete(of_learners, BAD).mean())
    return {"good": good, "bad": float(of_learners[BAD]), "random": outcome.comparison["random"].mean("return")}


def table(rows: Mapping[str, Any]) -> str:
    """Returns a line for each task, rule and fault."""
    lines = []
    for row in rows.values():
        without = rows.get(_key(row["task"], row["rule"], "none"), {"runs": []})["runs"]
        before = {run["seed"]: run for run in without}
        runs = row["runs"]
        loss = ""
        pairs = [(before[run["seed"]], run) for run in runs if run["seed"] in before]
        if row["fault"] != "none" and pairs:
            learned = float(np.mean([one["good"] - one["random"] for one, _ in pairs]))
            loss = _interval([(one["good"] - run["good"]) / learned for one, run in pairs], ".1%")
        lines.append(
            [row["task"], row["rule"], row["fault"], str(len(runs)), _interval([r["good"] for r in runs]), loss]
        )
    return report.markdown(["", "rule", "learner 0", "seeds", "return of the others", "lost"], lines)


def _interval(values: list[float], form: str = ".1f") -> str:
    found = report.bootstrap(values, lambda drawn: drawn.mean(axis=-1))
    return f"{found['value']:{form}} [{found['low']:{form}}, {found['high']:{form}}]"


def _key(task: str, rule: str, fault: str) -> str:
    return f"{task} {rule} {fault}"


def main() -> int:
    """Runs what is missing, writes the results after each run, and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds: 0, 1, ...")
    parser.add_argument("--table", action="store_true", help="only print the results so far")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "bad_peers.json")
    given = parser.parse_args()
    rows: dict[str, Any] = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.exists() else {}
    jobs = [(t, r, f, s) for s in range(given.seeds) for t in given.tasks for r in given.rules for f in FAULTS]
    for task, rule, fault, seed in [] if given.table else jobs:
        row = rows.setdefault(_key(task, rule, fault), {"task": task, "rule": rule, "fault": fault, "runs": []})
        if any(run["seed"] == seed for run in row["runs"]):
            continue
        row["runs"].append({"seed": seed, **others_return(task, rule, fault, seed)})
        print(f"{_key(task, rule, fault)}, seed {seed}: {row['runs'][-1]['good']:.1f}", file=sys.stderr, flush=True)
        report.write(given.out, {"rows": rows}, quiet=True)
    print(table({key: row for key, row in rows.items() if row["runs"]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
