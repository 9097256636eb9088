"""Odd foreign Gymnasium environments: dicts and lists by agent, old ways to return values and to draw.

Worker processes import this module, so it needs nothing but Gymnasium.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Tuple


class Grid(gymnasium.Env):
    """A Gymnasium environment with dicts by agent, as MultiGrid's: names are numbers, dead agents stay in the dicts.

    Agent 0 dies at step 2, agent 1 is truncated at step 4. Infos are an empty dict. A dead agent must still be sent an
    action, because the action is one of the whole space.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}

    def __init__(self, pays: str = "each", render_mode: str | None = None) -> None:
        self.observation_space = Dict({i: Box(0.0, 9.0, (2,), np.float32) for i in (0, 1)})  # pyright: ignore
        self.action_space = Dict({0: Discrete(3), 1: Discrete(3)})  # pyright: ignore
        self.pays, self.render_mode = pays, render_mode

    def reset(self, seed: int | None = None, **more: Any) -> Any:
        super().reset(seed=seed)
        self.clock = 0
        return self.look(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains({key: np.int64(value) for key, value in action.items()}), action
        self.clock += 1
        paid: Any = {i: 10.0 * i + action[i] for i in (0, 1)} if self.pays == "each" else 2.0
        return self.look(), paid, {0: self.clock >= 2, 1: False}, dict.fromkeys((0, 1), self.clock >= 4), {}

    def look(self) -> Any:
        return {i: np.array([i, self.clock], np.float32) for i in (0, 1)}

    def render(self) -> Any:
        return np.full((4, 6, 3), self.clock, np.uint8) if self.render_mode else None


class Traffic(gymnasium.Env):
    """An environment like MetaDrive's: `reset()` takes no options, `__all__` ends it, only agents present may act.

    agent0 crashes at step 2, agent2 comes at step 1. With `respawn`, new names appear; with `turns`, agent1 is not
    observed in every step.
    """

    def __init__(self, respawn: bool = False, turns: bool = False) -> None:
        self.possible = ["agent0", "agent1", "agent2"]
        self.respawn, self.turns = respawn, turns

    @property
    def observation_space(self) -> Any:  # pyright: ignore
        return Dict({agent: Box(0.0, 9.0, (1,), np.float32) for agent in self.possible})

    @property
    def action_space(self) -> Any:  # pyright: ignore
        return Dict({agent: Box(-1.0, 1.0, (2,), np.float32) for agent in self.possible})

    def reset(self, seed: int | None = None) -> Any:  # pyright: ignore
        self.clock, self.there = 0, ["agent0", "agent1"]
        return self.look(self.there), {agent: {} for agent in self.there}

    def step(self, action: Any) -> Any:
        assert set(action) == set(self.there), (set(action), self.there)
        self.clock += 1
        shown, over = self.there[:], self.clock >= 5
        dies: dict[str, bool] = {agent: agent == "agent0" and self.clock == 2 for agent in shown}
        self.there = [agent for agent in shown if not dies[agent]]
        if self.clock == 1:
            self.there.append("agent2")
            dies["agent2"] = False
            shown.append("agent2")
        if self.respawn and self.clock == 3:
            shown.append("agent3")
        if self.turns and self.clock == 3:
            shown.remove("agent1")
            self.there.remove("agent1")
        if self.turns and self.clock == 4:
            shown.append("agent1")
        looks = self.look(shown)
        infos = {agent: {"cost": 0.5} for agent in shown}
        return looks, dict.fromkeys(shown, 1.0), {**dies, "__all__": False}, {"__all__": over}, infos

    def look(self, agents: list[str]) -> Any:
        return {agent: np.array([self.clock], np.float32) for agent in agents}


class Same(Grid):
    """Names its agents, and has one space for all."""

    possible_agents = ["red", "blue"]

    def __init__(self) -> None:
        super().__init__(pays="one")
        self.observation_space = Box(0.0, 9.0, (2,), np.float32)
        self.action_space = Dict(red=Discrete(3), blue=Discrete(3))

    def step(self, action: Any) -> Any:
        _, _, died, stopped, _ = super().step(action)
        paid = {"red": 1.0, "blue": 1.0}
        return self.look(), paid, bool(died[1]), bool(stopped[0]), {"level": 3}

    def look(self) -> Any:
        return {name: np.array([0, self.clock], np.float32) for name in self.possible_agents}


class Robot(gymnasium.Env):
    """One agent with a `Dict` of two actions, whose keys are not agents."""

    def __init__(self) -> None:
        self.observation_space = Dict(eye=Box(0.0, 1.0, (2,), np.float32))
        self.action_space = Dict(arm=Discrete(2), leg=Discrete(2))


class Lists(gymnasium.Env):
    """List-style; `pays`: "one" reward for the team, one for "each", or "two" for three agents."""

    def __init__(self, pays: str = "one") -> None:
        self.observation_space: Any = Tuple([Box(0.0, 9.0, (1,), np.float32)] * 3)
        self.action_space: Any = Tuple([Discrete(2)] * 3)
        self.pays = pays

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.clock = 0
        return self.look(), {}

    def step(self, action: Any) -> Any:
        self.clock += 1
        paid: Any = {"one": np.float32(2.0), "each": [1.0, 2.0, 3.0], "two": [1.0, 2.0], "vector": np.ones((3, 2))}
        return self.look(), paid[self.pays], self.clock >= 3, False, {}

    def look(self) -> Any:
        return tuple(np.array([i], np.float32) for i in range(3))


class PlainLists(Lists):
    """List-style with spaces in lists, as in ma-gym."""

    def __init__(self) -> None:
        super().__init__("each")
        self.observation_space: Any = list(self.observation_space.spaces)
        self.action_space: Any = list(self.action_space.spaces)


class OldSingle(gymnasium.Env):
    """Returns four things from `step()` and one from `reset()`, as the older gym did."""

    def __init__(self) -> None:
        self.observation_space = Box(0.0, 9.0, (3,), np.float32)
        self.action_space = Discrete(2)

    def reset(self, **more: Any) -> Any:
        return np.zeros(3, np.float32)

    def step(self, action: Any) -> Any:
        return np.zeros(3, np.float32), 1.0, False, {}


class FilmedBehind(gymnasium.Env):
    """A Gymnasium environment whose constructor takes any key, as MuJoCo's do."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}

    def __init__(self, **more: Any) -> None:
        self.observation_space = Box(0.0, 9.0, (1,), np.float32)
        self.action_space = Discrete(2)
        self.render_mode = more.pop("render_mode", None)
        assert not more, more

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.clock = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        self.clock += 1
        return np.zeros(1, np.float32), 1.0, self.clock >= 9, False, {}

    def render(self) -> Any:
        return np.full((4, 6, 3), 7, np.uint8) if self.render_mode else None


class Keyed(FilmedBehind):
    """Takes keys with the names of arguments of `gymnasium.make`."""

    def __init__(self, id: str = "", name: str = "") -> None:  # noqa: A002
        super().__init__()
        assert (id, name) == ("x", "maze"), (id, name)


class Silent(FilmedBehind):
    """Takes a `render_mode` that its metadata do not list."""

    metadata = {}

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)


class Fractions(FilmedBehind):
    """Draws colours from 0 to 1."""

    def render(self) -> Any:
        return np.full((4, 6, 3), 0.6, np.float32)


class DrawsInMode(FilmedBehind):
    """Draws in the older way, `render(mode=...)`, and takes no `render_mode`."""

    metadata = {"render_modes": ["human", "rgb_array"]}

    def __init__(self) -> None:
        super().__init__()

    def render(self, mode: str = "human") -> Any:
        return np.full((4, 6, 3), 9, np.uint8) if mode == "rgb_array" else None


class ListsInMode(Lists):
    """List-style, and draws in the older way, as RWARE and level-based foraging."""

    def render(self, mode: str = "human") -> Any:
        return np.full((4, 6, 3), 9, np.uint8) if mode == "rgb_array" else None
