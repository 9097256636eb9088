"""Plays with a policy that was trained in somebody else's environment, through that environment's own dictionaries.

python train.py --env mpe2.simple_spread_v3 --algo mappo
python examples/drive_foreign_policy.py runs/NAME
"""

import json
import sys
from pathlib import Path

from coterie.algos import load_policy
from coterie.envs import adapters

folder = Path(sys.argv[1])
trained_on = json.loads((folder / "config.json").read_text())["env"]
env = adapters.parallel_env(trained_on["name"], **adapters.parse(trained_on["name"], trained_on["options"]))
policy = load_policy(folder)

observations, infos = env.reset(seed=1)
policy.reset()
returns = dict.fromkeys(env.agents, 0.0)
while env.agents:
    actions = policy.act({agent: observations[agent] for agent in env.agents}, infos)
    observations, rewards, terminations, truncations, infos = env.step(actions)
    for agent, reward in rewards.items():
        returns[agent] = returns.get(agent, 0.0) + reward
env.close()

for agent, total in returns.items():
    print(f"{agent}: return {total:.2f}")
