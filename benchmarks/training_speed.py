"""Speed of training, learning included, and the shares of its parts.

    python benchmarks/training_speed.py                        # small-4 and medium-8, 64 worlds, 1 and 2 threads
    python benchmarks/training_speed.py --device cuda --threads 2
    python benchmarks/training_speed.py --tasks spread --worlds 1024 --algo epochs=4
    python benchmarks/training_speed.py --tasks medium-8 cross-8 village-8 rovers-8 --credit individual team difference

It runs the training loop itself, `algos.training.session`, with the default settings of `train.py --algo mappo` for a
task, or for the default task of an environment, without evaluation and video; metrics are written as always. Speed is
measured on the bare loop, in rounds through all set-ups, and the shares of the parts in further rounds with a clock in
each part. On two threads the critic learns beside the actor, and its time is not part of the sum. With several rules of
credit the table shows the speed with each over that with the first, the median over the rounds.
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
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import report
import torch
from parts import WAREHOUSE_PARTS, Clock, wrap_counterfactuals, wrap_warehouse

import envs
from algos import ALGOS
from algos.mappo import Mappo
from algos.training.builder import run_config, set_up
from algos.training.run_config import options_of
from algos.training.schedule import Schedule
from algos.training.session import Session, run
from envs import builder
from envs.vector import VectorView

Parts = dict[str, float]
"""Seconds by name."""
BESIDE = "meanwhile, in the second thread: critic"
"""The part that is not included in the sum."""


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Setup:
    """One task on one number of threads: worlds, an algorithm, and a loop that goes on where it stopped."""

    def __init__(self, task: str, threads: int, credit: str, given: argparse.Namespace) -> None:
        self.task, self.threads, self.worlds, self.device = task, threads, given.worlds, given.device
        self._now = CLOCKS[given.clock]
        options = {key: ast.literal_eval(value) for key, value in (word.split("=") for word in given.algo)}
        made = set_up(
            run_config(
                env_of(task),
                "mappo",
                envs=builder,
                algos=ALGOS,
                task=None if task in envs.ENVS else task,
                algo_options=options | ({"credit": credit} if credit else {}),
                n_worlds=given.worlds,
                threads=threads,
                device=given.device,
            ),
            builder,
            ALGOS,
        )
        self.env, self.algo = cast(VectorView, made.env), cast(Mappo, made.algo)
        self.agents = len(self.env.agents)
        self.steps_an_update = self.worlds * self.algo.config.rollout_steps

    def train(self, updates: int) -> float:
        """Returns the seconds of `updates` updates with the steps before them, after one update that does not count."""
        torch.set_num_threads(self.threads)
        marks: list[float] = []
        first = self.algo.updates + 1

        def watch() -> bool:  # the loop calls it between two steps
            if self.algo.updates >= first + len(marks) * updates:
                self._wait()
                marks.append(self._now())
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
        clock = Clock(self._now, wait=self._wait)
        wrap_warehouse(clock)
        wrap_counterfactuals(clock, self.env.env)
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
        parts = {part: clock.total(f"step/{part}") for part in (*WAREHOUSE_PARTS, "counterfactuals")}
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


def env_of(task: str) -> str:
    """Returns the environment that has a task; an environment's name stands for its default task."""
    return task if task in envs.ENVS else next(name for name in envs.ENVS if task in builder.tasks(name))


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
    tasks = [*envs.ENVS, *(task for name in envs.ENVS for task in builder.tasks(name))]
    parser.add_argument("--tasks", nargs="+", default=["small-4", "medium-8"], choices=tasks, metavar="TASK")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--worlds", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--algo", nargs="*", default=[], metavar="KEY=VALUE", help="other settings of MAPPO")
    parser.add_argument("--credit", nargs="+", default=[""], metavar="RULE", help="rules of credit; one, the default's")
    parser.add_argument(
        "--clock", default="wall", choices=list(CLOCKS), help="cpu: seconds of this process, for one thread"
    )
    parser.add_argument("--repetitions", type=int, default=5, help="rounds; and half as many with the clock")
    parser.add_argument("--updates", type=int, default=8, help="updates in each round")
    parser.add_argument("--warm-up", type=int, default=4, help="updates before the first round")
    parser.add_argument("--out", type=Path, default=None, help="results/training_speed.json, or _DEVICE.json")
    given = parser.parse_args()
    suffix = "" if given.device == "cpu" else "_" + given.device.replace(":", "")
    out = given.out or report.RESULTS / f"training_speed{suffix}.json"

    setups = [
        Setup(task, threads, credit, given)
        for task in given.tasks
        for threads in sorted(given.threads)
        for credit in given.credit
    ]
    machine = report.machine()
    if given.device != "cpu":
        machine["gpu"] = torch.cuda.get_device_name(given.device)
    rounds(setups, 1, lambda setup: setup.train(given.warm_up))
    seconds = rounds(setups, given.repetitions, lambda setup: setup.train(given.updates))
    profiles = rounds(setups, (given.repetitions + 1) // 2, lambda setup: setup.profile(given.updates))

    results: list[dict[str, Any]] = []
    for index, (setup, times, profiled) in enumerate(zip(setups, seconds, profiles, strict=True)):
        first = seconds[index - index % len(given.credit)]  # of the same task and threads with the first rule
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
                "algo": options_of(setup.algo.config),
                "over_the_first_credit": report.spread([one / own for one, own in zip(first, times, strict=True)]),
                "agent_steps_per_second": report.spread([agent_steps / each for each in times]),
                "profiled_agent_steps_per_second": report.spread([agent_steps / whole for _, whole in profiled]),
                "parts": parts,
            }
        )

    several = len(given.credit) > 1
    titles = [
        f"{one['task']}, {one['threads']} thread{'s' * (one['threads'] > 1)}" + f", {one['algo']['credit']}" * several
        for one in results
    ]
    credit_head = [f"over {results[0]['algo']['credit']}"] if several else []
    print(f"\n{machine['cpu']}, {machine['usable_cores']} cores, load {machine['load_average']}, {given.device}\n")
    print(
        report.markdown(
            ["", "worlds x agents", "agent-steps/s, learning included", "world-steps/s", *credit_head],
            [
                [
                    title,
                    f"{one['worlds']} x {one['agents']}",
                    report.cell(one["agent_steps_per_second"]),
                    report.cell(one["agent_steps_per_second"], 1 / one["agents"]),
                    *([report.cell(one["over_the_first_credit"])] if several else []),
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
            "settings": {
                "repetitions": given.repetitions,
                "updates": given.updates,
                "clock": given.clock,
                "cores": os.cpu_count(),
            },
            "results": results,
        },
    )


if __name__ == "__main__":
    main()
