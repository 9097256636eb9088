"""Measures an algorithm's credit on an environment that can say what would have been.

Some worlds are played, and in some of their moments every agent is made to act otherwise, alone, or while all others do
and it does not. A pure `step` tells what had come of it. See `credit.measures` for the numbers.

Axes: B worlds, N agents, M moments.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box

from ..core import Action, Algorithm, Array, Memory, Obs, StepLike, VectorEnv, memory_for
from ..credit.measures import correlation, factoredness, learnability
from .counterfactuals import OPTION, SHAPLEY
from .evaluation import CHOOSING_SEED, ended_worlds, to_obs

MOMENTS = 8
"""Moments in which agents act otherwise, spread evenly over an episode."""
WORLDS = 8
MOST_AGENTS = 16
"""Agents that act otherwise in a moment; of more, so many are drawn: with all, the time grew as their square."""
ULPS = 4.0
"""Differences of rewards up to so many units in the last place are rounding: rewards are float32."""

Credited = Callable[[Obs, Memory, Action, StepLike], Array | None]
"""Returns an algorithm's credit of each agent in a step, (B, N); None where it has no number for single steps."""


def can_tell(env: VectorEnv) -> bool:
    """Returns whether the dynamics of worlds are pure and give counterfactuals."""
    pure = getattr(env, "env", None)
    return callable(getattr(pure, "counterfactual", None)) and hasattr(type(env), "batch_state")


def measured(
    make_env: Callable[[int], VectorEnv],
    algo: Algorithm,
    *,
    seed: int = CHOOSING_SEED,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """Returns how good an algorithm's credit is, by names such as `credit/factoredness`.

    Args:
        make_env: Makes worlds of an environment that `can_tell`.
        algo: The algorithm.
        seed: See `probe`.
        stop: See `probe`.

    Returns:
        See `probe`; {} also for an algorithm that does not say what it credits.
    """
    credited = getattr(algo, "credited", None)
    if credited is None:
        return {}
    found = probe(make_env(WORLDS), algo.policy, credited, seed=seed, stop=stop)
    return None if found is None else {f"credit/{name}": number for name, number in found.items()}


@torch.no_grad()
def probe(
    env: Any,
    policy: Any,
    credited: Credited,
    *,
    seed: int = CHOOSING_SEED,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """Plays worlds with sampled actions and measures the credit in some moments.

    Args:
        env: B worlds of an environment that `can_tell`; they are reset.
        policy: The policy, see `core.Acting`.
        credited: What the algorithm credits agents with.
        seed: Seed of the worlds, of actions and of alternatives.
        stop: Called before every step; the measures are given up once it returns True.

    Returns:
        `factoredness`, `learnability`, `correlation` with the exact difference, those of them that are defined; {} for
        a rule that has no credit for single steps. None if `stop` came first.
    """
    every = max(env.max_steps // MOMENTS, 1)
    reference = _telling_differences(env.env)
    rng, generator = np.random.default_rng(seed), torch.Generator(policy.device).manual_seed(seed)
    step, started, memory = env.reset(seed), np.ones(env.n_worlds, bool), None
    names = ("by_own", "by_others", "of_team", "credit", "exact", "team_reward")
    found: dict[str, list[Array]] = {name: [] for name in names}
    for moment in range(1, MOMENTS * every + 1):
        if stop():
            return None
        obs = to_obs(step, started)
        before = memory_for(policy, obs, memory, seed)
        action, memory = policy.act(obs, before, generator)
        if moment % every == 0:

            def credit(chosen: Action, came: StepLike, obs: Obs = obs, before: Memory = before) -> Array | None:
                return credited(obs, before, chosen, came)

            other = _otherwise(env.action_space, obs, rng)
            if not _in_a_moment(env, reference, obs, action, other, _some(len(env.agents), rng), credit, found):
                return {}
        final, step = env.step(action)
        started = ended_worlds(final)
    rows = {name: np.concatenate(parts) for name, parts in found.items()}
    if not rows["credit"].size:
        return {}
    largest = max(float(np.abs(rows[name]).max()) for name in ("team_reward", "credit"))
    rounding = ULPS * float(np.finfo(np.float32).eps) * largest
    numbers = {
        "factoredness": factoredness(rows["by_own"], rows["of_team"], rounding=rounding),
        "learnability": learnability(rows["by_own"], rows["by_others"], rounding=rounding),
        "correlation": correlation(rows["credit"], rows["exact"]),
    }
    if getattr(getattr(env.env, "config", None), "horizon", 1) > 1:
        del numbers["factoredness"]  # a credit of several steps cannot be held to the reward of one
    return {name: number for name, number in numbers.items() if np.isfinite(number)}


def _telling_differences(pure: Any) -> Any:
    """Returns dynamics with the same states that tell the team's reward without an agent, not Shapley values."""
    config: Any = getattr(pure, "config", None)
    if getattr(config, OPTION, None) != SHAPLEY:
        return pure
    kinds = typing.get_args(typing.get_type_hints(type(config))[OPTION])
    other = next((kind for kind in kinds if kind not in ("none", SHAPLEY)), None)
    return pure if other is None else type(pure)(dataclasses.replace(config, **{OPTION: other}))


def _in_a_moment(
    env: Any,
    reference: Any,
    obs: Obs,
    action: Action,
    other: Action,
    agents: Array,
    credit: Callable[[Action, StepLike], Array | None],
    found: dict[str, list[Array]],
) -> bool:
    """Adds to `found` what comes of other actions of `agents` in a moment; False: no credit for single steps."""
    pure, state = env.env, env.batch_state
    came = pure.step(state, action)[1]
    now = credit(action, came)
    if now is None:
        return False
    found["team_reward"].append(came.team_reward)
    exact = came.team_reward[:, None] - reference.counterfactual(state, action)  # (B, N)
    for agent in agents:
        there = obs.alive[:, agent]
        alone, rest = action.copy(), other.copy()
        alone[:, agent], rest[:, agent] = other[:, agent], action[:, agent]
        by_alone, by_rest = pure.step(state, alone)[1], pure.step(state, rest)[1]
        own, others = credit(alone, by_alone), credit(rest, by_rest)
        assert own is not None
        assert others is not None
        changed = there & (alone[:, agent] != action[:, agent]).reshape(len(there), -1).any(1)
        found["by_own"].append((own - now)[changed, agent])
        found["by_others"].append((others - now)[changed, agent])
        found["of_team"].append((by_alone.team_reward - came.team_reward)[changed])
        found["credit"].append(now[there, agent])
        found["exact"].append(exact[there, agent])
    return True


def _some(n_agents: int, rng: np.random.Generator) -> Array:
    """Returns the indices of at most `MOST_AGENTS` agents, in order."""
    if n_agents <= MOST_AGENTS:
        return np.arange(n_agents)
    return np.sort(rng.choice(n_agents, MOST_AGENTS, replace=False))


def _otherwise(space: Any, obs: Obs, rng: np.random.Generator) -> Action:
    """Returns actions of chance among those that are allowed, (B, N) int64 or (B, N, A) float32."""
    shape = obs.alive.shape
    if isinstance(space, Box):
        return rng.uniform(space.low, space.high, (*shape, *space.shape)).astype(np.float32)
    keys = rng.random((*shape, int(space.n)))
    if obs.action_mask is not None:
        keys = np.where(obs.action_mask | ~obs.alive[..., None], keys, -1.0)
    return keys.argmax(axis=-1)
