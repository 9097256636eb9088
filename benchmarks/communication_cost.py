"""What does communication cost? Milliseconds of a round by agents and links, and of acting and learning with it.

    python benchmarks/communication_cost.py
    python benchmarks/communication_cost.py --agents 8 64 --rounds 21

A round is one exchange among B worlds of N agents, B x N = 4,096 rows of 64 features, forward and with backward; as
whole matrices and as lists of links, all agents hearing each other or 8 of them. Acting and learning are those of MAPPO
on random observations. One thread; medians.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import report
import torch
from gymnasium.spaces import Discrete

from algos.comm.config import ChannelConfig
from algos.comm.hearing import Hearing
from algos.comm.methods import LISTED
from algos.core import NOTHING, Obs, Spec, Transition
from algos.mappo import Mappo, MappoConfig

ROWS, FEATURES, FEW = 4096, 64, 8


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """Returns the median time of a call [ms]."""
    work()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(times))


def heard(n_worlds: int, n: int, few: int) -> torch.Tensor:
    """Returns ages (B, N, N) in which every agent hears `few` others, its neighbours on a ring."""
    age = torch.full((n_worlds, n, n), NOTHING, dtype=torch.uint8)
    index = torch.arange(n)
    for step in range(1, min(few, n - 1) + 1):
        age[:, index, (index + step) % n] = 0
    return age


def of_round(method: str, n: int, few: int, links: bool, rounds: int) -> tuple[float, float]:
    """Returns the time of a round, forward and with backward [ms]."""
    n_worlds = max(ROWS // n, 1)
    spec = Spec(n, 4, 0, Discrete(2), (tuple(range(n)),))
    config = MappoConfig(comm=method, channel=ChannelConfig(entries=64), comm_heads=2 if method != "mean" else 1)  # type: ignore[arg-type]
    policy = Mappo(spec, config, seed=0).policy
    assert policy.conversation is not None
    talk = policy.conversation.talk
    x = torch.randn(n_worlds, n, FEATURES, requires_grad=True)
    pose, hearing = torch.zeros(n_worlds, n, 0), Hearing(heard(n_worlds, n, few))
    before = LISTED[method]
    LISTED[method] = (1, 1.0) if links else (10**9, 0.0)
    try:
        with torch.no_grad():
            forward = milliseconds(lambda: talk(x, pose, hearing), rounds)
        backward = milliseconds(lambda: talk(x, pose, hearing).features.sum().backward(), rounds)
    finally:
        LISTED[method] = before
    return forward, backward


def of_mappo(options: dict[str, object], n_worlds: int, n: int, rounds: int) -> tuple[float, float]:
    """Returns the time of acting in a step, and of learning from a rollout of 64 steps [ms]."""
    spec, rng = Spec(n, 80, 0, Discrete(5), (tuple(range(n)),)), np.random.default_rng(0)
    algo = Mappo(spec, MappoConfig(critic="local", **options), seed=0)  # type: ignore[arg-type]
    alive, nothing = np.ones((n_worlds, n), bool), np.zeros((n_worlds, n), np.float32)
    hears = np.tile(~np.eye(n, dtype=bool), (n_worlds, 1, 1))
    over, state = np.zeros(n_worlds, bool), np.zeros((n_worlds, 0), np.float32)
    acting, learning = [], []
    for _ in range(max(rounds // 4, 3)):
        for _ in range(64):
            obs = Obs(rng.standard_normal((n_worlds, n, 80), np.float32), state, hears, alive, None, over)
            begin = time.perf_counter()
            action = algo.act(obs)
            acting.append(1e3 * (time.perf_counter() - begin))
            algo.observe(Transition(obs, action, nothing, nothing[:, 0], None, nothing, ~alive, over, obs, over))
        begin = time.perf_counter()
        algo.update()
        learning.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(acting)), float(np.median(learning))


def main() -> None:
    """Measures, writes the results and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, nargs="+", default=[8, 64, 256, 1024])
    parser.add_argument("--rounds", type=int, default=15, help="repetitions of a measurement")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "communication_cost.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows, lines = [], []
    for n in given.agents:
        for few in (FEW, n - 1):
            if few > n - 1 or (few == FEW and n - 1 <= FEW):
                continue
            for method in ("mean", "attention", "graph"):
                for links in (False, True):
                    # Scores of every pair, with all their features, would take gigabytes; a list of all pairs too.
                    if (method == "graph" and not links and n > 256) or (links and few * ROWS > 2_000_000):
                        continue
                    forward, backward = of_round(method, n, few, links, given.rounds)
                    way = "links" if links else "matrices"
                    rows.append({"agents": n, "heard": few, "method": method, "way": way, "ms": [forward, backward]})
                    lines.append([str(n), str(few), method, way, f"{forward:.1f}", f"{backward:.1f}"])
    text = report.markdown(["agents", "heard", "method", "way", "forward [ms]", "with backward [ms]"], lines)
    variants: dict[str, dict[str, object]] = {
        "none": {},
        "mean": {"comm": "mean"},
        "attention": {"comm": "attention"},
        "graph": {"comm": "graph"},
        "attention, 2 rounds": {"comm": "attention", "comm_rounds": 2},
        "attention, loss 0.2": {"comm": "attention", "channel": ChannelConfig(loss=0.2)},
    }
    costs, lines = [], []
    for name, options in variants.items():
        for n_worlds in (1, 64):
            acting, learning = of_mappo(options, n_worlds, 8, given.rounds if n_worlds > 1 else 3)
            costs.append({"case": name, "worlds": n_worlds, "acting_ms": acting, "learning_ms": learning})
    of_none = {row["worlds"]: row for row in costs if row["case"] == "none"}
    for row in costs:
        base = of_none[row["worlds"]]
        cells = [f"{row[key]:.2f} ({row[key] / base[key]:.2f})" for key in ("acting_ms", "learning_ms")]
        lines.append([row["case"], str(row["worlds"]), *cells])
    head = ["MAPPO, 8 agents", "worlds", "acting [ms] (of none)", "learning [ms] (of none)"]
    text += "\n\n" + report.markdown(head, lines)
    report.write(given.out, {"rounds": rows, "mappo": costs, "machine": report.machine()}, quiet=True)
    print(text)


if __name__ == "__main__":
    main()
