"""PPO in one file, in CleanRL's manner: one policy shared by all agents, worlds through SuperSuit.

python examples/reuse/cleanrl_ppo.py --env spread
python examples/reuse/cleanrl_ppo.py --env warehouse --task tiny-2

Axes: T time, E agents of all worlds, O observation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import supersuit
import torch
from torch import nn
from torch.distributions import Categorical

from coterie import envs

ROLLOUT = 128  # steps of every world between two updates
EPOCHS, MINIBATCHES = 6, 4
LR, MAX_GRAD_NORM = 7e-4, 0.5
GAMMA, GAE_LAMBDA = 0.99, 0.95
CLIP_COEF, ENT_COEF = 0.2, 0.01


def network(inputs: int, outputs: int, last_gain: float) -> nn.Sequential:
    """Two hidden layers, orthogonal weights."""
    layers = [nn.Linear(inputs, 64), nn.Linear(64, 64), nn.Linear(64, outputs)]
    for layer, gain in zip(layers, (2**0.5, 2**0.5, last_gain), strict=True):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


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
    parser.add_argument("--steps", type=int, default=150_000, help="environment steps: one world, all its agents")
    parser.add_argument("--worlds", type=int, default=8, help="worlds side by side")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    agents = supersuit.pettingzoo_env_to_vec_env_v1(envs.parallel_env(args.env, args.task))
    # SuperSuit's gymnasium-like worlds: rows are world 0's agents, then world 1's; worlds reset by themselves.
    worlds: Any = supersuit.concat_vec_envs_v1(agents, args.worlds, base_class="gymnasium")
    n_envs, obs_dim = worlds.num_envs, worlds.observation_space.shape[0]
    actor, critic = network(obs_dim, worlds.action_space.n, 0.01), network(obs_dim, 1, 1.0)
    parameters = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=LR, eps=1e-5)

    def act(obs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return Categorical(logits=actor(torch.from_numpy(obs))).sample().numpy()

    print(f"before: {drive(act, args.env, args.task)}")
    obs = torch.zeros(ROLLOUT + 1, n_envs, obs_dim)  # (T + 1, E, O)
    action = torch.zeros(ROLLOUT, n_envs, dtype=torch.int64)  # (T, E), as the next three
    reward, ended, log_prob = (torch.zeros(ROLLOUT, n_envs) for _ in range(3))
    obs[-1] = torch.from_numpy(worlds.reset(seed=args.seed * args.worlds)[0])  # world w gets this + w
    n_updates = max(1, args.steps // (ROLLOUT * args.worlds))
    for update in range(n_updates):
        optimizer.param_groups[0]["lr"] = LR * (1 - update / n_updates)
        obs[0] = obs[-1]
        for t in range(ROLLOUT):
            with torch.no_grad():
                policy = Categorical(logits=actor(obs[t]))
                action[t] = policy.sample()
                log_prob[t] = policy.log_prob(action[t])
            next_obs, pay, terminated, truncated, infos = worlds.step(action[t].numpy())
            reward[t], ended[t] = torch.from_numpy(pay), torch.from_numpy(terminated | truncated).float()
            obs[t + 1] = torch.from_numpy(next_obs)
            # `next_obs` is of the next episode. If the old one was only truncated, add its last observation's value.
            for agent in np.flatnonzero(truncated & ~terminated.astype(bool)):
                with torch.no_grad():
                    reward[t, agent] += GAMMA * critic(torch.from_numpy(infos[agent]["terminal_observation"]))[0]

        with torch.no_grad():
            value = critic(obs).squeeze(-1)  # (T + 1, E)
        advantage = torch.zeros_like(reward)  # (T, E)
        following = torch.zeros(n_envs)
        for t in reversed(range(ROLLOUT)):  # generalised advantage estimation
            delta = reward[t] + GAMMA * (1 - ended[t]) * value[t + 1] - value[t]
            following = delta + GAMMA * GAE_LAMBDA * (1 - ended[t]) * following
            advantage[t] = following
        batch = [obs[:-1].flatten(0, 1), *(x.flatten() for x in (action, log_prob, advantage, advantage + value[:-1]))]

        for _ in range(EPOCHS):
            for rows in torch.randperm(ROLLOUT * n_envs).chunk(MINIBATCHES):
                b_obs, b_action, b_log_prob, b_advantage, b_target = (x[rows] for x in batch)
                policy = Categorical(logits=actor(b_obs))
                ratio = (policy.log_prob(b_action) - b_log_prob).exp()
                gain = (b_advantage - b_advantage.mean()) / (b_advantage.std() + 1e-8)
                clipped = ratio.clamp(1 - CLIP_COEF, 1 + CLIP_COEF)
                policy_loss = -torch.minimum(ratio * gain, clipped * gain).mean()
                value_loss = (critic(b_obs).squeeze(-1) - b_target).square().mean()
                loss = policy_loss + 0.5 * value_loss - ENT_COEF * policy.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, MAX_GRAD_NORM)
                optimizer.step()
    print(f"after {n_updates * ROLLOUT * args.worlds} environment steps: {drive(act, args.env, args.task)}")


if __name__ == "__main__":
    main()
