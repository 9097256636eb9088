"""Turns observations of different agents into rows for a network of your own, and rows of actions back."""

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete
from pettingzoo import ParallelEnv

from coterie.envs import adapters

SHELVES = Dict({"shelves": Box(0.0, 1.0, (2, 3), np.float32), "load": Discrete(4), "action_mask": MultiBinary(3)})
SHOWS = {"crane": SHELVES, "cart": Box(-1.0, 1.0, (2,), np.float32)}
TAKES = {"crane": Discrete(3, start=1), "cart": MultiDiscrete([3, 5])}


class Depot(ParallelEnv):
    """A plain PettingZoo environment: a crane observes shelves and may not always lift; a cart drives and turns."""

    def __init__(self):
        """No agent acts before `reset`."""
        self.possible_agents, self.agents = ["crane", "cart"], []
        self.metadata = {"name": "depot_v0"}

    def observation_space(self, agent):
        """Returns the space of an agent's observations."""
        return SHOWS[agent]

    def action_space(self, agent):
        """Returns the space of an agent's actions."""
        return TAKES[agent]

    def reset(self, seed=None, options=None):  # noqa: ARG002 - PettingZoo's signature
        """Starts an episode of eight steps."""
        self.agents, self.clock, self.rng = self.possible_agents[:], 0, np.random.default_rng(seed)
        return self.look(), {agent: {} for agent in self.agents}

    def step(self, actions):
        """Pays 1 for every action that is in the agent's own space."""
        self.clock += 1
        paid = {agent: float(TAKES[agent].contains(action)) for agent, action in actions.items()}
        over, acted = self.clock == 8, self.agents
        self.agents = [] if over else acted
        return (
            self.look(),
            paid,
            dict.fromkeys(acted, False),
            dict.fromkeys(acted, over),
            {agent: {} for agent in acted},
        )

    def look(self):
        """Returns observations: a dictionary for the crane, two numbers for the cart."""
        mask = np.array([1, self.clock % 2, 1], np.int8)
        shelves = self.rng.random((2, 3), np.float32)
        crane = {"shelves": shelves, "load": int(self.rng.integers(4)), "action_mask": mask}
        return {"crane": crane, "cart": self.rng.uniform(-1, 1, 2).astype(np.float32)}


def main():
    """Plays an episode by rows, with a linear policy of random weights in place of a network."""
    env = adapters.parallel_env(Depot)
    rows = adapters.Rows(env)
    print(f"rows of {rows.observation_space.shape[0]} numbers, {rows.action_space.n} choices")
    weights = np.random.default_rng(0).standard_normal((rows.observation_space.shape[0], rows.action_space.n))
    observations, infos = env.reset(seed=1)
    earned = 0.0
    while env.agents:
        obs, _, action_mask = rows.of(observations, infos, env.agents)  # (N, O), which agents act (N,), (N, A)
        choice = np.where(action_mask, obs @ weights, -np.inf).argmax(-1)  # (N,)
        observations, rewards, _, _, infos = env.step(rows.actions(choice, env.agents))
        earned += sum(rewards.values())
    print(f"{earned:.0f} of 16 actions were those of the agents' own spaces")


if __name__ == "__main__":
    main()
