"""Does MAPPO make more welfare than every heuristic, and does it find the equilibrium of a bargain?

    python benchmarks/edge_market_learning.py --tasks village-8 --seeds 5     # the real command, shipped defaults
    python benchmarks/edge_market_learning.py --tasks duopoly-2 --seeds 3 -- --algo.credit individual
    python benchmarks/edge_market_learning.py --algo maddpg --seeds 5
    python benchmarks/edge_market_learning.py --heuristics                    # heuristics and the bound only
    python benchmarks/edge_market_learning.py --table                         # only prints what the results hold

Arguments after `--` are passed to `train.py`. A command that still runs after `--minutes` gets a Ctrl-C, and saves.
Greedy policies and the four heuristics play the same unseen episodes; welfare is in credits an episode, the bound is
the linear programme of `envs/edge_market/bound.py` on the same worlds; it knows the future, so no policy reaches it.
For `duopoly-2` the policy's bids and asks are read off by type and judged beside the equilibrium of
`envs/edge_market/bargain.py`: share of the gains from trade that is made, and regret, the most that a buyer or seller
would gain by another strategy against these. Finished runs in `runs/bench/` are not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import learning_curves
import numpy as np
import report
import trainings
from trainings import Training

import algos
import envs
from algos.training import evaluation
from envs.edge_market import HEURISTICS, EdgeMarket, bargain, heuristic
from envs.edge_market.bound import welfare_bound
from envs.edge_market.state import ASK, BID, LEVELS, VALUE
from envs.vector import VectorView

COLUMNS = (
    "welfare",
    "completion_rate",
    "latency_p95",
    "offloaded_share",
    "fairness",
    "cold_starts",
    "payments_balance",
)
CURVES = {"step": "step", "seconds": "time/training_seconds", "welfare": "env/welfare", "return": "rollout/return"}
"""Columns of a run's curve that are kept: name in results/edge_market_learning_curves.jsonl, and in metrics.jsonl."""


def training(task: str, algo: str, seed: int, passed: tuple[str, ...], given: argparse.Namespace) -> Training:
    """Returns the command of one task, algorithm and seed."""
    options = ("--env", "edge_market", "--env.task", task, "--algo", algo, *passed)
    name = " ".join(["edge_market", key_of(task, algo, passed)])
    return Training(name, options, seed, given.minutes, given.episodes, given.work, CURVES)


def key_of(task: str, algo: str, passed: tuple[str, ...]) -> str:
    """Returns the name of a case in the results."""
    return " ".join([task, *([] if algo == "mappo" else [algo]), *passed])


def market(task: str, worlds: int) -> tuple[EdgeMarket, VectorView]:
    """Returns the environment of a task, and worlds of it."""
    env = EdgeMarket(envs.config("edge_market", task))
    return env, VectorView(env, worlds)


def baselines(task: str, episodes: int, *, bound: bool = True) -> dict[str, Any]:
    """Welfare and more of heuristics and random on the first episodes of the evaluation, and the bound of the same."""
    found: dict[str, Any] = {}
    env, view = market(task, episodes)
    for kind in HEURISTICS:
        act = heuristic(env, kind)
        played = evaluation.evaluate(view, lambda _, act=act: act(view.batch_state), episodes)
        assert played is not None
        found[kind] = {column: played.mean(column) for column in COLUMNS}
    played = evaluation.evaluate(view, evaluation.random_policy(view), episodes)
    assert played is not None
    found["random"] = {column: played.mean(column) for column in COLUMNS}
    if bound:
        view.reset(evaluation.FIRST_SEED)
        found["bound"] = {"welfare": float(welfare_bound(env.config, view.batch_state).mean())}
    return found


def learned(run: Path, task: str, episodes: int) -> dict[str, float]:
    """Plays the greedy policy of a run on the episodes that `baselines` plays."""
    _, view = market(task, episodes)
    played = evaluation.evaluate(view, algos.load_policy(run).player(), episodes)
    assert played is not None
    return {column: played.mean(column) for column in COLUMNS}


def reports(run: Path | None, episodes: int = 64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(E, 2) value and bid of every buyer of `duopoly-2` and (F, 2) cost and ask of every seller it met; efficiency.

    Args:
        run: Whose greedy policy plays; None bids and asks the truth.
        episodes: How many.
    """
    env, view = market("duopoly-2", episodes)
    act = heuristic(env, "truthful")
    player = None if run is None else algos.load_policy(run).player()
    step, bids, asks, made, there = view.reset(evaluation.FIRST_SEED), [], [], 0.0, 0.0
    started = np.ones(episodes, bool)
    for _ in range(view.max_steps):
        before = view.batch_state
        action = act(before) if player is None else player(evaluation.to_obs(step, started))
        after, _ = env.step(before, action)
        cost = before.energy[np.arange(episodes), before.step] / LEVELS  # (B, 2)
        buys = before.n_held > 0  # (B, 2)
        met = buys.sum(axis=1) == 1
        for b in np.flatnonzero(met):
            i = int(buys[b].argmax())
            value = float(before.task[b, before.held[b, i, : before.n_held[b, i]], VALUE].max())
            bids.append((value, after.tally[b, i, BID]))
            asks.append((cost[b, 1 - i], after.tally[b, 1 - i, ASK]))
            there += max(value - cost[b, 1 - i], 0.0)
            made += (value - cost[b, 1 - i]) * (after.partner[b, i] >= 0)
        started = np.zeros(episodes, bool)
        _, step = view.step(action)
    return np.array(bids), np.array(asks), np.array(made / there)


def by_type(pairs: np.ndarray) -> np.ndarray:
    """(G,) mean report by type on the grid of `bargain`, from (E, 2); empty bins from their neighbours."""
    place = np.clip((pairs[:, 0] * len(bargain.GRID)).astype(int), 0, len(bargain.GRID) - 1)
    total, count = (np.bincount(place, w, len(bargain.GRID)) for w in (pairs[:, 1], None))
    filled = count > 0
    return np.interp(bargain.GRID, bargain.GRID[filled], total[filled] / count[filled])


def duopoly(run: Path | None) -> dict[str, Any]:
    """Returns how a policy bargains: strategies by type, the gains from trade and the regret."""
    bids, asks, efficiency = reports(run)
    bid, ask = by_type(bids), by_type(asks)
    config = envs.config("edge_market", "duopoly-2")
    outcome = bargain.judge(bid, ask, bargain.value_chances(bargain.mean_tasks(config)))
    return {"efficiency": float(efficiency), "regret": outcome.regret, "bid": bid.tolist(), "ask": ask.tolist()}


def equilibrium() -> dict[str, Any]:
    """Returns the solved equilibrium in the same terms."""
    found = bargain.solve(bargain.mean_tasks(envs.config("edge_market", "duopoly-2")))
    outcome = found.outcome
    return {
        "efficiency": outcome.efficiency,
        "regret": outcome.regret,
        "bid": found.bid.tolist(),
        "ask": found.ask.tolist(),
    }


def table(results: dict[str, Any]) -> str:
    """Returns welfare by policy with its share of the bound, the other columns, and strategies of the bargain."""
    parts = []
    for key, row in results.items():
        most = row["baselines"].get("bound", {}).get("welfare")
        rows = []
        seeds = row.get("learned", {})
        if seeds:
            welfare = [one["welfare"] for one in seeds.values()]
            mean = report.bootstrap(welfare, lambda drawn: np.nanmean(drawn, axis=-1))
            cells = [f"{mean['value']:.1f} [{mean['low']:.1f}, {mean['high']:.1f}]", f"{min(welfare):.1f}"]
            cells.append("-" if most is None else f"{mean['value'] / most:.3f}")
            cells += [f"{np.mean([one[column] for one in seeds.values()]):.3f}" for column in COLUMNS[1:]]
            rows.append([f"learned, {len(seeds)} seeds", *cells])
        for name, one in row["baselines"].items():
            cells = [f"{one['welfare']:.1f}", "", "-" if most is None else f"{one['welfare'] / most:.3f}"]
            rows.append([name, *cells, *(f"{one[c]:.3f}" if c in one else "" for c in COLUMNS[1:])])
        head = [key, "welfare", "worst seed", "share of the bound", *(c.replace("_", " ") for c in COLUMNS[1:])]
        parts.append(report.markdown(head, rows))
        if "bargains" in row:
            rows = [[name, f"{one['efficiency']:.3f}", f"{one['regret']:.3f}"] for name, one in row["bargains"].items()]
            parts.append(report.markdown(["bargain", "share of the gains from trade", "regret"], rows))
    return "\n\n".join(parts)


def main() -> int:
    """Runs the trainings, writes the results and prints them."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    passed = tuple(words[cut + 1 :])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["village-8"])
    parser.add_argument("--algo", default="mappo")
    parser.add_argument("--seeds", type=int, default=5, help="how many: 0, 1, ...")
    parser.add_argument("--minutes", type=float, default=10.0, help="longest time of a command; 0: none")
    parser.add_argument("--episodes", type=int, default=50, help="of each policy")
    parser.add_argument("--jobs", type=int, default=1, help="commands at a time")
    parser.add_argument("--fresh", action="store_true", help="run again what is finished")
    parser.add_argument("--no-bound", action="store_true", help="leave the linear programme out: seconds a world")
    parser.add_argument("--heuristics", action="store_true", help="train nothing")
    parser.add_argument("--table", action="store_true", help="only print the results so far")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"), help="where the runs go")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "edge_market_learning.json")
    given = parser.parse_args(words[:cut])
    results = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.exists() else {}
    if given.table:
        print(table(results))
        return 0

    failed, data = 0, given.out.with_name(given.out.stem + "_curves.jsonl")
    for task in given.tasks:
        key = key_of(task, given.algo, passed)
        row: dict[str, Any] = {"baselines": baselines(task, given.episodes, bound=not given.no_bound)}
        results[key] = row
        if task == "duopoly-2":
            row["bargains"] = {"equilibrium": equilibrium(), "truthful": duopoly(None)}
        report.write(given.out, {"rows": results}, quiet=True)
        if given.heuristics:
            continue
        jobs = [training(task, given.algo, seed, passed, given) for seed in range(given.seeds)]
        row["learned"], row["runs"], curves = {}, [], {}
        for one, run in trainings.results(jobs, jobs=given.jobs, fresh=given.fresh):
            folder = report.ROOT / one.folder / f"seed-{one.seed}"
            row["learned"][str(one.seed)] = learned(folder, task, given.episodes)
            row["runs"] += trainings.without_curves([run])
            if task == "duopoly-2":
                row["bargains"][f"learned, seed {one.seed}"] = duopoly(folder)
            curves[one.seed] = run["curve"]
            learning_curves.merge(key, curves, data)
            report.write(given.out, {"rows": results}, quiet=True)  # after every run, as the next may be cut
            print(f"{key}, seed {one.seed}: {row['learned'][str(one.seed)]['welfare']:.1f}", file=sys.stderr)
        failed += len(jobs) - len(row["learned"])
    print(table(results))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
