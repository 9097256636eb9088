"""Computes the team's reward had one agent done its default action, for every agent and world in one batch.

Axes: B worlds, N agents, K = B N replaced agents, one a world of the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ..core import Array, State, take_worlds

S = TypeVar("S", bound=State)
A = TypeVar("A")
"""Actions as the dynamics take them: an array, or a `NamedTuple` of arrays whose first axis is B."""


def without_each(
    advance: Callable[[S, A], tuple[S, Array]],
    replace: Callable[[S, A, Array, Array], None],
    state: S,
    action: A,
    n_agents: int,
    *,
    horizon: int = 1,
    team_reward: Array | None = None,
    left: Array | None = None,
) -> NDArray[np.float32]:
    """Returns G had agent i done its default action, for every agent i.

    Every world is copied once for each agent, and the copies go through the environment's own dynamics as one batch:
    copy k is world `k // N`, in which agent `k % N` does its default action. All other agents keep their actions. With
    a horizon of h > 1 all actions are held for h steps, and the result is G - D_i, where D_i is the sum over these
    steps of the team's reward with agent i's action less that with its default action.

    Args:
        advance: The dynamics: takes a state and actions, and returns the next state and the team's reward (worlds,)
            of the step. It must not write into its arguments.
        replace: Called as `replace(state, action, copy, agent)` with the K copies and the arrays `copy` = 0 ... K - 1
            and `agent` (K,), to index the first two axes with. Writes the default action of agent `agent[k]` into row
            `copy[k]` of `action`, or takes the agent out of `state`; both belong to it.
        state: State of B worlds before the step.
        action: Actions of these worlds, as `advance` takes them.
        n_agents: N.
        horizon: Steps over which actions are held.
        team_reward: (B,) G of the step as it was; needed only for a horizon of more than 1.
        left: (B,) steps to the time limit, this one included; what a longer horizon brings after it does not count.
            None: there is no limit.

    Returns:
        (B, N) float32.
    """
    n_worlds = len(state[0])
    world = np.repeat(np.arange(n_worlds), n_agents)  # (K,)
    copies, chosen = take_worlds(state, world), _of_worlds(action, world)
    replace(copies, chosen, np.arange(len(world)), np.tile(np.arange(n_agents), n_worlds))
    without, actual = np.zeros(len(world)), np.zeros(n_worlds)
    for ahead in range(horizon):
        counts = np.ones(n_worlds, bool) if left is None else left > ahead
        if not counts.any():
            break
        copies, reward = advance(copies, chosen)
        without += np.where(counts[world], reward, 0.0)
        if horizon > 1:
            state, reward = advance(state, action)
            actual += np.where(counts, reward, 0.0)
    without = without.reshape(n_worlds, n_agents)  # (K,) -> (B, N)
    if horizon == 1:
        return without.astype(np.float32)
    if team_reward is None:
        raise ValueError(f"horizon={horizon} needs team_reward: give G of the step, (B,)")
    return (team_reward[:, None] - (actual[:, None] - without)).astype(np.float32)


def _of_worlds(action: A, world: Array) -> A:
    """Returns copies of the actions of these worlds."""
    if isinstance(action, tuple):
        return cast(A, take_worlds(action, world))
    return cast(Any, action)[world]
