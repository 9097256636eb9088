"""Small environments as other people write them, with PettingZoo's dictionaries or Gymnasium's lists, and faulty ones.

Worker processes import this module, so it needs nothing but PettingZoo.

    Scripted    its arguments say which agents are born, die and leave when, so all that it returns is known
    Differ      agents whose spaces have nothing in common
    Masked      action masks, in infos or in Dict observations
    Leaving     its best return is known: stay (0.2 a step); learning that bootstraps after death leaves too early
    Endless     its best value is known: 1 a step, cut by a time limit, is worth 1 / (1 - gamma)
    Breaks      raises, exits or is killed on request
    Painted     pictures
    Single      a single-agent Gymnasium environment whose episodes have different lengths
    Listed      a list-style Gymnasium environment
    Turns       a turn-based game
    Dies        ends its process when it is reset
"""

from __future__ import annotations

import os
import signal
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from pettingzoo import AECEnv, ParallelEnv


class Scripted(ParallelEnv):
    """Agent i is present from step `born[i]`, and ends at step `ends[i]` by "die", "leave" or "vanish"; None: never.

    Observations are (agent, clock, chance of the episode), rewards 10 * agent + action. After `limit` steps all agents
    are truncated or, with `limit_kills`, terminated. With `state`, the state is (clock, agents present). With
    `keeps_dead`, agents that ended stay in `agents` and are reported as ended again in every step.
    """

    metadata = {"name": "scripted_v0", "render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(
        self,
        n: int = 3,
        born: tuple[int, ...] = (),
        ends: tuple[tuple[int, str] | None, ...] = (),
        limit: int = 8,
        state: bool = False,
        limit_kills: bool = False,
        keeps_dead: bool = False,
        both: bool = False,
        back: int = 0,
        names: tuple[str, ...] = (),
        render_mode: str | None = None,
    ) -> None:
        self.possible_agents = list(names) or [f"agent_{i}" for i in range(n)]
        n = len(self.possible_agents)
        self.born, self.ends = born or (0,) * n, ends or (None,) * n
        self.max_cycles, self.has_state, self.limit_kills = limit, state, limit_kills
        self.keeps_dead, self.both, self.back, self.render_mode = keeps_dead, both, back, render_mode
        self.agents: list[str] = []
        self.sent: list[dict[str, Any]] = []

    def observation_space(self, agent: str) -> Box:
        return Box(0.0, 100.0, (3,), np.float64)

    def action_space(self, agent: str) -> Discrete:
        return Discrete(4)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.clock, self.seed = 0, seed
        self.chance = np.random.default_rng(seed).random()
        self.agents = [agent for agent, born in zip(self.possible_agents, self.born, strict=True) if born == 0]
        return self.seen(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        self.sent.append(actions)
        assert set(actions) == set(self.agents)
        self.clock += 1
        acted, n = self.agents, range(len(self.possible_agents))
        over = self.clock >= (self.max_cycles or 10**9)
        ending = {self.possible_agents[i]: end[1] for i in n if (end := self.ends[i]) and end[0] <= self.clock}
        dies = {agent: ending.get(agent) == "die" or (over and self.limit_kills) for agent in acted}
        stops = {agent: ending.get(agent) == "leave" or (over and not self.limit_kills) for agent in acted}
        if self.both:
            stops |= {agent: stops[agent] or dies[agent] for agent in acted}
        vanished = [agent for agent in acted if ending.get(agent) == "vanish"]
        stops |= dict.fromkeys(vanished, False)
        late = [self.possible_agents[i] for i in n if self.born[i] == self.clock or self.back == self.clock]
        late = [agent for agent in late if agent not in acted]
        gone = [agent for agent in acted if dies[agent] or stops[agent] or agent in vanished]
        self.agents = [
            agent for agent in self.possible_agents if agent in acted + late and (self.keeps_dead or agent not in gone)
        ]
        if over and self.keeps_dead:
            self.agents = []
        shown = [agent for agent in acted + late if agent not in vanished]
        reward = {agent: 10.0 * self.possible_agents.index(agent) + int(actions[agent]) for agent in acted}
        none = dict.fromkeys(late, False)
        return self.seen(shown), reward | dict.fromkeys(late, 99.0), dies | none, stops | none, {a: {} for a in shown}

    def seen(self, agents: list[str]) -> dict[str, Any]:
        return {a: np.array([self.possible_agents.index(a) + 1, self.clock, self.chance]) for a in agents}

    def state(self) -> Any:
        if not self.has_state:
            raise NotImplementedError
        there = [agent in self.agents for agent in self.possible_agents]
        return np.array([self.clock, *there], np.float64)

    def render(self) -> Any:
        return np.full((20, 30, 3), 7 * self.clock, np.uint8) if self.render_mode else None


class Differ(ParallelEnv):
    """Agents observe a vector, a grid and a number, and act in a `Discrete`, a `MultiBinary` and a `MultiDiscrete`."""

    metadata = {"name": "differ_v0"}
    kinds = {
        "choice": {"scout_0": Discrete(5, start=2), "tank_0": MultiBinary(3), "tank_1": MultiDiscrete([2, 3])},
        "box": {
            "scout_0": Box(-2.0, 4.0, (1,), np.float32),
            "tank_0": Box(0.0, 1.0, (2, 2), np.float32),
            "tank_1": Box(np.array([-1, 0]), np.array([1, 9]), dtype=np.int64),
        },
        "mixed": {"scout_0": Discrete(2), "tank_0": Box(0.0, 1.0, (1,), np.float32), "tank_1": Discrete(2)},
        "text": {"scout_0": Tuple((Discrete(2),)), "tank_0": Discrete(2), "tank_1": Discrete(2)},
        "huge": {"scout_0": MultiDiscrete([8] * 30), "tank_0": Discrete(2), "tank_1": Discrete(2)},
        "endless": dict.fromkeys(("scout_0", "tank_0", "tank_1"), Box(-np.inf, np.inf, (1,), np.float32)),
    }
    seen = {
        "scout_0": Box(-1.0, 1.0, (2,), np.float32),
        "tank_0": Box(0, 9, (1, 3), np.uint8),
        "tank_1": Discrete(4),
    }

    def __init__(self, kind: str = "choice", shape: int = 2) -> None:
        self.doing, self.shape = self.kinds[kind], shape
        self.possible_agents = list(self.doing)
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Any:
        return self.seen[agent]

    def action_space(self, agent: str) -> Any:
        return self.doing[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.clock = self.possible_agents[:], 0
        return self.look(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        for agent, action in actions.items():
            assert self.doing[agent].contains(action), (agent, action)
        self.last, self.clock = actions, self.clock + 1
        over = self.clock >= 5
        acted, self.agents = self.agents, [] if over else self.agents
        paid = dict.fromkeys(acted, 1.0)
        return self.look(), paid, dict.fromkeys(acted, False), dict.fromkeys(acted, over), {a: {} for a in acted}

    def look(self) -> dict[str, Any]:
        return {"scout_0": np.full(self.shape, 0.5), "tank_0": np.array([[1, 2, 3]], np.uint8), "tank_1": 3}


class Masked(ParallelEnv):
    """Allows only the action `clock % 3`; `where` it says so: "infos", "dict" or, except with seed 0, "late".

    Agent 1 is told that nothing is allowed.
    """

    metadata = {"name": "masked_v0"}

    def __init__(self, where: str = "infos", length: int = 3) -> None:
        self.where, self.length = where, length
        self.possible_agents = ["agent_0", "agent_1"]
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Any:
        seen = Box(0.0, 99.0, (1,), np.float32)
        return Dict(observation=seen, action_mask=MultiBinary(3)) if self.where == "dict" else seen

    def action_space(self, agent: str) -> Discrete:
        return Discrete(3)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.clock, self.seed = self.possible_agents[:], 0, seed
        return self.look()

    def step(self, actions: dict[str, Any]) -> Any:
        if self.where != "late":
            assert actions["agent_0"] == self.clock % 3
        self.clock += 1
        over = self.clock >= 7
        acted, self.agents = self.agents, [] if over else self.agents
        seen, infos = self.look()
        return seen, dict.fromkeys(acted, 1.0), dict.fromkeys(acted, False), dict.fromkeys(acted, over), infos

    def look(self) -> Any:
        seen, infos = {}, {}
        for agent in self.possible_agents:
            mask = np.zeros(self.length, np.int8)
            mask[self.clock % 3] = agent == "agent_0"
            told = self.where == "infos" or (self.where == "late" and self.clock > 5 and self.seed)
            number = np.array([self.clock], np.float32)
            seen[agent] = {"observation": number, "action_mask": mask} if self.where == "dict" else number
            infos[agent] = {"action_mask": mask} if told else {}
        return seen, infos


class Leaving(ParallelEnv):
    """Action 0: 0.2, and stay. Action 1: 1, and die. Time limit 10. Best with gamma = 0.9: stay, worth 2.

    An algorithm that mistakes the time limit for death, or the reverse, gets another value. Dead agents keep sending:
    observations that are no numbers, and rewards of a million.
    """

    metadata = {"name": "leaving_v0"}
    limit = 10

    def __init__(self) -> None:
        self.possible_agents = ["agent_0", "agent_1"]
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Box:
        return Box(0.0, 1.0, (1,), np.float32)

    def action_space(self, agent: str) -> Discrete:
        return Discrete(2)

    def pay(self, action: int) -> tuple[float, bool]:
        """Returns the reward of an action, and whether it kills."""
        return (1.0, True) if action == 1 else (0.2, False)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.clock = self.possible_agents[:], 0
        self.earned = 0.0
        return {agent: np.ones(1, np.float32) for agent in self.agents}, self.told()

    def step(self, actions: dict[str, Any]) -> Any:
        self.clock += 1
        every, acted = self.possible_agents, self.agents
        seen = {agent: np.full(1, np.nan, np.float32) for agent in every}
        paid, dies = dict.fromkeys(every, 1e6), dict.fromkeys(every, True)
        for agent in acted:
            seen[agent] = np.ones(1, np.float32)
            paid[agent], dies[agent] = self.pay(int(actions[agent]))
            self.earned += paid[agent]
        over = self.clock >= self.limit
        stops = dict.fromkeys(every, over)
        self.agents = [] if over else [agent for agent in acted if not dies[agent]]
        return seen, paid, dies, stops, self.told()

    def told(self) -> dict[str, Any]:
        return {agent: {"metrics": {"return": self.earned}} for agent in self.possible_agents}


class Endless(Leaving):
    """Pays 1 a step for any action; the time limit is 5."""

    limit = 5

    def pay(self, action: int) -> tuple[float, bool]:
        return 1.0, False


class Breaks(Scripted):
    """Fails by `how`, "raise", "exit" or "kill", when agent 0 takes action 3 from step 5 of an episode on.

    Not with seed 0, with which it is looked at.
    """

    def __init__(self, how: str = "raise", **options: Any) -> None:
        super().__init__(**options)
        self.how = how

    def step(self, actions: dict[str, Any]) -> Any:
        if actions.get("agent_0") == 3 and self.clock >= 5 and self.seed:
            if self.how == "exit":
                os._exit(7)
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ArithmeticError("the sky\nis falling")
        return super().step(actions)


class Painted(Scripted):
    """Agents observe a picture of the clock and the agent: (32, 48, 3), or (32, 48) in gray."""

    def __init__(self, gray: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.gray = gray

    def observation_space(self, agent: str) -> Box:
        return Box(0, 255, (32, 48) if self.gray else (32, 48, 3), np.uint8)

    def seen(self, agents: list[str]) -> dict[str, Any]:
        pictures = {}
        for agent in agents:
            picture = np.zeros((32, 48, 3), np.uint8)
            picture[: 4 * self.clock + 4, :, 0] = 200
            picture[:, : 6 * self.possible_agents.index(agent) + 6, 1] = 100
            pictures[agent] = picture[:, :, 0] if self.gray else picture
        return pictures


class Single(gymnasium.Env):
    """Has episodes of `least` to `most` steps, drawn from the seed; pays 1 a step, and ends in death."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, least: int = 2, most: int = 9, n_copies: int = 0, render_mode: str | None = None) -> None:
        self.observation_space = Box(0.0, 99.0, (2,), np.float32)
        self.action_space = Discrete(2)
        self.least, self.most, self.render_mode = least, most, render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.length, self.clock = int(self.np_random.integers(self.least, self.most + 1)), 0
        return np.array([self.length, 0], np.float32), {}

    def step(self, action: Any) -> Any:
        assert self.clock < self.length, "stepped after its end"
        self.clock += 1
        return np.array([self.length, self.clock], np.float32), 1.0, self.clock >= self.length, False, {}

    def render(self) -> Any:
        return np.full((8, 12, 3), self.clock, np.uint8)


class Listed(gymnasium.Env):
    """Three agents in lists as in RWARE, or, with `apart`, with endings agent by agent: agent i dies at step 2 + i."""

    metadata = {"render_modes": []}

    def __init__(self, apart: bool = False) -> None:
        self.observation_space = Tuple([Box(0.0, 99.0, (2,), np.float32)] * 3)
        self.action_space = Tuple([Discrete(3)] * 3)
        self.apart = apart

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.clock = 0
        return self.look(), {"cost": [0.0] * 3}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        self.clock += 1
        ends: Any = [self.clock >= 2 + i for i in range(3)] if self.apart else self.clock >= 4
        return self.look(), [float(a) for a in action], ends, False, {"cost": [0.0, 1.0, 2.0]}

    def look(self) -> Any:
        return tuple(np.array([i, self.clock], np.float32) for i in range(3))


class Turns(AECEnv):
    """A turn-based game, which cannot be trained on."""

    metadata = {"name": "turns_v0", "is_parallelizable": False}
    possible_agents = ["player_0"]


class Dies(Scripted):
    """Ends its process when it is reset."""

    def __init__(self, dies: bool = False) -> None:
        super().__init__()
        self.dies = dies

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        if self.dies:
            os._exit(9)
        print("hello")
        return super().reset(seed, options)


def swallows(**options: Any) -> Scripted:
    """Takes any key, so that its keys cannot be checked."""
    return Scripted(n=options.get("count", 3))


def parallel_env(**options: Any) -> Scripted:
    """Takes any key and passes it on, as the constructors in PettingZoo's modules do."""
    return raw_env(**options)


raw_env = Scripted
