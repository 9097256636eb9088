"""The policies to beat. All plan from counts of vehicles (`survey`) and keep to the action mask.

| rule               | the phase that it chooses                                                                   |
|--------------------|---------------------------------------------------------------------------------------------|
| `fixed`            | that of a fixed cycle, Webster's for the peak of demand (`greens`), in step everywhere      |
| `actuated`         | the present one while vehicles are within 40 m of its lines, at most for `LONGEST_GREEN`;   |
|                    | then the next one in the cycle that any vehicle waits for                                   |
| `max-pressure`     | the one with the most vehicles before its lines less those beyond (Varaiya 2013, which      |
|                    | counts queues only; here all vehicles on the road count)                                    |
| `neighbour-demand` | the one with the most vehicles at all crossings, those d crossings away weighted 1 / (d + 1)|

Axes: B worlds, N signals, 12 movements, 4 phases.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from ..core import Array
from .config import CONTROL_STEP, Config
from .env import Signals
from .network import N_MOVEMENTS, PHASES, Network
from .state import PHASE, SINCE, State
from .survey import ARRIVING, NEARBY, QUEUE

SATURATION = 1800.0
"""Saturation flow of a lane, assumed by the fixed plan [vehicles/h]."""
LONGEST_CYCLE = 180.0
"""Longest cycle of the fixed plan [s]."""
LONGEST_GREEN = np.array([40.0, 20.0, 40.0, 20.0])
"""Longest green of each phase under `actuated` [s]."""
SWITCHING_GAIN = 3.0
"""Another phase must be better by this many vehicles to be worth a change; of 1 to 8, 3 served the tasks best."""
IN_PHASE = np.array([[m in phase for phase in PHASES] for m in range(N_MOVEMENTS)], np.float64)
"""(12, 4) 1 where a movement is green in a phase."""

Policy = Callable[[Config, Network, Array, Array, Array], Array]
"""(config, network, counts (B, N, 4, 12), signal (B, N, 6), time [s] (B,)) -> (B, N) phases."""


@functools.lru_cache(maxsize=16)
def greens(config: Config) -> tuple[float, ...]:
    """Returns the green time of each phase in the fixed plan [s].

    Webster 1958, Traffic signal settings, Road Research Technical Paper 39: the cycle is C = (1.5 L + 5) / (1 - Y),
    where L is the time lost in changes and Y the sum over phases of the ratio of flow to saturation flow; each phase
    gets green in proportion to its ratio. Ratios are those at the peak, for the busier of two opposite roads (the mean
    of the larger of two rates). Turning shares are the same everywhere, so the flows of all roads are, too, and one
    plan serves all crossings. A phase and its change last a whole number of control steps.

    A search over greens (10 to 60 s) and offsets (none, or a green wave to the north-east at half to twice the limit)
    found nothing better by more than 1 % on the tasks. No offset was best throughout: traffic is equally dense in both
    directions, and a wave takes from one direction what it gives to the other.
    """
    lost = config.yellow + config.all_red
    flow = config.flow * config.peak / (1.0 + 0.5 * (config.peak - 1.0)) * (1.0 + config.imbalance / 3.0)
    # Shares of a road's flow in its busiest lane.
    on = max((1.0 - config.left_share) / (config.lanes - 1), config.right_share)
    shares = np.array([on, config.left_share] * 2) * flow / SATURATION
    total = shares.sum()
    cycle = min((1.5 * 4.0 * lost + 5.0) / max(1.0 - total, 0.05), LONGEST_CYCLE)
    green = np.maximum((cycle - 4.0 * lost) * shares / total, config.min_green)
    steps = np.ceil((green + lost) / CONTROL_STEP - 1e-9)
    return tuple((steps * CONTROL_STEP - lost).tolist())


def fixed(config: Config, network: Network, counts: Array, signal: Array, time: Array) -> Array:
    """Follows the clock alone."""
    del network, counts
    ends = np.cumsum([green + config.yellow + config.all_red for green in greens(config)])
    phase = np.searchsorted(ends, time % ends[-1], side="right").astype(np.int64)  # (B,)
    return np.repeat(phase[:, None], signal.shape[1], axis=1)  # (B,) -> (B, N)


def actuated(config: Config, network: Network, counts: Array, signal: Array, time: Array) -> Array:
    """Follows the detectors of the own crossing."""
    del network, time
    phase = signal[:, :, PHASE].astype(np.int64)  # (B, N)
    wanted = (counts[:, :, QUEUE] + counts[:, :, NEARBY]) @ IN_PHASE > 0.0  # (B, N, 4)
    used = (counts[:, :, NEARBY] @ IN_PHASE)[_each(phase)] > 0.0  # (B, N)
    green = signal[:, :, SINCE] - config.yellow - config.all_red
    keeps = used & (green < LONGEST_GREEN[phase])
    choice = phase.copy()
    for later in (3, 2, 1):  # the next one in the cycle is written last
        candidate = (phase + later) % len(PHASES)
        choice = np.where(wanted[_each(candidate)], candidate, choice)
    return np.where(keeps, phase, choice)


def max_pressure(config: Config, network: Network, counts: Array, signal: Array, time: Array) -> Array:
    """Scores movements by vehicles before less vehicles beyond the line, both weighted by their turning shares."""
    del time
    share = np.array((config.left_share, 1.0 - config.left_share - config.right_share, config.right_share))
    before = counts[:, :, QUEUE] + counts[:, :, ARRIVING]  # (B, N, 12)
    approach = before.reshape(*before.shape[:2], 4, 3) @ share  # (B, N, 12) -> (B, N, 4), by heading
    movement = np.arange(N_MOVEMENTS)
    heading = (movement // 3 + 1 - movement % 3) % 4  # (12,) on leaving
    following = network.neighbour[:, heading]  # (N, 12) the next crossing, -1 out of the network
    beyond = np.where(following < 0, 0.0, approach[:, following, heading])  # (B, N, 12)
    return _best((before - beyond) @ IN_PHASE, signal)


def neighbour_demand(config: Config, network: Network, counts: Array, signal: Array, time: Array) -> Array:
    """Scores phases by the demand at all crossings, weighted by distance."""
    del config, time
    demand = (counts[:, :, QUEUE] + counts[:, :, ARRIVING]) @ IN_PHASE  # (B, N, 4)
    return _best(np.einsum("ij,bjp->bip", 1.0 / (network.distance + 1.0), demand), signal)


POLICIES: dict[str, Policy] = {
    "fixed": fixed,
    "actuated": actuated,
    "max-pressure": max_pressure,
    "neighbour-demand": neighbour_demand,
}


def _best(score: Array, signal: Array) -> Array:
    """Returns the best phases (B, N) by score (B, N, 4), with a bonus of `SWITCHING_GAIN` for the present one."""
    score = score.copy()
    score[_each(signal[:, :, PHASE].astype(np.int64))] += SWITCHING_GAIN
    return score.argmax(axis=2)


def _each(phase: Array) -> tuple[Array, Array, Array]:
    """Returns the index that picks one phase per signal from an array (B, N, 4)."""
    worlds, signals = np.ogrid[: phase.shape[0], : phase.shape[1]]
    return worlds, signals, phase


def heuristic(env: Signals) -> Callable[[State], Array]:
    """Returns the policy of `Config.rule`: a function from the state of B worlds to actions, (B, N) int64."""
    policy = POLICIES[env.config.rule]

    def act(state: State) -> Array:
        return policy(env.config, env.network, env.counts(state), state.signal, state.step * CONTROL_STEP)

    return act
