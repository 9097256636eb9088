"""Speed of training, learning included, and the shares of its parts.

    python benchmarks/training_speed.py                        # small-4 and medium-8, 64 worlds, 1 and 2 threads
    python benchmarks/training_speed.py --device cuda --threads 2
    python benchmarks/training_speed.py --tasks spread --worlds 1024 --algo epochs=4

It runs the training loop itself, `algos.training.session`, with the default settings of `train.py --env warehouse
--algo mappo` (`--env spread` for the task of that name), without evaluation and video; metrics are written as always.
Speed is measured on the bare loop, in rounds through all set-ups, and the shares of the parts in further rounds with a
clock in each part. On two threads the critic learns beside the actor, and its time is not part of the sum.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import report
import torch
from parts import WAREHOUSE_PARTS, Clock, wrap_warehouse

import envs
from algos import ALGOS
from algos.core import spec_of
from algos.training.presets import presets_of
from algos.training.schedule import Schedule
from algos.training.session import Session, run

Parts = dict[str, float]
"""Seconds by name."""
BESIDE = "meanwhile, in the second thread: critic"
"""The part that is not included in the sum."""


class Setup:
    """One task on one number of threads: worlds, an algorithm, and a loop that goes on where it stopped."""

    def __init__(self, task: str, threads: int, worlds: int, device: str, options: dict[str, Any]) -> None:
        name = task if task in envs.ENVS else "warehouse"
        entry = ALGOS["mappo"]
        config = entry.config(**{**presets_of(name, "mappo", foreign=False).algo, **options})
        self.task, self.threads, self.worlds, self.device = task, threads, worlds, device
        self.env = envs.vector(name, worlds, None if task == name else task, stagger=True)
        self.algo = entry.algorithm(spec_of(self.env), config, seed=0, device=device)
        self.agents = len(self.env.agents)
        self.steps_an_update = worlds * self.algo.config.rollout_steps

    def train(self, updates: int) -> float:
        """Returns the seconds of `updates` updates with the steps before them, after one update that does not count."""
        torch.set_num_threads(self.threads)
        marks: list[float] = []
        first = self.algo.updates + 1

        def watch() -> bool:  # the loop calls it between two steps
            if self.algo.updates >= first + len(marks) * updates:
                self._wait()
                marks.append(time.perf_counter())
            return len(marks) == 2

        schedule = Schedule(total_steps=10**12, save_every=0, eval_episodes=0)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "checkpoints").mkdir()
            session = Session(
                self.env,
                self.algo,
                schedule,
                folder=Path(folder),
                seed=self.algo.updates,
                make_env=_no_evaluation,
                stop=watch,
                quiet=True,
            )
            run(session)
        return marks[1] - marks[0]

    def profile(self, updates: int) -> tuple[Parts, float]:
        """Returns the seconds by part, and altogether, that `updates` updates take with the steps before them."""
        clock = Clock(wait=self._wait)
        wrap_warehouse(clock)
        clock.wrap(self.env, "step", "step")
        for name in ("act", "observe", "update"):
            clock.wrap(self.algo, name, name)
        clock.wrap(self.algo, "_policy_step", "actor")
        clock.wrap(self.algo, "_critic_step", "critic")
        for network, optimiser in (
            (self.algo.policy, self.algo.policy_adam),
            (self.algo.critic, self.algo.critic_adam),
        ):
            clock.wrap(network, "forward", "forward")
            clock.wrap(optimiser, "step", "descent")
        clock.wrap(torch.Tensor, "backward", "backward")
        begin: Parts = {}
        unclocked = self.algo.update

        def update() -> dict[str, float]:  # the clock before the first update does not count
            scalars = unclocked()
            if scalars and not begin:
                begin.update(clock.seconds)
            return scalars

        self.algo.update = update
        try:
            whole = self.train(updates)
        finally:
            self.algo.update = unclocked
            clock.unwrap()
        for path, seconds in begin.items():
            clock.seconds[path] -= seconds
        parts = {part: clock.total(f"step/{part}") for part in WAREHOUSE_PARTS}
        parts["stepping, the rest"] = clock.seconds["step"]
        parts["acting"] = clock.total("act")
        parts["storing"] = clock.total("observe")
        inner = ("forward", "backward", "descent")
        for part in inner:
            parts[f"update: {part}"] = clock.total("update", part)
        parts["update: the rest"] = clock.total("update") - sum(parts[f"update: {p}"] for p in inner)
        parts["loop and logging"] = whole - sum(parts.values())
        parts[BESIDE] = clock.total("critic")
        return parts, whole

    def _wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()


def _no_evaluation(n_worlds: int) -> Any:
    raise AssertionError(f"no evaluation was asked for, but its {n_worlds} worlds were")


def rounds(setups: list[Setup], repetitions: int, measure: Callable[[Setup], Any]) -> list[list[Any]]:
    """Measures all set-ups in turns, repeatedly."""
    found: list[list[Any]] = [[] for _ in setups]
    for repetition in range(repetitions):
        for setup, values in zip(setups, found, strict=True):
            values.append(measure(setup))
        print(f"round {repetition + 1} of {repetitions}", file=sys.stderr)
    return found


def main() -> None:
    """Measures all set-ups, writes the results and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["small-4", "medium-8"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--worlds", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--algo", nargs="*", default=[], metavar="KEY=VALUE", help="other settings of MAPPO")
    parser.add_argument("--repetitions", type=int, default=5, help="rounds; and half as many with the clock")
    parser.add_argument("--updates", type=int, default=8, help="updates in each round")
    parser.add_argument("--warm-up", type=int, default=4, help="updates before the first round")
    parser.add_argument("--out", type=Path, default=None, help="results/training_speed.json, or _DEVICE.json")
    given = parser.parse_args()
    suffix = "" if given.device == "cpu" else "_" + given.device.replace(":", "")
    out = given.out or report.RESULTS / f"training_speed{suffix}.json"

    options = {key: ast.literal_eval(value) for key, value in (word.split("=") for word in given.algo)}
    setups = [
        Setup(task, threads, given.worlds, given.device, options)
        for task in given.tasks
        for threads in sorted(given.threads)
    ]
    machine = report.machine()
    if given.device != "cpu":
        machine["gpu"] = torch.cuda.get_device_name(given.device)
    rounds(setups, 1, lambda setup: setup.train(given.warm_up))
    seconds = rounds(setups, given.repetitions, lambda setup: setup.train(given.updates))
    profiles = rounds(setups, (given.repetitions + 1) // 2, lambda setup: setup.profile(given.updates))

    results: list[dict[str, Any]] = []
    for setup, times, profiled in zip(setups, seconds, profiles, strict=True):
        agent_steps = given.updates * setup.steps_an_update * setup.agents
        parts = {
            part: {
                "microseconds_per_agent_step": report.spread([one[part] * 1e6 / agent_steps for one, _ in profiled]),
                "share": report.spread([one[part] / whole for one, whole in profiled]),
            }
            for part in profiled[0][0]
        }
        results.append(
            {
                "task": setup.task,
                "threads": setup.threads,
                "device": setup.device,
                "worlds": setup.worlds,
                "agents": setup.agents,
                "agent_steps_per_second": report.spread([agent_steps / each for each in times]),
                "profiled_agent_steps_per_second": report.spread([agent_steps / whole for _, whole in profiled]),
                "parts": parts,
            }
        )

    titles = [f"{one['task']}, {one['threads']} thread{'s' * (one['threads'] > 1)}" for one in results]
    print(f"\n{machine['cpu']}, {machine['usable_cores']} cores, load {machine['load_average']}, {given.device}\n")
    print(
        report.markdown(
            ["", "worlds x agents", "agent-steps/s, learning included", "world-steps/s"],
            [
                [
                    title,
                    f"{one['worlds']} x {one['agents']}",
                    report.cell(one["agent_steps_per_second"]),
                    report.cell(one["agent_steps_per_second"], 1 / one["agents"]),
                ]
                for title, one in zip(titles, results, strict=True)
            ],
        )
    )
    print("\nParts, microseconds per agent-step (share):\n")
    rows = []
    for part in results[0]["parts"]:
        cells = [one["parts"][part] for one in results]
        rows.append(
            [
                part,
                *(f"{c['microseconds_per_agent_step']['median']:.2f} ({c['share']['median']:.0%})" for c in cells),
            ]
        )
    print(report.markdown(["", *titles], rows))
    report.write(
        out,
        {
            "machine": machine,
            "settings": {"repetitions": given.repetitions, "updates": given.updates, "cores": os.cpu_count()},
            "algo": dict(vars(setups[0].algo.config)),
            "results": results,
        },
    )


if __name__ == "__main__":
    main()
