"""How fast environments of others are stepped and trained on, beside SuperSuit, which only steps them.

    python benchmarks/foreign.py                                # mpe2 simple_spread, 128 worlds, about 5 minutes

On the same number of worlds and processes, in turn, again and again: SuperSuit's `concat_vec_envs_v1`, with random
actions; this package's worker processes, with the same; and the command that trains, learning and logging included,
by the time that its own rows give, without the first.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import report

from envs import adapters

NAME = "mpe2.simple_spread_v3"


def supersuit(worlds: int, processes: int) -> tuple[Callable[[], Any], Callable[[], None]]:
    """A step of all worlds, and the end of them."""
    import supersuit as ss

    one = ss.pettingzoo_env_to_vec_env_v1(importlib.import_module(NAME).parallel_env())
    env: Any = ss.concat_vec_envs_v1(one, worlds, num_cpus=processes, base_class="gymnasium")
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, env.action_space.n, (100, env.num_envs))
    return _stepping(env.step, actions), env.close


def workers(worlds: int, processes: int) -> tuple[Callable[[], Any], Callable[[], None]]:
    """A step of all worlds, and the end of them."""
    env = adapters.vector(NAME, worlds, processes)
    env.reset(0)
    shape = (100, worlds, len(env.agents))
    actions = np.random.default_rng(0).integers(0, int(env.action_space.n), shape)  # pyright: ignore
    return _stepping(env.step, actions), env.close


def _stepping(step: Callable[[Any], Any], actions: Any) -> Callable[[], Any]:
    turns = iter(range(10**12))
    return lambda: step(actions[next(turns) % len(actions)])


def speed(make: Callable[[int, int], tuple[Callable[[], Any], Callable[[], None]]], args: argparse.Namespace) -> float:
    """World-steps a second."""
    step, close = make(args.worlds, args.processes)
    for _ in range(20):
        step()
    begin, steps = time.perf_counter(), 0
    while time.perf_counter() < begin + args.seconds:
        step()
        steps += args.worlds
    seconds = time.perf_counter() - begin
    close()
    return steps / seconds


def training(args: argparse.Namespace) -> float:
    """World-steps a second of the command, learning included."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["--env", NAME, "--algo", "mappo", "--n-worlds", args.worlds, "--env.n-workers", args.processes]
        words += [
            "--total-steps",
            args.steps,
            "--eval-episodes",
            0,
            "--log-dir",
            folder,
            "--run-name",
            "run",
            "--quiet",
        ]
        subprocess.run([sys.executable, "train.py", *map(str, words)], cwd=report.ROOT, check=True)
        rows = [json.loads(line) for line in (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()]
    first, last = rows[0], rows[-1]
    return (last["step"] - first["step"]) / (last["time/training_seconds"] - first["time/training_seconds"])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=128)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of stepping, each")
    parser.add_argument("--steps", type=int, default=100_000, help="of training, each")
    args = parser.parse_args()
    cases: dict[str, Callable[[], float]] = {
        "SuperSuit, stepping only": lambda: speed(supersuit, args),
        "worker processes, stepping only": lambda: speed(workers, args),
        "training, learning included": lambda: training(args),
    }
    found: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(args.rounds):
        for name, measure in cases.items():
            found[name].append(measure())
        print(f"round {turn + 1} of {args.rounds}", file=sys.stderr)
    beside = np.median(found["SuperSuit, stepping only"])
    rows = [[n, report.cell(report.spread(v)), report.short(float(np.median(v) / beside))] for n, v in found.items()]
    print(f"{NAME}, {args.worlds} worlds, {args.processes} processes: median [quartiles]\n")
    print(report.markdown(["", "world-steps/s", "of SuperSuit"], rows))
    report.write(
        report.RESULTS / "foreign.json",
        {"machine": report.machine(), "settings": vars(args), "world_steps_per_second": found},
    )


if __name__ == "__main__":
    main()
