"""RLlib's PPO through its PettingZoo wrapper: one policy shared by all agents.

pip install -c constraints.txt -e '.[reuse]'
python examples/reuse/rllib_ppo.py --env spread
python examples/reuse/rllib_ppo.py --env warehouse --task tiny-2
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.tune.registry import register_env

from coterie import envs

ROLLOUT = 128  # steps of every world between two updates


def drive(act: Callable[[np.ndarray], np.ndarray], env: str, task: str | None) -> str:
    """Returns as text what a policy achieves in 64 unseen episodes: mean return of an agent, and the first metrics."""
    worlds = envs.vector(env, 64, task)
    final = step = worlds.reset(seed=10_000)
    returns = 0.0
    while not final.truncated.any():
        final, step = worlds.step(act(step.obs))  # all agents of all worlds: (64, N, O) -> (64, N)
        returns += float(final.reward.mean())
    metrics = [f"{name} {final.metrics[name].mean():.4g}" for name in worlds.headline_metrics]
    return ", ".join([f"mean return {returns:.2f}", *metrics])


def main() -> None:
    """Trains, and plays a few episodes before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="warehouse", choices=sorted(envs.ENVS))
    parser.add_argument("--task", help="a ready-made task of it, or its default")
    parser.add_argument("--steps", type=int, default=100_000, help="environment steps: one world, all its agents")
    parser.add_argument("--worlds", type=int, default=8, help="worlds side by side")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    ray.init(num_cpus=1, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    register_env("coterie", lambda _: ParallelPettingZooEnv(envs.parallel_env(args.env, args.task)))
    n_agents = len(envs.make(args.env, args.task).agents)
    steps_an_update = args.worlds * ROLLOUT
    config = (
        PPOConfig()
        .environment("coterie")
        .env_runners(
            num_env_runners=0,  # everything in this process
            num_envs_per_env_runner=args.worlds,
            rollout_fragment_length=ROLLOUT,
        )
        .multi_agent(policies={"shared"}, policy_mapping_fn=lambda *_, **__: "shared")
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[64, 64], vf_share_layers=False))
        .training(
            lr=7e-4,
            gamma=0.99,
            lambda_=0.95,
            clip_param=0.2,
            use_kl_loss=False,
            entropy_coeff=0.01,
            vf_loss_coeff=0.5,
            vf_clip_param=float("inf"),
            grad_clip=0.5,
            train_batch_size_per_learner=steps_an_update,
            minibatch_size=steps_an_update * n_agents // 4,  # RLlib counts worlds above and agents here
            num_epochs=6,
        )
        .debugging(seed=args.seed, log_level="ERROR")
    )
    algorithm = config.build_algo()
    module: Any = algorithm.get_module("shared")  # it acts in training, and gets the weights of every update

    def act(obs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            out = module.forward_inference({Columns.OBS: torch.from_numpy(obs)})
        return torch.distributions.Categorical(logits=out[Columns.ACTION_DIST_INPUTS]).sample().numpy()

    print(f"before: {drive(act, args.env, args.task)}")
    n_updates = max(1, args.steps // steps_an_update)
    for _ in range(n_updates):
        algorithm.train()
    print(f"after {n_updates * steps_an_update} environment steps: {drive(act, args.env, args.task)}")
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
