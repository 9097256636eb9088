"""How fast environments of others are stepped and trained on, beside Gymnasium's vector environments and SuperSuit.

    python benchmarks/foreign.py                                  # CartPole and mpe2's simple_spread, about 6 minutes
    python benchmarks/foreign.py --single LunarLander-v3          # another environment of Gymnasium's; needs box2d

All cases step the same number of worlds with random actions, in turns: copies of a single-agent environment in
Gymnasium's `SyncVectorEnv` and `AsyncVectorEnv`, and behind our adapter; a team in SuperSuit's `concat_vec_envs_v1` and
behind our adapter; and the command that trains on that team, learning and logging included, by the time that its own
rows give, without the first.

Steps are counted for a second of the clock and for a second of processor time, that of all processes together (Linux):
the second says what the adapter costs, also on a machine that has other things to do.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gymnasium
import numpy as np
import report

from envs import adapters
from envs.conformance.foreign import descendants

TEAM = "mpe2.simple_spread_v3"
Worlds = tuple[Callable[[], Any], Callable[[], None]]
"""A step of all worlds, and the end of them."""


def gymnasiums(name: str, worlds: int, *, processes: bool) -> Worlds:
    """Makes copies in a vector environment of Gymnasium's, which resets in the step that ends an episode, as ours."""
    kind: Any = gymnasium.vector.AsyncVectorEnv if processes else gymnasium.vector.SyncVectorEnv
    one = partial(gymnasium.make, name, disable_env_checker=True)
    env = kind([one] * worlds, autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(100)]
    return _stepping(env.step, actions), env.close


def supersuits(worlds: int, processes: int) -> Worlds:
    """Makes the team's worlds with SuperSuit."""
    import supersuit

    one = supersuit.pettingzoo_env_to_vec_env_v1(importlib.import_module(TEAM).parallel_env())
    env: Any = supersuit.concat_vec_envs_v1(one, worlds, num_cpus=processes, base_class="gymnasium")
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, env.action_space.n, (100, env.num_envs))
    return _stepping(env.step, actions), env.close


def ours(name: str, worlds: int, processes: int) -> Worlds:
    """Makes the same worlds with our adapter."""
    env = adapters.vector(name, worlds, processes)
    env.reset(0)
    space, shape, rng = env.action_space, (100, worlds, len(env.agents)), np.random.default_rng(0)
    if isinstance(space, gymnasium.spaces.Discrete):
        actions: Any = rng.integers(0, int(space.n), shape)
    else:
        actions = rng.uniform(space.low, space.high, (*shape, *space.shape)).astype(np.float32)
    return _stepping(env.step, actions), env.close


def _stepping(step: Callable[[Any], Any], actions: Any) -> Callable[[], Any]:
    turns = iter(range(10**12))
    return lambda: step(actions[next(turns) % len(actions)])


def processor_seconds() -> float:
    """Returns the processor time of this process and all that it started; of this one alone where there is no /proc."""
    seconds = time.process_time()
    for pid in descendants(os.getpid()) if Path("/proc").exists() else ():
        try:
            after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        seconds += (int(after[11]) + int(after[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def speeds(cases: dict[str, Callable[[], Worlds]], args: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Returns world-steps per second of the clock and of the processor, for all cases, which take turns."""
    found: dict[str, dict[str, list[float]]] = {name: {"clock": [], "processor": []} for name in cases}
    for turn in range(args.rounds):
        for name, make in cases.items():
            step, close = make()
            for _ in range(20):
                step()
            begin, spent, steps = time.perf_counter(), processor_seconds(), 0
            while time.perf_counter() < begin + args.seconds:
                step()
                steps += args.worlds
            spent, seconds = processor_seconds() - spent, time.perf_counter() - begin
            close()
            found[name]["clock"].append(steps / seconds)
            found[name]["processor"].append(steps / spent)
        print(f"round {turn + 1} of {args.rounds}", file=sys.stderr)
    return found


def training(args: argparse.Namespace) -> float:
    """Returns world-steps per second of the command, learning included."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["--env", TEAM, "--algo", "mappo", "--n-worlds", args.worlds, "--env.n-workers", args.processes]
        words += ["--total-steps", args.steps, "--eval-episodes", 0]
        words += ["--log-dir", folder, "--run-name", "run", "--quiet"]
        subprocess.run([sys.executable, "train.py", *map(str, words)], cwd=report.ROOT, check=True)
        rows = [json.loads(line) for line in (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()]
    first, last = rows[0], rows[-1]
    return (last["step"] - first["step"]) / (last["time/training_seconds"] - first["time/training_seconds"])


def show(what: str, found: dict[str, dict[str, list[float]]], beside: str) -> None:
    """Prints a table; the last two columns say how many times as fast as `beside`, by clock and by processor."""
    rows = []
    for name, speed in found.items():
        medians = {kind: float(np.median(values)) for kind, values in speed.items()}
        ratios = [report.short(median / float(np.median(found[beside][kind]))) for kind, median in medians.items()]
        rows.append([name, *(report.cell(report.spread(values)) for values in speed.values()), *ratios])
    print(f"\n{what}: median [quartiles]\n")
    print(report.markdown(["", "steps/s", "steps/processor-s", f"of {beside}", "by processor"], rows))


def main() -> None:
    """Measures all cases and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--single", default="CartPole-v1", help="an id of Gymnasium's")
    parser.add_argument("--worlds", type=int, default=64)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of stepping, each")
    parser.add_argument("--steps", type=int, default=100_000, help="of training, each; 0: none")
    args = parser.parse_args()
    n, many, own = args.worlds, args.processes, f"gymnasium:{args.single}"
    single = {
        "SyncVectorEnv": lambda: gymnasiums(args.single, n, processes=False),
        "AsyncVectorEnv": lambda: gymnasiums(args.single, n, processes=True),
        "ours, in this process": lambda: ours(own, n, 0),
        f"ours, {many} processes": lambda: ours(own, n, many),
    }
    team = {
        "SuperSuit, in this process": lambda: supersuits(n, 0),
        f"SuperSuit, {many} processes": lambda: supersuits(n, many),
        "ours, in this process": lambda: ours(TEAM, n, 0),
        f"ours, {many} processes": lambda: ours(TEAM, n, many),
    }
    alone, together = speeds(single, args), speeds(team, args)
    show(f"{args.single}, {n} worlds", alone, "SyncVectorEnv")
    show(f"{TEAM}, {n} worlds", together, "SuperSuit, in this process")
    trained = [training(args) for _ in range(args.rounds)] if args.steps else []
    if trained:
        print(f"\ntraining on it, learning included: {report.cell(report.spread(trained))} steps/s")
    found = {args.single: alone, TEAM: together, "training": trained}
    report.write(
        report.RESULTS / "foreign.json",
        {"machine": report.machine(), "settings": vars(args), "world_steps_per_second": found},
    )


if __name__ == "__main__":
    main()
