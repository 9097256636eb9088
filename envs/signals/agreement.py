"""Signals that agree on the demand around them: each tells its neighbours what it has come to believe, step by step.

What is agreed on is the demand of each phase: vehicles on the approaches whose movements are green in it, in units of
25 vehicles. Signal i measures m_i and believes x_i, which begins at m_i. In a step

    x_i <- x_i + (m_i - m_i before) + kappa (m_i - x_i)
    x_i <- x_i + sum_j w_ij (x_j - x_i)                      once or several times, j over the neighbours it hears

This is dynamic average consensus (Spanos, Olfati-Saber & Murray 2005) with a pull kappa to one's own measurement. What
i gains by j, j loses by i, so the mean of all x follows the mean of all m. With kappa = 0 every x tends to that mean;
with more, near signals count more than far ones, which makes x the demand around a crossing, and errors fade.

Axes: B worlds, N signals, D neighbours, P phases; [i, j] for i hears j.
"""

from __future__ import annotations

import numpy as np

from ..consensus import averaged, heard_of, lists_of, slots_of
from ..consensus.chance import LOSSES, link_uniform
from ..core import Array
from .config import CONTROL_STEP, Config
from .network import N_MOVEMENTS, N_PHASES, PHASES, Network
from .observe import TIME_SCALE
from .state import State

BELIEVED, MEASURED, SILENT = slice(0, N_PHASES), slice(N_PHASES, 2 * N_PHASES), 2 * N_PHASES
"""Columns of `State.agreement`: x, m, and the steps since it last heard a neighbour."""
N_AGREEMENT = 2 * N_PHASES + 1
"""Number of columns of `State.agreement`."""
N_AGREED = N_PHASES + 1
"""Entries that are added to an observation: x by phase, and how long no neighbour was heard."""
IN_PHASE = np.array([[m in phase for phase in PHASES] for m in range(N_MOVEMENTS)], np.float64)
"""(12, P) 1 where a movement is green in a phase."""


def agreed_names() -> tuple[str, ...]:
    """Returns the names of the entries that are added to an observation, see `envs.core.BatchEnv`."""
    phases = ("north_south", "north_south_left", "east_west", "east_west_left")
    return (*(f"agreed_demand_{phase}" for phase in phases), "agreed_silence")


def links_of(network: Network) -> Array:
    """Returns each signal's neighbours in the grid, (1, N, D) int32, see `envs.consensus.lists_of`."""
    return lists_of(network.distance[None] == 1.0)


def begin_agreement(state: State, obs: Array) -> None:
    """Lets every signal believe what it measures, and writes that into observations; nobody has been heard yet.

    Args:
        state: The first state; `agreement` is written.
        obs: (B, N, O) float32, whose last entries are written.
    """
    demand = _demand(obs)
    state.agreement[..., BELIEVED] = state.agreement[..., MEASURED] = demand
    state.agreement[..., SILENT] = 0.0
    _show(state, obs)


def agree(config: Config, links: Array, state: State, obs: Array, adjacency: Array) -> None:
    """Lets signals measure, tell and hear, and writes what they believe into observations.

    Args:
        config: The configuration.
        links: See `links_of`.
        state: The state after a step; `agreement` holds that of before, and is written.
        obs: (B, N, O) float32 of that state, whose last entries are written.
        adjacency: (B, N, N) bool, who hears whom.
    """
    before, demand = state.agreement, _demand(obs)
    x = before[..., BELIEVED] + demand - before[..., MEASURED]
    x += config.consensus_pull * (demand - x)
    neighbor = np.broadcast_to(links, (len(x), *links.shape[1:])).copy()  # (B, N, D)
    works, heard_any = slots_of(neighbor, adjacency), np.zeros(x.shape[:2], bool)
    for k in range(config.consensus_rounds):
        active = works
        if config.consensus_loss > 0.0:
            counter = state.step.astype(np.uint64) * np.uint64(config.consensus_rounds) + np.uint64(k)
            chance = link_uniform(state.key, counter, LOSSES, neighbor, both_ways=True)
            active = works & (chance >= config.consensus_loss)
        x = averaged(neighbor, active, heard_of(neighbor, x), own_said=x, value=x)
        heard_any |= active.any(axis=2)
    state.agreement[..., BELIEVED], state.agreement[..., MEASURED] = x, demand
    state.agreement[..., SILENT] = np.where(heard_any, 0.0, before[..., SILENT] + 1.0)
    _show(state, obs)


def agreement_metrics(state: State) -> dict[str, Array]:
    """Returns how far signals are from agreeing, and from the truth, (B,) float64 each, in vehicles of a phase.

    `consensus_disagreement` is the root of the mean square over signals and phases of x_i less the mean of all x;
    `consensus_bias` is the mean over phases of how far that mean is from the mean of all m.
    """
    x, m = state.agreement[..., BELIEVED], state.agreement[..., MEASURED]
    mean = x.mean(axis=1, keepdims=True)  # (B, 1, P)
    return {
        "consensus_disagreement": 25.0 * np.sqrt(((x - mean) ** 2).mean(axis=(1, 2))),
        "consensus_bias": 25.0 * np.abs(mean[:, 0] - m.mean(axis=1)).mean(axis=1),
    }


def _demand(obs: Array) -> Array:
    """Returns what signals measure, (B, N, P) float64, of what they observe of their own approaches."""
    seen = obs[..., :N_MOVEMENTS].astype(np.float64) + obs[..., N_MOVEMENTS : 2 * N_MOVEMENTS]
    return seen @ IN_PHASE


def _show(state: State, obs: Array) -> None:
    x = np.maximum(state.agreement[..., BELIEVED], 0.0)
    silence = state.agreement[..., SILENT] * CONTROL_STEP
    obs[..., -N_AGREED:-1] = x / (x + 1.0)
    obs[..., -1] = silence / (silence + TIME_SCALE)
