"""One case of `stepping.py`, in a process of its own, which measures when it is asked.

    python benchmarks/stepping_cases.py NAME CORE

It runs under this clone's Python for Coterie and under a peer's own Python for a peer, so it imports only the standard
library and the environment. It reads a number of seconds per line, steps for that long, and answers with a line of
JSON. Actions are random and drawn beforehand; episodes that end are reset, and the time for that counts.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

PREPARED = 100
"""Joint actions drawn beforehand, used in turn again and again."""


class Case(NamedTuple):
    """Worlds to step."""

    advance: Callable[[], object]
    """One step of all worlds."""
    worlds: int
    agents: float
    """In each world; where most have not come yet or have left, those that live, on average."""
    clock: Any = None
    """A `parts.Clock`, where parts are wanted."""


def vector(task: str, worlds: int = 64, *, name: str = "warehouse", parts: bool = False) -> Case:
    """Coterie's `VectorView`, which training steps."""
    import numpy as np

    clock = _parts() if parts else None
    env = importlib.import_module("envs").vector(name, worlds, task, stagger=True)
    env.reset(0)
    agents, chance = len(env.agents), np.random.default_rng(0)
    if hasattr(env.action_space, "n"):
        drawn = chance.integers(env.action_space.n, size=(PREPARED, worlds, agents))
    else:
        size = (PREPARED, worlds, agents, *env.action_space.shape)
        drawn = chance.uniform(env.action_space.low, env.action_space.high, size).astype(np.float32)
    actions = itertools.cycle(list(drawn))
    return Case(lambda: env.step(next(actions)), worlds, agents, clock)


def live(task: str, worlds: int = 64, *, name: str) -> Case:
    """As `vector`, where agents come and go: only those count that live, on average over two episodes' time."""
    np = importlib.import_module("numpy")
    env = importlib.import_module("envs").vector(name, worlds, task, stagger=True)
    alive = env.reset(0).alive
    chance = np.random.default_rng(0)
    drawn = itertools.cycle(list(chance.integers(env.action_space.n, size=(PREPARED, *alive.shape))))
    counts = []
    for _ in range(2 * env.max_steps):
        counts.append(int(alive.sum()))
        alive = env.step(next(drawn))[1].alive
    counts = counts[env.max_steps :]  # by then worlds are at all ages
    return Case(lambda: env.step(next(drawn)), worlds, round(sum(counts) / len(counts) / worlds, 2))


def dicts(task: str, *, name: str = "warehouse", parts: bool = False) -> Case:
    """Coterie as a PettingZoo `ParallelEnv`, one world, dictionaries in and out."""
    clock = _parts() if parts else None
    env = importlib.import_module("envs").parallel_env(name, task)
    return _pettingzoo(env)._replace(clock=clock)


def mpe2(agents: int) -> Case:
    """MPE's simple_spread, the PettingZoo parallel API."""
    return _pettingzoo(importlib.import_module("mpe2.simple_spread_v3").parallel_env(N=agents))


def rware(name: str) -> Case:
    """RWARE, the Gymnasium API with a tuple of actions."""
    importlib.import_module("rware")  # registers its environments
    env = importlib.import_module("gymnasium").make(name, disable_env_checker=True)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = itertools.cycle([env.action_space.sample() for _ in range(PREPARED)])

    def advance() -> None:
        _, _, terminated, truncated, _ = env.step(next(actions))
        if terminated or truncated:
            env.reset()

    return Case(advance, 1, env.unwrapped.n_agents)


def puffer_rware(worlds: int, agents: int = 8) -> Case:
    """PufferLib's RWARE in C, arrays in and out. It never ends an episode, and its seeds are the time of day."""
    np = importlib.import_module("numpy")
    site = Path(sys.prefix) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    found = next((site / "pufferlib" / "ocean" / "rware").glob("cy_rware*.so"))
    # The package itself imports much that it needs for training only. Without the flag, the C library's old function
    # `step` would be called instead of the environment's.
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
    spec = importlib.util.spec_from_file_location("cy_rware", found)
    assert spec is not None
    assert spec.loader is not None
    kernel = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kernel)
    rows, entries, small, requests = worlds * agents, 27, 2, 8
    obs, action = np.zeros((rows, entries), np.float32), np.zeros(rows, np.int32)
    reward, done = np.zeros(rows, np.float32), np.zeros(rows, np.uint8)
    env = kernel.CyRware(obs, action, reward, done, worlds, 0, 0, small, agents, requests, 0, 0)
    env.reset()
    drawn = np.random.default_rng(0).integers(5, size=(PREPARED, rows)).astype(np.int32)
    actions = itertools.cycle(list(drawn))

    def advance() -> Any:
        action[:] = next(actions)
        env.step()
        return obs, reward, done  # the environment writes into them, but does not keep them alive

    before = obs.copy()
    advance()
    assert (obs != before).any()
    return Case(advance, worlds, agents)


def highway(agents: int) -> Case:
    """highway-env's multi-agent intersection, the Gymnasium API with a tuple of actions; other traffic is in it too."""
    importlib.import_module("highway_env")  # registers its environments
    gymnasium = importlib.import_module("gymnasium")
    config = {"controlled_vehicles": agents}
    env = gymnasium.make("intersection-multi-agent-v0", config=config, disable_env_checker=True)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = itertools.cycle([env.action_space.sample() for _ in range(PREPARED)])

    def advance() -> None:
        _, _, terminated, truncated, _ = env.step(next(actions))
        if terminated or truncated:
            env.reset()

    return Case(advance, 1, agents)


def vmas(worlds: int, agents: int = 8, max_steps: int = 500) -> Case:
    """VMAS navigation (lidar, collisions), vectorised in torch on the CPU, continuous actions as it is by default."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    make_env = importlib.import_module("vmas").make_env
    env = make_env("navigation", num_envs=worlds, device="cpu", seed=0, n_agents=agents)
    env.reset()
    drawn = [[env.get_random_action(agent) for agent in env.agents] for _ in range(PREPARED)]
    actions, steps = itertools.cycle(drawn), itertools.count(1)

    def advance() -> None:
        env.step(next(actions))
        if next(steps) % max_steps == 0:
            env.reset()

    return Case(advance, worlds, agents)


CASES: dict[str, Callable[[], Case]] = {
    **{f"vector {task}": partial(vector, task) for task in ("small-4", "medium-8", "large-16", "huge-64")},
    "spread": partial(vector, "spread-3", 1024, name="spread"),
    "intersection cross-8": partial(vector, "cross-8", name="intersection"),
    "intersection busy-16": partial(vector, "busy-16", name="intersection"),
    "signals grid-2x2": partial(vector, "grid-2x2", name="signals"),
    "signals grid-4x4": partial(vector, "grid-4x4", name="signals"),
    "signals grid-4x4, 32 worlds": partial(vector, "grid-4x4", 32, name="signals"),  # the caches hold no more
    **{f"edge_market {task}": partial(vector, task, name="edge_market") for task in ("village-8", "city-50")},
    **{
        f"traffic_junction {task}, {worlds} worlds": partial(live, task, worlds, name="traffic_junction")
        for task, worlds in (("easy-1", 1024), ("medium-1", 64), ("hard-1", 64))
    },
    **{f"rovers {task}": partial(vector, task, 256, name="rovers") for task in ("rovers-16", "rovers-32")},
    "dict medium-8": partial(dicts, "medium-8"),
    "dict intersection cross-8": partial(dicts, "cross-8", name="intersection"),
    "dict intersection busy-16": partial(dicts, "busy-16", name="intersection"),
    "dict signals grid-4x4": partial(dicts, "grid-4x4", name="signals"),
    "vector medium-8, parts": partial(vector, "medium-8", parts=True),
    "dict medium-8, parts": partial(dicts, "medium-8", parts=True),
    "RWARE tiny-8ag": partial(rware, "rware-tiny-8ag-v2"),
    "PufferLib RWARE small, 256 worlds": partial(puffer_rware, 256),
    **{f"highway-env intersection, {agents} controlled": partial(highway, agents) for agents in (2, 8)},
    **{f"VMAS navigation, B={worlds}": partial(vmas, worlds) for worlds in (1024, 64, 1)},
    **{f"mpe2 simple_spread, N={agents}": partial(mpe2, agents) for agents in (3, 8)},
}


def measure(case: Case, seconds: float) -> dict[str, Any]:
    """Steps for about that many seconds, and returns the counts."""
    if case.clock is not None:
        case.clock.seconds.clear()
    steps = 0
    begin, cpu = time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - begin) < seconds:
        case.advance()
        steps += 1
    cpu = time.process_time() - cpu
    found = {"steps": steps, "seconds": elapsed, "cpu_seconds": cpu, "worlds": case.worlds, "agents": case.agents}
    if case.clock is not None:
        found["parts"] = dict(case.clock.seconds)
    return found


def main(name: str, core: int) -> None:
    """Answers requests until its input ends."""
    answers = os.fdopen(os.dup(1), "w")  # what a package prints on being imported goes to stderr instead
    os.dup2(2, 1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    case = CASES[name]()
    for line in sys.stdin:
        answers.write(json.dumps(measure(case, float(line))) + "\n")
        answers.flush()


def _pettingzoo(env: Any) -> Case:
    env.reset(seed=0)
    names = list(env.possible_agents)
    chance = random.Random(0)
    n = {name: int(env.action_space(name).n) for name in names}
    drawn = [{name: chance.randrange(n[name]) for name in names} for _ in range(PREPARED)]
    actions = itertools.cycle(drawn)

    def advance() -> None:
        env.step(next(actions))
        if not env.agents:
            env.reset()

    return Case(advance, 1, len(names))


def _parts() -> Any:
    parts = importlib.import_module("parts")
    clock = parts.Clock(time.thread_time)
    parts.wrap_warehouse(clock)
    return clock


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    main(sys.argv[1], int(sys.argv[2]))
