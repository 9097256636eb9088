"""PPO in CleanRL's manner on mpe2's simple_spread through SuperSuit: what `peers.py` times. Not CleanRL's own code.

    python benchmarks/peer_cleanrl.py SECONDS

CleanRL's settings for PettingZoo where they fit (Huang et al. 2022): one policy and one critic for all agents, Adam
with a falling step size, 4 epochs of 4 minibatches, GAE. Prints a JSON line an update: steps of all worlds, seconds,
mpa.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import supersuit
import torch
from mpe2 import simple_spread_v3
from torch import nn
from torch.distributions import Categorical

WORLDS, CPUS, ROLLOUT = 32, 2, 128
EPOCHS, MINIBATCHES, LR = 4, 4, 2.5e-4
GAMMA, GAE_LAMBDA, CLIP, ENTROPY, VALUE, MAX_GRAD_NORM = 0.99, 0.95, 0.1, 0.01, 0.5, 0.5
EPISODE = 25
EXPECTED_STEPS = 1_000_000  # over which the step size falls


def network(inputs: int, outputs: int, last_gain: float) -> nn.Sequential:
    """Two hidden layers of 64, orthogonal weights."""
    layers = [nn.Linear(inputs, 64), nn.Linear(64, 64), nn.Linear(64, outputs)]
    for layer, gain in zip(layers, (2**0.5, 2**0.5, last_gain), strict=True):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


def main() -> None:
    """Trains for so many seconds."""
    limit = float(sys.argv[1])
    torch.manual_seed(0)
    env = supersuit.pettingzoo_env_to_vec_env_v1(simple_spread_v3.parallel_env(max_cycles=EPISODE))
    worlds: Any = supersuit.concat_vec_envs_v1(env, WORLDS, num_cpus=CPUS, base_class="gymnasium")
    rows, features = worlds.num_envs, worlds.observation_space.shape[0]
    actor, critic = network(features, int(worlds.action_space.n), 0.01), network(features, 1, 1.0)
    parameters = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=LR, eps=1e-5)
    obs = torch.zeros(ROLLOUT + 1, rows, features)
    action = torch.zeros(ROLLOUT, rows, dtype=torch.int64)
    log_prob, reward, over = (torch.zeros(ROLLOUT, rows) for _ in range(3))
    obs[ROLLOUT] = torch.from_numpy(worlds.reset(seed=0)[0])
    running, returns, steps = np.zeros(rows), [], 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < limit:
        optimizer.param_groups[0]["lr"] = LR * max(1 - steps / EXPECTED_STEPS, 0.05)
        obs[0] = obs[ROLLOUT]
        for t in range(ROLLOUT):
            with torch.no_grad():
                policy = Categorical(logits=actor(obs[t]))
                action[t] = policy.sample()
                log_prob[t] = policy.log_prob(action[t])
            seen, paid, terminated, truncated, _ = worlds.step(action[t].numpy())
            obs[t + 1], reward[t] = torch.from_numpy(seen), torch.from_numpy(np.asarray(paid, dtype=np.float32))
            ended = np.logical_or(terminated, truncated)
            over[t] = torch.from_numpy(ended.astype(np.float32))
            running += paid
            returns += running[ended].tolist()
            running[ended] = 0.0
        steps += ROLLOUT * WORLDS
        with torch.no_grad():
            value = critic(obs).squeeze(-1)
        advantage, following = torch.zeros(ROLLOUT, rows), torch.zeros(rows)
        for t in reversed(range(ROLLOUT)):
            delta = reward[t] + GAMMA * value[t + 1] * (1 - over[t]) - value[t]
            following = delta + GAMMA * GAE_LAMBDA * (1 - over[t]) * following
            advantage[t] = following
        batch = [x.flatten(0, 1) for x in (obs[:ROLLOUT], action, log_prob, advantage, advantage + value[:ROLLOUT])]
        for _ in range(EPOCHS):
            for chosen in torch.randperm(ROLLOUT * rows).chunk(MINIBATCHES):
                b_obs, b_action, b_log_prob, b_advantage, b_target = (x[chosen] for x in batch)
                policy = Categorical(logits=actor(b_obs))
                ratio = (policy.log_prob(b_action) - b_log_prob).exp()
                gain = (b_advantage - b_advantage.mean()) / (b_advantage.std() + 1e-8)
                surrogate = torch.minimum(ratio * gain, ratio.clamp(1 - CLIP, 1 + CLIP) * gain)
                value_loss = 0.5 * (critic(b_obs).squeeze(-1) - b_target).square().mean()
                loss = -surrogate.mean() - ENTROPY * policy.entropy().mean() + VALUE * value_loss
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, MAX_GRAD_NORM)
                optimizer.step()
        row = {"steps": steps, "seconds": time.perf_counter() - begin, "return": float(np.mean(returns[-300:]))}
        print(json.dumps(row), flush=True)
    worlds.close()


if __name__ == "__main__":
    main()
