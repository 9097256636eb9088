"""Plays with a trained policy in the environment it was trained in, through PettingZoo's parallel API.

python train.py --env warehouse --algo mappo
python examples/drive_saved_policy.py runs/NAME
"""

import json
import sys
from pathlib import Path

from coterie import envs
from coterie.algos import load_policy
from coterie.algos.training.runfolder import options_from_plain

folder = Path(sys.argv[1])
trained_on = json.loads((folder / "config.json").read_text())["env"]
env = envs.parallel_env(trained_on["name"], trained_on["task"], **options_from_plain(trained_on["options"]))
policy = load_policy(folder)

observations, infos = env.reset(seed=1)
policy.reset()
returns = dict.fromkeys(env.agents, 0.0)
while env.agents:
    actions = policy.act({agent: observations[agent] for agent in env.agents}, infos)
    observations, rewards, terminations, truncations, infos = env.step(actions)
    for agent, reward in rewards.items():
        returns[agent] += reward
env.close()

for agent, total in returns.items():
    print(f"{agent}: return {total:.2f}")
print(f"mean return {sum(returns.values()) / len(returns):.2f}")
