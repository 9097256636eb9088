"""Odd foreign environments: kinds that users have tried, each as small as it can be.

Worker processes import this module, so it needs nothing but PettingZoo and Gymnasium.
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any

import numpy as np
from foreign_toys import Scripted
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space, Tuple
from odd_gymnasium_toys import DrawsInMode as DrawsInMode
from odd_gymnasium_toys import FilmedBehind as FilmedBehind
from odd_gymnasium_toys import Fractions as Fractions
from odd_gymnasium_toys import Grid as Grid
from odd_gymnasium_toys import Keyed as Keyed
from odd_gymnasium_toys import Lists as Lists
from odd_gymnasium_toys import ListsInMode as ListsInMode
from odd_gymnasium_toys import OldSingle as OldSingle
from odd_gymnasium_toys import PlainLists as PlainLists
from odd_gymnasium_toys import Robot as Robot
from odd_gymnasium_toys import Same as Same
from odd_gymnasium_toys import Silent as Silent
from odd_gymnasium_toys import Traffic as Traffic
from pettingzoo import ParallelEnv


class Team(ParallelEnv):
    """Two agents for four steps; each subclass makes one thing odd."""

    metadata = {"name": "team_v0"}
    seen: Any = Box(0.0, 9.0, (2, 3), np.float32)
    done: Any = Discrete(2)

    def __init__(self) -> None:
        self.possible_agents = ["agent_0", "agent_1"]
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Any:
        return self.seen

    def action_space(self, agent: str) -> Any:
        return self.done

    def look(self) -> Any:
        return np.arange(6, dtype=np.float32).reshape(2, 3)

    def pay(self) -> Any:
        return 1.0

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.clock = self.possible_agents[:], 0
        return {agent: self.look() for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        self.clock += 1
        acted = self.agents
        self.agents = [] if self.clock >= 4 else acted
        every = dict.fromkeys
        looks = {agent: self.look() for agent in acted}
        return (
            looks,
            every(acted, self.pay()),
            every(acted, False),
            every(acted, not self.agents),
            {a: {} for a in acted},
        )


class Clashing(Team):
    """Reports a metric with the name of one of our columns."""

    def step(self, actions: dict[str, Any]) -> Any:
        *rest, infos = super().step(actions)
        return *rest, {agent: {"metrics": {"return": 70.0}} for agent in infos}


class Turned(Team):
    """Shows (3, 2) where (2, 3) is declared."""

    def look(self) -> Any:
        return super().look().T


class Flat(Team):
    """Shows (6,) where (2, 3) is declared."""

    def look(self) -> Any:
        return super().look().reshape(-1)


class Column(Team):
    """Shows (2, 3, 1) where (2, 3) is declared, which is unambiguous."""

    def look(self) -> Any:
        return super().look()[:, :, None]


class TurnedLater(Team):
    """Transposes its observations, but not with the first seeds, which the first look uses."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.turned = bool(seed) and seed != 1_234_567_890
        return super().reset(seed, options)

    def look(self) -> Any:
        return super().look().T if self.turned else super().look()


class TurnedInside(Team):
    """Transposes an entry of a `Dict` in a `Tuple`."""

    seen = Tuple((Discrete(2), Dict(map=Box(0.0, 9.0, (2, 3), np.float32))))

    def look(self) -> Any:
        return 1, {"map": super().look().T}


class Beyond(Team):
    """Shows -1 of a `Discrete(4)`, which as an index would count from the end."""

    seen = Discrete(4)

    def look(self) -> Any:
        return -1


class Lacks(Team):
    """Leaves out an entry."""

    seen = Dict(here=Discrete(2), there=Discrete(2))

    def look(self) -> Any:
        return {"here": 1}


class Words(Team):
    """Shows a mission in words beside numbers, as MultiGrid and BabyAI do; a `Space` itself has no fixed length."""

    seen = Dict(image=Box(0.0, 9.0, (2, 3), np.float32), mission=Space())

    def look(self) -> Any:
        return {"image": super().look(), "mission": "go there"}


class Sideways(Team):
    """Declares pictures of (20, 30) and shows (30, 20), which resizing would hide."""

    seen = Box(0, 255, (20, 30, 3), np.uint8)

    def look(self) -> Any:
        return np.zeros((30, 20, 3), np.uint8)


class StateTurns(Team):
    """Its state is (2, 3) at first and (3, 2) later."""

    def state(self) -> Any:
        return np.full((2, 3) if self.clock < 2 else (3, 2), self.clock, np.float32)


class Vector(Team):
    """Pays a vector of three rewards."""

    def pay(self) -> Any:
        return np.ones(3)


class Word(Team):
    """Pays in words."""

    def pay(self) -> Any:
        return "much"


class OneForAll(Team):
    """A `ParallelEnv` that gives one reward, which PettingZoo does not allow."""

    def step(self, actions: dict[str, Any]) -> Any:
        looks, _, *rest = super().step(actions)
        return looks, 1.0, *rest


class Four(Team):
    """Returns four things, as before 2022."""

    def step(self, actions: dict[str, Any]) -> Any:
        looks, paid, died, _, infos = super().step(actions)
        return looks, paid, died, infos


class NoInfos(Team):
    """Its `reset()` returns observations only."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed, options)[0]


class Told(Team):
    """Returns something odd, an info or an ending, as `what` says."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def step(self, actions: dict[str, Any]) -> Any:
        looks, paid, died, stopped, infos = super().step(actions)
        odd: Any = {"none": None, "costs": {"cost": [1.0, 2.0]}, "team": {"team_reward": "much"}}
        infos["agent_1"] = odd.get(self.what, {})
        if self.what == "flags":
            died["agent_0"] = np.zeros(2, bool)
        if self.what == "blind":
            del looks["agent_1"]
        return looks, paid, died, stopped, infos


class FewSeeds(Team):
    """Has ten maps, and takes their numbers as seeds."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        assert seed is None or seed < 10, "seed should be in [0:10)"
        return super().reset(seed, options)


def older(name: str) -> Any:
    """Returns an instance of a class as in the older gym."""
    return type(name, (), {"__module__": f"gym.spaces.{name.lower()}"})()


class OlderSpaces(Team):
    """Spaces of the older gym."""

    seen = older("Box")


class OlderActions(Team):
    done = older("Discrete")


class NoSpace(Team):
    seen = None


class Shuts(Team):
    """`close()` fails: by `how`, "raise", "exit", "kill", "missing" or, after a mistake, "refused"."""

    def __init__(self, how: str = "raise") -> None:
        super().__init__()
        self.how = how

    def __getattribute__(self, name: str) -> Any:
        if name == "close" and super().__getattribute__("how") == "missing":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def pay(self) -> Any:
        return np.ones(3) if self.how == "refused" else 1.0

    def close(self) -> None:
        if self.how == "exit":
            sys.exit(3)
        if self.how in ("kill", "refused"):
            os._exit(3)
        raise OSError("there is no window")


class Asserts(Team):
    """An assertion without a message."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        assert self.agents, []
        return super().reset(seed, options)


class Exits(Team):
    def __init__(self) -> None:
        sys.exit("no licence")


class Fails(Team):
    """Raises a `ValueError` of its own, of two lines."""

    def step(self, actions: dict[str, Any]) -> Any:
        raise ValueError("the door\nis shut")


class Panic(BaseException):
    """Raises as Rust's panics do: not an `Exception`."""


class Panics(Team):
    def step(self, actions: dict[str, Any]) -> Any:
        raise Panic("index out of bounds")


class Named(Team):
    """Takes keys with the names of arguments of our own functions."""

    def __init__(self, name: str = "", n_worlds: int = 0, stagger: bool = False, id: str = "") -> None:  # noqa: A002
        super().__init__()
        assert (name, n_worlds, stagger, id) == ("maze", 3, True, "x"), (name, n_worlds, stagger, id)


class Loose:
    """Subclasses nothing, and has spaces as attributes, as RLlib's multi-agent environments do."""

    possible_agents = ("a", "b")
    observation_spaces = dict.fromkeys("ab", Box(0.0, 9.0, (1,), np.float32))
    action_spaces = dict.fromkeys("ab", Discrete(2))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.clock = 0
        return dict.fromkeys("ab", np.zeros(1, np.float32)), {}

    def step(self, actions: Any) -> Any:
        assert set(actions) == {"a", "b"}
        self.clock += 1
        seen = dict.fromkeys("ab", np.full(1, self.clock, np.float32))
        return seen, dict.fromkeys("ab", 1.0), {"__all__": False}, {"__all__": self.clock >= 3}, {}


class OldGym(type("Env", (), {"__module__": "gym.core"})):
    """An environment of the older gym."""

    def step(self, action: Any) -> Any:
        return 0, 0.0, False, {}


class Crowd(Team):
    """Its agents are a set, whose order differs from process to process."""

    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = {f"agent_{i}" for i in range(6)}  # pyright: ignore

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.clock = sorted(self.possible_agents), 0
        return {agent: self.look() for agent in self.agents}, {agent: {} for agent in self.agents}


class OnceOnly(Team):
    """Fails when a second one is built in the same process, as with one engine for all."""

    count = 0

    def __init__(self, most: int = 1) -> None:
        super().__init__()
        type(self).count += 1
        assert self.count <= most, "there is one engine only"


class Filmed(Scripted):
    """Records how it was built; with `render_mode` it fails in `reset()` by `how`: "raise" or "kill"."""

    def __init__(self, how: str = "", render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.how = how

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        if self.render_mode and self.how == "kill":
            os._exit(5)
        if self.render_mode and self.how == "raise":
            raise RuntimeError("there is no screen")
        return super().reset(seed, options)


class FilmedLater(Filmed):
    """Ends its process when it draws the third picture of an episode."""

    def render(self) -> Any:
        if self.clock == 2:
            os._exit(6)
        return super().render()


class Choosy(Team):
    """Has numbers in every kind of space, for comparison with Gymnasium's own flattening."""

    seen = Dict(
        a=Discrete(3, start=-1),
        b=MultiDiscrete(np.array([[2, 3], [4, 2]])),
        c=Tuple((Box(-1.0, 1.0, (2, 2), np.float32), Discrete(2))),
        d=Dict(e=Box(0, 9, (), np.int64)),
    )

    def look(self) -> Any:
        return self.seen.sample()


inner = types.ModuleType("odd_toys.not_its_name")
inner.parallel_env = Team  # pyright: ignore[reportAttributeAccessIssue] - a module that is an attribute only
an_instance = Team()


class Outer:
    """Has a class as its attribute."""

    Inner = Team
