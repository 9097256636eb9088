"""Spread: MPE's simple_spread, N agents cover N landmarks without running into each other, many worlds at once.

| property      | value                                                                                     |
|---------------|-------------------------------------------------------------------------------------------|
| import        | `from envs import spread` (clone), `from coterie.envs import spread` (installed)          |
| PettingZoo    | `pettingzoo.make("parallel", "coterie/spread_v0", n_agents=3)`, also `"aec"`              |
| agents        | `agent_0` ... `agent_{N-1}`; N = `n_agents`; as many landmarks                            |
| actions       | `Discrete(5)`, or `Box(0, 1, (5,))` with `continuous=True`                                |
| observations  | `Box(-inf, inf, (6 N,))`                                                                  |
| state         | `Box(-inf, inf, (6 N^2,))`: all agents' observations in a row                             |
| control step  | 0.1 s; the time limit is `max_steps` (25)                                                 |
| agents die    | never                                                                                     |

**The same as mpe2.** Every number is that of `mpe2.simple_spread_v3` 1.1 (tests compare them step by step), the start
included: `reset([seed])` here is `reset(seed=seed)` there. So a policy trained here acts there unchanged, and the other
way round. Its `N` is `n_agents`, its `max_cycles` is `max_steps`, its `continuous_actions` is `continuous`. Not here:
`curriculum`, `terminate_on_success` and `num_..._neighbors`. What differs: actions outside the Box are refused instead
of clipped, and two agents in exactly the same place do not push each other (there, they become NaN).

**The world.** Agents are discs of radius 0.15 and mass 1 in an open plane; a landmark is a point. All start uniformly
in the square [-1, 1] x [-1, 1], at rest. In a step an agent moves by 0.1 s times the velocity it has; then its velocity
loses a quarter and gains 0.1 s times the force: up to 5 along each axis from its action, and 100 times the depth by
which it overlaps another agent (an onset smoothed over 0.001). So an action first moves an agent in the next step.

**Actions**, discrete: 0 nothing, 1 left (-x), 2 right (+x), 3 down (-y), 4 up (+y), each a force of 5. Continuous: the
same five as shares from 0 to 1; left and right subtract, so do down and up, and the first has no effect.

**Observation**, per agent, in the world's units, unbounded:

| index             | meaning                                                                              |
|-------------------|--------------------------------------------------------------------------------------|
| 0, 1              | its velocity x, y [1/s]                                                              |
| 2, 3              | its position x, y                                                                    |
| 4 ...             | for each landmark in order: x, y relative to it                                      |
| 4 + 2 N ...       | for each other agent in order: x, y relative to it                                   |
| 2 + 4 N ...       | 2 (N - 1) zeros, where MPE has what the others say; here nobody speaks               |

**Reward** of agent i: -(1 - `local_ratio`) d - `local_ratio` c_i, where d is the sum over landmarks of the distance to
the nearest agent, the same for all, and c_i how many others agent i overlaps, itself not counted. The team reward G is
the sum over agents. **Cost**: c_i. **Counterfactual** (`counterfactual="absent"`): G of the others, had agent i not
been there. There is no `"stop"`: an action moves nobody before the next step, so that would change nothing.

**Scales.** The return of 25 steps is reported as the mean over agents (`return` in this suite's tables; mpa; BenchMARL)
or as their sum, N times that (`team_return`; EPyMARL, JaxMARL). on-policy's variant also counts every agent's collision
with itself: its numbers do not compare.

**Metrics**, over the episode so far: `collisions`, pairs of overlapping agents, summed over steps; `landmark_distance`,
from a landmark to its nearest agent, mean over steps and landmarks; `covered_share` of landmarks with an agent's centre
within 0.1, mean over steps; `covered_now` is that share at this moment. At the start there are no steps to take a mean
over: NaN, "-" in tables, and left out of means.

**Tasks**: `spread-3` (default), `spread-5`, `spread-10`: so many agents.

**Arguments** are the fields of `Config`, documented there.

**Versions.** 0: first.

Axes in the code: B worlds, N agents, L landmarks, O observation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from . import aec_env, core, parallel_env
from .core import Array
from .kit.actions import checked
from .kit.fields import shown
from .kit.kernels import kernel
from .kit.seeding import uniform

VERSION = 0
TIME_STEP, DAMPING, THRUST = 0.1, 0.25, 5.0
"""Length of a step [s], share of the velocity lost in it, force of an action."""
RADIUS, CAPTURE = 0.15, 0.1
"""Of an agent, and how near its centre must be to cover a landmark."""
STIFFNESS, MARGIN = 100.0, 1e-3
"""Force per depth of an overlap, and the length over which its onset is smoothed."""
REACH = 2 * RADIUS + 40 * MARGIN
"""Beyond this distance contact forces are below the rounding of float64 and not computed."""
ACTIONS = ("nothing", "left", "right", "down", "up")
"""The five discrete actions, in order."""
MEANING = f"shares of {', '.join(ACTIONS)}"
FORCES = THRUST * np.array([[0.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])  # (5, 2), by action


@dataclass(frozen=True)
class Config:
    """One spread. Every field is an argument of `envs.make("spread", ...)` and an option `--env.FIELD`."""

    n_agents: int = 3
    """Agents, and as many landmarks."""
    local_ratio: float = 0.5
    """Weight of an agent's own collisions in its reward; the common distance has the rest."""
    continuous: bool = False
    """Box(5) shares of the five actions instead of Discrete(5)."""
    max_steps: int = 25
    """Time limit [steps of 0.1 s]."""
    counterfactual: Literal["none", "absent"] = "none"
    """Fill `Step.counterfactual`: the others' reward had the agent not been there."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for values that make no world."""
        whole, number, flag = (int, np.integer), (int, float, np.integer, np.floating), (bool, np.bool_)
        for name, kinds, low, high in (
            ("n_agents", whole, 1, 1000),
            ("local_ratio", number, 0, 1),
            ("max_steps", whole, 1, 1_000_000),
        ):
            value = getattr(self, name)
            if isinstance(value, flag) or not isinstance(value, kinds) or not low <= value <= high:
                kind = "whole number" if kinds == whole else "number"
                raise ValueError(f"{name}={shown(value)} is not allowed: give a {kind} from {low} to {high}")
        if not isinstance(self.continuous, flag):
            raise ValueError(f"continuous={self.continuous!r} is not allowed: give True or False")
        if self.counterfactual not in ("none", "absent"):
            raise ValueError(f"counterfactual={self.counterfactual!r} is not known: give one of none, absent")


DEFAULT_TASK = "spread-3"
TASKS = {f"spread-{n}": Config(n_agents=n) for n in (3, 5, 10)}


class State(NamedTuple):
    """B worlds."""

    step: Array  # (B,) int32
    position: Array  # (B, N, 2)
    velocity: Array  # (B, N, 2)
    landmark: Array  # (B, L, 2)
    totals: Array  # (B, 3), what `judge` measures, summed over the episode's steps


class Spread:
    """B worlds of N agents and landmarks. See the module's docstring for everything a user needs to know."""

    name = f"spread_v{VERSION}"
    step_seconds = TIME_STEP
    headline_metrics = ("landmark_distance", "collisions")

    def __init__(self, config: Config) -> None:
        n = config.n_agents
        self.config = config
        self.agents = tuple(f"agent_{i}" for i in range(n))
        self.max_steps = config.max_steps
        self.observation_space = Box(-np.inf, np.inf, (6 * n,), np.float32)
        self.state_space = Box(-np.inf, np.inf, (6 * n * n,), np.float32)
        self.action_space: Box | Discrete = Box(0.0, 1.0, (5,), np.float32) if config.continuous else Discrete(5)

    def reset(self, seeds: Sequence[int]) -> tuple[State, core.Step]:
        """Starts `len(seeds)` worlds; see `envs.core.BatchEnv.reset`."""
        worlds, n = len(seeds), self.config.n_agents
        start = 2.0 * uniform(seeds, 4 * n).reshape(worlds, 2 * n, 2) - 1.0  # what mpe2 draws from the same seed
        state = State(
            step=np.zeros(worlds, np.int32),
            position=start[:, :n].copy(),
            velocity=np.zeros((worlds, n, 2)),
            landmark=start[:, n:].copy(),
            totals=np.zeros((worlds, 3)),
        )
        *_, now = judge(state.position, state.landmark, self.config.local_ratio)
        nothing = np.zeros((worlds, n))
        return state, self._show(state, nothing, nothing[:, 0], nothing, now)

    def step(self, state: State, action: Array) -> tuple[State, core.Step]:
        """Advances every world by 0.1 s; see `envs.core.BatchEnv.step`."""
        position, velocity = move(state.position, state.velocity, self._forces(state, action))
        reward, team_reward, cost, now = judge(position, state.landmark, self.config.local_ratio)
        after = State(state.step + np.int32(1), position, velocity, state.landmark, state.totals + now)
        step = self._show(after, reward, team_reward, cost, now)
        if self.config.counterfactual == "absent":
            step = step._replace(counterfactual=self._without(after))
        return after, step

    def counterfactual(self, state: State, action: Array) -> NDArray[np.float32]:
        """G over the others had agent i not been there, for every i: (B, N)."""
        position, _ = move(state.position, state.velocity, self._forces(state, action))
        return self._without(state._replace(position=position))

    def render(self, state: State, world: int = 0) -> NDArray[np.uint8]:
        """Draws one world; see `envs.spread_picture`."""
        from .spread_picture import draw  # pygame is needed for pictures only

        return draw(state, world)

    def between(self, before: State, after: State, share: float) -> State:
        """What to draw of a moment between two successive states: agents on their way, all else as before."""
        return before._replace(position=before.position + share * (after.position - before.position))

    def _forces(self, state: State, action: Array) -> Array:
        """(B, N, 2) force along x and y."""
        alive = np.ones(state.position.shape[:2], bool)
        action = checked(self.action_space, action, alive, MEANING if self.config.continuous else ", ".join(ACTIONS))
        if not self.config.continuous:
            return FORCES[action]
        return THRUST * (action[:, :, 2::2] - action[:, :, 1::2]).astype(np.float64)

    def _show(self, state: State, reward: Array, team_reward: Array, cost: Array, now: Array) -> core.Step:
        obs = look(state.position, state.velocity, state.landmark)
        worlds, n, _ = obs.shape
        past, passed = state.totals, np.where(state.step > 0, state.step, np.nan)  # a mean over no steps is undefined
        return core.Step(
            obs=obs,
            state=obs.reshape(worlds, -1),  # (B, N, O) -> (B, N * O), the same memory
            adjacency=np.tile(~np.eye(n, dtype=bool), (worlds, 1, 1)),
            alive=np.ones((worlds, n), bool),
            action_mask=None,
            reward=reward.astype(np.float32),
            team_reward=team_reward.astype(np.float32),
            counterfactual=None if self.config.counterfactual == "none" else np.zeros((worlds, n), np.float32),
            cost=cost.astype(np.float32),
            terminated=np.zeros((worlds, n), bool),
            truncated=state.step >= self.max_steps,
            metrics={
                "collisions": past[:, 0].copy(),
                "landmark_distance": past[:, 1] / passed,
                "covered_share": past[:, 2] / passed,
                "covered_now": now[:, 2].copy(),
            },
        )

    def _without(self, state: State) -> NDArray[np.float32]:
        """(B, N) G of the others, had agent i not been there."""
        worlds, n, _ = state.position.shape
        others = np.array([[j for j in range(n) if j != i] for i in range(n)], np.intp)  # (N, N - 1)
        position = state.position[:, others].reshape(worlds * n, n - 1, 2)  # (B, N, N - 1, 2) -> (B * N, N - 1, 2)
        _, team_reward, _, _ = judge(position, np.repeat(state.landmark, n, axis=0), self.config.local_ratio)
        return team_reward.reshape(worlds, n).astype(np.float32)  # (B * N,) -> (B, N)


@kernel
def move(position, velocity, force):
    """One step of the discs: new position and velocity, (B, N, 2) each, from the forces of the actions."""
    n_agents = position.shape[1]
    moved, velocity_after = np.empty_like(position), np.empty_like(velocity)
    push = np.empty((n_agents, 2))
    for b in range(len(position)):
        push[:] = force[b]
        for i in range(n_agents):
            for j in range(i + 1, n_agents):
                dx, dy = position[b, i, 0] - position[b, j, 0], position[b, i, 1] - position[b, j, 1]
                square = dx * dx + dy * dy
                if 0.0 < square < REACH * REACH:
                    distance = math.sqrt(square)
                    depth = MARGIN * np.logaddexp(0.0, (2 * RADIUS - distance) / MARGIN)
                    fx, fy = STIFFNESS * dx / distance * depth, STIFFNESS * dy / distance * depth
                    push[i, 0] += fx
                    push[i, 1] += fy
                    push[j, 0] -= fx
                    push[j, 1] -= fy
        for i in range(n_agents):
            for k in range(2):
                moved[b, i, k] = position[b, i, k] + TIME_STEP * velocity[b, i, k]
                velocity_after[b, i, k] = (1 - DAMPING) * velocity[b, i, k] + TIME_STEP * push[i, k]
    return moved, velocity_after


@kernel
def judge(position, landmark, local_ratio):
    """What a moment is worth.

    Returns:
        Reward (B, N), team reward (B,), cost (B, N), and (B, 3): pairs of overlapping agents, mean distance from a
        landmark to the nearest agent, share of landmarks covered.
    """
    n_worlds, n_agents, _ = position.shape
    n_landmarks = landmark.shape[1]
    reward, cost = np.empty((n_worlds, n_agents)), np.zeros((n_worlds, n_agents))
    team_reward, now = np.zeros(n_worlds), np.zeros((n_worlds, 3))
    for b in range(n_worlds):
        away = 0.0
        for k in range(n_landmarks):
            nearest = math.inf
            for i in range(n_agents):
                dx, dy = position[b, i, 0] - landmark[b, k, 0], position[b, i, 1] - landmark[b, k, 1]
                nearest = min(nearest, dx * dx + dy * dy)
            nearest = math.sqrt(nearest)
            away += nearest
            now[b, 2] += (nearest < CAPTURE) / n_landmarks
        now[b, 1] = away / n_landmarks
        for i in range(n_agents):
            for j in range(i):
                dx, dy = position[b, i, 0] - position[b, j, 0], position[b, i, 1] - position[b, j, 1]
                if math.sqrt(dx * dx + dy * dy) < 2 * RADIUS:
                    cost[b, i] += 1.0
                    cost[b, j] += 1.0
                    now[b, 0] += 1.0
        for i in range(n_agents):
            reward[b, i] = -(1 - local_ratio) * away - local_ratio * cost[b, i]
            team_reward[b] += reward[b, i]
    return reward, team_reward, cost, now


@kernel
def look(position, velocity, landmark):
    """Observations (B, N, O) float32."""
    n_worlds, n_agents, _ = position.shape
    n_landmarks = landmark.shape[1]
    obs = np.zeros((n_worlds, n_agents, 4 * n_agents + 2 * n_landmarks), np.float32)
    for b in range(n_worlds):
        for i in range(n_agents):
            x, y = position[b, i, 0], position[b, i, 1]
            obs[b, i, 0], obs[b, i, 1] = velocity[b, i, 0], velocity[b, i, 1]
            obs[b, i, 2], obs[b, i, 3] = x, y
            at = 4
            for k in range(n_landmarks):
                obs[b, i, at], obs[b, i, at + 1] = landmark[b, k, 0] - x, landmark[b, k, 1] - y
                at += 2
            for j in range(n_agents):
                if j != i:
                    obs[b, i, at], obs[b, i, at + 1] = position[b, j, 0] - x, position[b, j, 1] - y
                    at += 2
    return obs


def heuristic(env: Spread) -> Callable[[State], Array]:
    """The policy to beat: every agent drives to the landmark of the best assignment. Nothing is learned.

    The assignment is the one with the least sum of squared distances: short in all, and nobody far behind. It is made
    anew in every step, from where the agents are about to be, which damps the drive as well. Nobody evades.

    Returns:
        A function from the state of B worlds to actions: (B, N) int64, or (B, N, 5) float32 if continuous.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, and only needed here

    look_ahead, deadband, ramp = 0.25, 0.03, 0.15  # [s], and distances; each the best of a coarse grid
    discrete = isinstance(env.action_space, Discrete)

    def act(state: State) -> Array:
        ahead = state.position + look_ahead * state.velocity
        away = state.landmark[:, None] - ahead[:, :, None]  # (B, N, L, 2)
        goal = np.array([linear_sum_assignment(cost)[1] for cost in (away**2).sum(axis=3)])
        error = np.take_along_axis(away, goal[:, :, None, None], axis=2)[:, :, 0]  # (B, N, 2)
        if discrete:
            axis = np.abs(error).argmax(axis=2)
            error = np.take_along_axis(error, axis[:, :, None], axis=2)[:, :, 0]  # (B, N)
            return np.where(np.abs(error) < deadband, 0, 1 + 2 * axis + (error > 0))
        share = np.clip(error / ramp, -1.0, 1.0)
        action = np.zeros((*goal.shape, 5), np.float32)
        action[:, :, 1::2], action[:, :, 2::2] = np.maximum(-share, 0.0), np.maximum(share, 0.0)
        return action

    return act


def build(config: Config) -> Spread:
    """The environment of a configuration."""
    return Spread(config)


parallel_env = partial(parallel_env, "spread")
env = raw_env = partial(aec_env, "spread")
