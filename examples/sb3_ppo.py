"""Stable-Baselines3's PPO on the warehouse, through SuperSuit: one policy shared by all robots.

python examples/sb3_ppo.py --steps 500000
"""

from __future__ import annotations

import argparse
from typing import Any

import supersuit
from stable_baselines3 import PPO

from coterie import envs


def main() -> None:
    """Trains, then drives one episode with the learned policy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="small-4", help="task of the warehouse")
    parser.add_argument("--steps", type=int, default=500_000, help="agent-steps to train")
    parser.add_argument("--worlds", type=int, default=8, help="warehouses side by side")
    parser.add_argument("--rollout", type=int, default=256, help="steps of every agent between two updates")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    robots = supersuit.pettingzoo_env_to_vec_env_v1(envs.parallel_env("warehouse", options.task))
    worlds: Any = supersuit.concat_vec_envs_v1(robots, options.worlds, base_class="stable_baselines3")
    worlds.venv.reset(seed=options.seed)  # world w gets seed + w; later episodes follow from it
    worlds.seed = lambda seed: [seed]  # PPO would ask SuperSuit for a method that it lacks
    model = PPO("MlpPolicy", worlds, n_steps=options.rollout, batch_size=1024, seed=options.seed, device="cpu")
    model.learn(options.steps)

    env = envs.parallel_env("warehouse", options.task)
    observations, infos = env.reset(seed=options.seed)
    while env.agents:
        actions = {agent: model.predict(observations[agent], deterministic=True)[0] for agent in env.agents}
        observations, _, _, _, infos = env.step(actions)
    metrics = next(iter(infos.values()))["metrics"]
    print(f"{metrics['orders_per_hour']:.0f} orders per hour after {model.num_timesteps} agent-steps")


if __name__ == "__main__":
    main()
