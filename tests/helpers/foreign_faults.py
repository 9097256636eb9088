"""Environments with the faults and habits of foreign code; worker processes import this module.

Telling     metrics that appear late, disappear, come from one agent only, or are not numbers
Unpaid      rewards that are missing, misspelt, not numbers or not finite, observations that are not finite
Limited     reports its time limit as the death of all agents
Registered  the same, list-style, as Gymnasium's registry builds it
Helped      starts a process in its constructor and ends it in `close()`, which may raise
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from foreign_toys import Scripted
from gymnasium.spaces import Box, Discrete, Tuple


class Telling(Scripted):
    """Reports metrics by `scenes`, {name: (first clock, last clock, agents)}; the value of each is the clock.

    With seed 0, which the first look uses, it reports only `early` names.
    """

    def __init__(
        self, scenes: dict[str, tuple[int, int, tuple[int, ...]]], early: tuple[str, ...] = (), **options: Any
    ) -> None:
        super().__init__(**options)
        self.scenes, self.early = scenes, early

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        seen, infos = super().reset(seed=seed)
        return seen, self.tell(infos)

    def step(self, actions: dict[str, Any]) -> Any:
        *rest, infos = super().step(actions)
        return *rest, self.tell(infos)

    def tell(self, infos: dict[str, Any]) -> dict[str, Any]:
        for name, (first, last, agents) in self.scenes.items():
            if first <= self.clock <= last and (self.seed or name in self.early):
                for agent in agents:
                    told = infos.setdefault(f"agent_{agent}", {}).setdefault("metrics", {})
                    told[name] = "words" if name == "words" else float(self.clock + agent)
        return infos


class Unpaid(Scripted):
    """Is faulty for agent 1 from step `clock` of an episode on, in the way `how`, except with seed 0."""

    def __init__(self, how: str, clock: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.how, self.when = how, clock

    def step(self, actions: dict[str, Any]) -> Any:
        seen, paid, dies, stops, infos = super().step(actions)
        if self.clock < self.when or not self.seed:
            return seen, paid, dies, stops, infos
        if self.how in ("missing", "misspelt"):
            value = paid.pop("agent_1", 0.0)
            if self.how == "misspelt":
                paid["agent-1"] = value
        elif self.how == "flag":
            dies["agent-1"], self.agents = True, [agent for agent in self.agents if agent != "agent_1"]
            for told in (dies, stops, seen):
                del told["agent_1"]
        elif self.how == "unseen":
            del seen["agent_1"]
        elif self.how == "vanishes":
            for told in (seen, paid, dies, stops, infos):
                told.pop("agent_1", None)
            self.agents = [agent for agent in self.agents if agent != "agent_1"]
        elif self.how.startswith("see "):
            seen["agent_1"][2] = float(self.how[4:])
        elif self.how.startswith("cost ") or self.how.startswith("team_reward "):
            what, value = self.how.split()
            infos["agent_1"][what] = float(value)
        else:
            paid["agent_1"] = {"vector": np.ones(3), "one": np.array([5.0]), "none": None}.get(self.how, self.how)
            if self.how in ("nan", "inf", "-inf", "1e39"):
                paid["agent_1"] = float(self.how)
        return seen, paid, dies, stops, infos


class Lonely(gymnasium.Env):
    """A single-agent environment that pays `paid` at step 3, but for seed 0; at `limit` it says `flags`."""

    def __init__(self, paid: float = 1.0, limit: int = 0, flags: tuple[bool, bool] = (True, False)) -> None:
        self.observation_space, self.action_space = Box(0.0, 99.0, (1,), np.float32), Discrete(2)
        self.paid, self.flags = paid, flags
        if limit:
            self.max_steps = limit

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.clock, self.seed = 0, seed
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        self.clock += 1
        ends = self.flags if self.clock == getattr(self, "max_steps", 5) else (False, False)
        return np.full(1, self.clock, np.float32), self.paid if self.clock == 3 and self.seed else 1.0, *ends, {}


class Registered(gymnasium.Env):
    """Three agents in lists, all `done` after `max_episode_steps`, which the constructor takes as an argument too."""

    def __init__(self, max_episode_steps: int = 6, other: int = 0) -> None:
        self.observation_space = Tuple([Box(0.0, 99.0, (1,), np.float32)] * 3)
        self.action_space = Tuple([Discrete(2)] * 3)
        self._max_episode_steps, self.other = max_episode_steps, other

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.clock = 0
        return self.look(), {}

    def step(self, action: Any) -> Any:
        self.clock += 1
        return self.look(), [1.0] * 3, self.clock >= self._max_episode_steps, False, {}

    def look(self) -> Any:
        return tuple(np.full(1, self.clock, np.float32) for _ in range(3))


gymnasium.register(id="CoterieRegistered-v0", entry_point="foreign_faults:Registered", kwargs={"max_episode_steps": 6})


class Helped(Scripted):
    """Starts a process, whose id it writes into the file `where`; fails at step 2 of an episode on request."""

    def __init__(self, where: str, breaks: bool = False, close: str = "ends", forks: bool = False) -> None:
        super().__init__()
        self.breaks, self.how = breaks, close
        self.seed = 0
        # In a session of its own only `close()` reaches it; otherwise the process group does.
        self.helper = (
            _Forked()
            if forks
            else subprocess.Popen(
                [sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=close == "ends"
            )
        )
        with Path(where).open("a") as file:
            file.write(f"{self.helper.pid}\n")

    def step(self, actions: dict[str, Any]) -> Any:
        if self.breaks and self.clock == 2 and self.seed:
            raise ArithmeticError("broken")
        return super().step(actions)

    def close(self) -> None:
        if self.how == "raises" and self.seed:
            raise OSError("cannot close")
        if self.how == "ends":
            self.helper.kill()
            self.helper.wait()


class Piped(Helped):
    """Loses its simulator at step 2 of an episode."""

    def step(self, actions: dict[str, Any]) -> Any:
        if self.clock == 2 and self.seed:
            raise BrokenPipeError("the simulator is gone")
        return super().step(actions)


class _Forked:
    """Makes a child by `fork`, which has all descriptors of its parent, among them the pipe to the trainer."""

    def __init__(self) -> None:
        self.pid = os.fork()
        if not self.pid:
            signal.pause()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
