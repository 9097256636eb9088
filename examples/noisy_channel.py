"""Lets the agents of a PettingZoo environment talk over a channel that rounds, loses and delays what they say."""

import numpy as np

from coterie import envs
from coterie.envs.channel import Channel

# Any ParallelEnv will do, such as mpe2.simple_spread_v3.parallel_env().
env = Channel(envs.parallel_env("spread"), entries=2, bits=4, loss=0.3, delay=(0, 1), memory=3)
observations, infos = env.reset(seed=0)
for agent in env.agents:
    env.action_space(agent).seed(0)
for step in range(6):
    actions = {}
    for agent in env.agents:
        position = observations[agent]["observation"][2:4]
        actions[agent] = {
            "action": env.action_space(agent)["action"].sample(),
            "message": np.clip(position / 2, -1, 1),
        }
    observations, rewards, terminations, truncations, infos = env.step(actions)
    heard, age = observations["agent_0"]["heard"], observations["agent_0"]["age"]
    words = [
        f"agent_{k + 1} at {2 * x:+.2f} {2 * y:+.2f} (age {old:.0f})" if old <= 3 else f"agent_{k + 1} not heard"
        for k, ((x, y), old) in enumerate(zip(heard, age, strict=True))
    ]
    print(f"step {step}: agent_0 heard {'; '.join(words)}")
print(f"{infos['agent_0']['channel']['bits_sent']} bits sent by each agent in a step")
