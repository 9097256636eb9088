"""Steps the warehouse as a PettingZoo environment: one episode of random actions."""

import pettingzoo

import coterie.envs  # noqa: F401 - registers the environments

env = pettingzoo.make("parallel", "coterie/warehouse_v1", task="small-4", reward="individual")
observations, infos = env.reset(seed=0)
while env.agents:
    actions = {agent: env.action_space(agent).sample() for agent in env.agents}
    observations, rewards, terminations, truncations, infos = env.step(actions)
print(infos["robot_0"]["metrics"])
