"""TorchRL's MAPPO through its PettingZoo wrapper: a shared policy, and a critic that sees the state.

pip install -c constraints.txt -e '.[reuse]'
python examples/reuse/torchrl_mappo.py --env spread
python examples/reuse/torchrl_mappo.py --env warehouse --task tiny-2
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pettingzoo.utils import BaseParallelWrapper
from tensordict.nn import TensorDictModule
from torch import Tensor, nn
from torch.distributions import Categorical
from torchrl.collectors import Collector
from torchrl.envs import MarlGroupMapType, PettingZooWrapper, SerialEnv
from torchrl.modules import MLP, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss, ValueEstimators

from coterie import envs

ROLLOUT = 128  # steps of every world between two updates
LAYERS = {"depth": 2, "num_cells": 64, "activation_class": nn.Tanh}


class NoInfos(BaseParallelWrapper):
    """Empties `infos`, because TorchRL makes a tensor of every entry, and ours contain names and tables too."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        """Resets as PettingZoo does."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return observations, {agent: {} for agent in infos}

    def step(self, actions: Any) -> Any:
        """Steps as PettingZoo does."""
        *rest, infos = self.env.step(actions)
        return *rest, {agent: {} for agent in infos}


class Critic(nn.Module):
    """A value for each agent, from the state of the whole world and what the agent itself sees."""

    def __init__(self, state_dim: int, obs_dim: int) -> None:
        super().__init__()
        self.layers = MLP(state_dim + obs_dim, 1, **LAYERS)

    def forward(self, state: Tensor, obs: Tensor) -> Tensor:
        """(..., S) and (..., N, O) -> (..., N, 1)."""
        state = state.unsqueeze(-2).expand(*obs.shape[:-1], -1)  # (..., N, S)
        return self.layers(torch.cat((state, obs), -1))


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
    torch.manual_seed(args.seed)
    warnings.filterwarnings("ignore", "PettingZoo in TorchRL is tested using version == 1.24.3")

    def world() -> PettingZooWrapper:
        one_tensor = MarlGroupMapType.ALL_IN_ONE_GROUP  # called "agents"
        return PettingZooWrapper(
            NoInfos(envs.parallel_env(args.env, args.task)), return_state=True, group_map=one_tensor
        )

    worlds: Any = SerialEnv(args.worlds, world)
    worlds.set_seed(args.seed)
    obs_dim = worlds.observation_spec["agents", "observation"].shape[-1]
    state_dim = worlds.observation_spec["state"].shape[-1]
    n_actions = worlds.full_action_spec["agents", "action"].space.n

    actor = MLP(obs_dim, n_actions, **LAYERS)
    logits = TensorDictModule(actor, [("agents", "observation")], [("agents", "logits")])
    policy = ProbabilisticActor(
        logits, [("agents", "logits")], [("agents", "action")], distribution_class=Categorical, return_log_prob=True
    )
    critic = ValueOperator(
        Critic(state_dim, obs_dim), in_keys=["state", ("agents", "observation")], out_keys=[("agents", "state_value")]
    )
    loss = ClipPPOLoss(policy, critic, clip_epsilon=0.2, entropy_coeff=0.01, critic_coeff=0.5, loss_critic_type="l2")
    # The time limit is in `done` and not in `terminated`: it does not cut the value.
    loss.set_keys(value=("agents", "state_value"), action=("agents", "action"), reward=("agents", "reward"))
    loss.set_keys(done=("agents", "done"), terminated=("agents", "terminated"))
    loss.make_value_estimator(ValueEstimators.GAE, gamma=0.99, lmbda=0.95)
    optimizer = torch.optim.Adam(loss.parameters(), lr=7e-4, eps=1e-5)

    def act(obs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return Categorical(logits=actor(torch.from_numpy(obs))).sample().numpy()

    print(f"before: {drive(act, args.env, args.task)}")
    steps_an_update = args.worlds * ROLLOUT
    total = max(1, args.steps // steps_an_update) * steps_an_update
    collector = Collector(
        worlds, policy, frames_per_batch=steps_an_update, total_frames=total, auto_register_policy_transforms=False
    )
    for data in collector:  # (B, T)
        with torch.no_grad():
            weights = {"params": loss.critic_network_params, "target_params": loss.target_critic_network_params}
            loss.value_estimator(data, **weights)  # generalised advantages
        data["advantage"] = (data["advantage"] - data["advantage"].mean()) / (data["advantage"].std() + 1e-8)
        batch = data.reshape(-1)  # (B * T,)
        for _ in range(6):
            for rows in torch.randperm(len(batch)).chunk(4):
                losses = loss(batch[rows])
                optimizer.zero_grad()
                (losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]).backward()
                nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
                optimizer.step()
    collector.shutdown()
    print(f"after {total} environment steps: {drive(act, args.env, args.task)}")


if __name__ == "__main__":
    main()
