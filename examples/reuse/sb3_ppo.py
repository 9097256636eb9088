"""Stable-Baselines3's PPO through SuperSuit: one policy shared by all agents.

python examples/reuse/sb3_ppo.py --env spread
python examples/reuse/sb3_ppo.py --env warehouse --task tiny-2
python examples/reuse/sb3_ppo.py --env rovers --task rovers-16 --reward difference --steps 40000
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import supersuit
from pettingzoo.utils import BaseParallelWrapper
from stable_baselines3 import PPO

from coterie import envs
from coterie.envs.parallel import Reward

ROLLOUT = 128  # steps of every world between two updates


class TellTimeLimit(BaseParallelWrapper):
    """Adds the info by which Stable-Baselines3 recognises a time limit; without it, it treats the limit as death."""

    def step(self, actions: Any) -> Any:
        """Steps, and adds an entry to each agent's info."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        for agent, info in infos.items():
            info["TimeLimit.truncated"] = truncations[agent] and not terminations[agent]
        return observations, rewards, terminations, truncations, infos


def drive(act: Callable[[np.ndarray], np.ndarray], env: str, task: str | None) -> str:
    """Returns as text what a policy achieves in 64 unseen episodes: agents' own mean return, and the first metrics."""
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
    parser.add_argument("--reward", default="individual", choices=get_args(Reward), help="what an agent learns from")
    parser.add_argument("--steps", type=int, default=150_000, help="environment steps: one world, all its agents")
    parser.add_argument("--worlds", type=int, default=8, help="worlds side by side")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    try:
        world = envs.parallel_env(args.env, args.task, reward=args.reward)
    except ValueError as error:  # a task that does not exist, or credit that the environment cannot give
        parser.error(f"{error}")
    agents = supersuit.pettingzoo_env_to_vec_env_v1(TellTimeLimit(world))
    worlds: Any = supersuit.concat_vec_envs_v1(agents, args.worlds, base_class="stable_baselines3")
    worlds.venv.reset(seed=args.seed * args.worlds)  # world w gets this + w; later episodes follow from it
    worlds.seed = lambda seed: [seed]  # PPO would ask SuperSuit for a method that it lacks
    model = PPO(
        "MlpPolicy",
        worlds,
        learning_rate=7e-4,
        n_steps=ROLLOUT,
        batch_size=ROLLOUT * worlds.num_envs // 4,
        n_epochs=6,
        ent_coef=0.01,
        seed=args.seed,
        device="cpu",
    )

    def act(obs: np.ndarray) -> np.ndarray:
        actions, _ = model.predict(obs.reshape(-1, obs.shape[-1]))
        return actions.reshape(obs.shape[:-1])

    print(f"before: {drive(act, args.env, args.task)}")
    model.learn(args.steps * agents.num_envs)  # Stable-Baselines3 counts every agent's step
    print(f"after {model.num_timesteps // agents.num_envs} environment steps: {drive(act, args.env, args.task)}")


if __name__ == "__main__":
    main()
