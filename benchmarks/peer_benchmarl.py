"""BenchMARL's MAPPO or MADDPG on PettingZoo's simple_spread, with the settings it ships: what `peers.py` times.

    python benchmarks/peer_benchmarl.py SECONDS [mappo | maddpg]

Runs in a venv with `benchmarl` and `pettingzoo[mpe]==1.25.0`. Discrete actions for MAPPO, continuous ones for MADDPG,
which has no others there; episodes of 25 steps, the processor instead of a GPU; all else is as shipped. Prints a JSON
line a batch: steps of all worlds, seconds, mpa.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from typing import Any

from benchmarl.algorithms import MaddpgConfig, MappoConfig  # pyright: ignore[reportMissingImports]
from benchmarl.environments import PettingZooTask  # pyright: ignore[reportMissingImports]
from benchmarl.experiment import Callback, Experiment, ExperimentConfig  # pyright: ignore[reportMissingImports]
from benchmarl.models.mlp import MlpConfig  # pyright: ignore[reportMissingImports]

EPISODE = 25


class Watch(Callback):
    """Prints a row after every batch and its updates; ends the run when its time is up."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit, self.begin, self.steps, self.latest = limit, time.perf_counter(), 0, float("nan")

    def on_batch_collected(self, batch: Any) -> None:
        """Keeps the batch's finished episodes' mean return over agents."""
        self.steps += batch.numel()
        (group,) = self.experiment.group_map
        done = batch.get(("next", group, "done")).any(-1).any(-1) | batch.get(("next", "done")).any(-1)
        if done.any():
            self.latest = float(batch.get(("next", group, "episode_reward"))[done].mean())

    def on_train_end(self, training_td: Any, group: str) -> None:  # noqa: ARG002
        """Prints."""
        seconds = time.perf_counter() - self.begin
        print(json.dumps({"steps": self.steps, "seconds": seconds, "return": self.latest}), flush=True)
        if seconds > self.limit:
            raise KeyboardInterrupt


def main() -> None:
    """Trains for so many seconds."""
    algorithm = {"mappo": MappoConfig, "maddpg": MaddpgConfig}[(*sys.argv, "mappo")[2]]
    config = ExperimentConfig.get_from_yaml()
    config.sampling_device = config.train_device = config.buffer_device = "cpu"
    config.prefer_continuous_actions = algorithm is MaddpgConfig
    config.evaluation, config.loggers, config.create_json = False, [], False
    config.save_folder = tempfile.mkdtemp()
    config.max_n_frames = 10**9
    task = PettingZooTask.SIMPLE_SPREAD.get_from_yaml()
    task.config.update(max_cycles=EPISODE, N=3, local_ratio=0.5)
    watch = Watch(float(sys.argv[1]))
    experiment = Experiment(
        task=task,
        algorithm_config=algorithm.get_from_yaml(),
        model_config=MlpConfig.get_from_yaml(),
        critic_model_config=MlpConfig.get_from_yaml(),
        seed=0,
        config=config,
        callbacks=[watch],
    )
    watch.begin = time.perf_counter()
    try:
        experiment.run()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
