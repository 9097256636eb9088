"""TorchRL's MAPPO on the warehouse, through its PettingZoo wrapper: a shared policy, and a critic that sees the state.

pip install -c constraints.txt -e '.[reuse]'
python examples/reuse/torchrl_mappo.py --steps 100000
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
from torchrl.envs import PettingZooWrapper, SerialEnv
from torchrl.modules import MLP, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss, ValueEstimators

from coterie import envs

ROLLOUT = 128  # steps of every world between two updates
LAYERS = {"depth": 2, "num_cells": 64, "activation_class": nn.Tanh}


class NoInfos(BaseParallelWrapper):
    """TorchRL makes a tensor of everything in `infos`, also of names and tables: this leaves nothing in there."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        """As PettingZoo's."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return observations, {agent: {} for agent in infos}

    def step(self, actions: Any) -> Any:
        """As PettingZoo's."""
        *rest, infos = self.env.step(actions)
        return *rest, {agent: {} for agent in infos}


class Critic(nn.Module):
    """A value for each robot, from the state of the whole warehouse and what the robot itself sees."""

    def __init__(self, state_dim: int, obs_dim: int) -> None:
        super().__init__()
        self.layers = MLP(state_dim + obs_dim, 1, **LAYERS)

    def forward(self, state: Tensor, obs: Tensor) -> Tensor:
        """(..., S) and (..., N, O) -> (..., N, 1)."""
        state = state.unsqueeze(-2).expand(*obs.shape[:-1], -1)  # (..., N, S)
        return self.layers(torch.cat((state, obs), -1))


def drive(act: Callable[[np.ndarray], np.ndarray], task: str) -> str:
    """What a policy does in 16 unseen episodes side by side: the mean return of a robot, and orders per hour."""
    worlds = envs.vector("warehouse", 16, task)
    final = step = worlds.reset(seed=10_000)
    returns = 0.0
    while not final.truncated.any():
        final, step = worlds.step(act(step.obs))  # all robots of all worlds: (16, N, O) -> (16, N)
        returns += float(final.reward.mean())
    return f"mean return {returns:.2f}, {final.metrics['orders_per_hour'].mean():.0f} orders per hour"


def main() -> None:
    """Trains, and drives a few episodes before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="tiny-2", help="task of the warehouse")
    parser.add_argument("--steps", type=int, default=100_000, help="environment steps: one world, all its robots")
    parser.add_argument("--worlds", type=int, default=8, help="warehouses side by side")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    warnings.filterwarnings("ignore", "PettingZoo in TorchRL is tested using version == 1.24.3")

    def world() -> PettingZooWrapper:
        # All robot_0, robot_1, ... are one group, "robot", in one tensor.
        return PettingZooWrapper(NoInfos(envs.parallel_env("warehouse", args.task)), return_state=True)

    worlds: Any = SerialEnv(args.worlds, world)
    worlds.set_seed(args.seed)
    obs_dim = worlds.observation_spec["robot", "observation"].shape[-1]
    state_dim = worlds.observation_spec["state"].shape[-1]
    n_actions = worlds.full_action_spec["robot", "action"].space.n

    actor = MLP(obs_dim, n_actions, **LAYERS)
    logits = TensorDictModule(actor, [("robot", "observation")], [("robot", "logits")])
    policy = ProbabilisticActor(
        logits, [("robot", "logits")], [("robot", "action")], distribution_class=Categorical, return_log_prob=True
    )
    critic = ValueOperator(
        Critic(state_dim, obs_dim), in_keys=["state", ("robot", "observation")], out_keys=[("robot", "state_value")]
    )
    loss = ClipPPOLoss(policy, critic, clip_epsilon=0.2, entropy_coeff=0.01, critic_coeff=0.5, loss_critic_type="l2")
    # The time limit is in `done` and not in `terminated`: it does not cut the value.
    loss.set_keys(value=("robot", "state_value"), action=("robot", "action"), reward=("robot", "reward"))
    loss.set_keys(done=("robot", "done"), terminated=("robot", "terminated"))
    loss.make_value_estimator(ValueEstimators.GAE, gamma=0.99, lmbda=0.95)
    optimizer = torch.optim.Adam(loss.parameters(), lr=7e-4, eps=1e-5)

    def act(obs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return Categorical(logits=actor(torch.from_numpy(obs))).sample().numpy()

    print(f"before: {drive(act, args.task)}")
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
    print(f"after {total} environment steps: {drive(act, args.task)}")


if __name__ == "__main__":
    main()
