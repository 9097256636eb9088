"""Estimates of the demand at all crossings, agreed on by exchanges between signals.

Estimates follow the means as `envs.consensus.tracking` says, for `robust` without changes. A dark signal keeps its own,
and neither speaks nor relays.

Axes: B worlds, N signals, O observation, P peers, L estimated values.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..consensus.relay import Reach, Talk, agree_with_peers, fill_reach
from ..consensus.tracking import correct, judge
from ..core import Array
from ..kit.kernels import kernel
from .config import CONTROL_STEP, Config, peers
from .lights import is_dark
from .network import Network
from .observe import N_OBS, TIME_SCALE, VEHICLE_SCALE
from .state import BIAS, DISAGREEMENT, EAST_WEST, JUDGED, MESSAGES, N_AGREED, NEW, NORTH_SOUTH, State


class Accord(NamedTuple):
    """How signals agree, and with whom they may."""

    talk: Talk
    most: int  # links over which estimates are relayed
    pull: float
    neighbour: Array  # (N, 4) int32, see `Network`
    peer: Array  # (N, P) int32 signals within reach, in order, then -1


def accord_of(config: Config, network: Network) -> Accord:
    """Returns how the signals of a configuration agree; it must have a consensus."""
    peer = np.full((len(network.neighbour), max(peers(config))), -1, np.int32)
    for c, far in enumerate(network.distance):
        near = np.flatnonzero((far > 0) & (far <= config.consensus_hops))
        peer[c, : len(near)] = near
    talk = Talk(
        int(config.consensus_rounds),
        float(config.consensus_loss),
        config.consensus == "robust",
        int(config.consensus_tolerance),
    )
    return Accord(talk, int(config.consensus_hops), float(config.consensus_pull), network.neighbour, peer)


def agree(accord: Accord, state: State, obs: Array) -> None:
    """Lets signals measure, correct and exchange their estimates, and observe these.

    Args:
        accord: The `Accord`.
        state: The `State` after a step; `agreed`, `measured`, `silence` and `totals` are written.
        obs: (B, N, O) float32, what signals observe in it; the last entries are written.
    """
    n_worlds = len(state.step)
    neighbour, peer = (np.tile(part, (n_worlds, 1, 1)) for part in (accord.neighbour, accord.peer))
    _agree(accord, neighbour, peer, state, obs)


@kernel
def _agree(accord, neighbour, peer, state, obs):
    """Does what `agree` says, with neighbour (B, N, 4) and peer (B, N, P)."""
    step, liar, agreed, silence, totals = state.step, state.liar, state.agreed, state.silence, state.totals
    n_worlds, n = silence.shape
    awake, counts = np.empty((n_worlds, n), np.bool_), np.empty((n_worlds, n), np.bool_)
    for b in range(n_worlds):
        for c in range(n):
            awake[b, c] = not is_dark(state.dark, b, c, step[b] * CONTROL_STEP)
            counts[b, c] = awake[b, c] and not liar[b, c]
    own, lie, hops = np.empty_like(agreed), np.empty_like(agreed), np.empty(peer.shape, np.int8)
    _measure(liar, obs, own, lie)
    fill_reach(neighbour, _links(neighbour, awake), accord.most, peer, hops)
    talk = accord.talk
    correct(accord.pull, not talk.trims, step == 0, awake, own, state.measured, agreed)
    spoke, sent = np.zeros((n_worlds, n), np.bool_), np.zeros(n_worlds, np.int64)
    agree_with_peers(talk, Reach(peer, hops, lie, state.key, talk.rounds * step), agreed, spoke, sent)
    apart, off = np.zeros(n_worlds), np.zeros(n_worlds)
    judge(np.ones(N_AGREED), counts, state.measured, agreed, apart, off)
    for b in range(n_worlds):
        for c in range(n):
            silence[b, c] = 0 if spoke[b, c] else silence[b, c] + 1
            for v in range(N_AGREED):
                obs[b, c, N_OBS + v] = min(max(agreed[b, c, v] / VEHICLE_SCALE, 0.0), 1.0)
            age = silence[b, c] * CONTROL_STEP
            obs[b, c, N_OBS + N_AGREED] = age / (age + TIME_SCALE)
        totals[b, MESSAGES] += sent[b]
        if counts[b].any():
            totals[b, DISAGREEMENT] += apart[b]
            totals[b, BIAS] += off[b]
            totals[b, JUDGED] += 1.0


@kernel
def _measure(liar, obs, own, lie):
    """Fills in what signals measure by what they observe, and what liars say, NaN for others: (B, N, L) each."""
    for b in range(len(own)):
        for c in range(own.shape[1]):
            east_west, north_south = 0.0, 0.0
            for turn in range(3):  # queues by movement, 3 heading + turn
                east_west += obs[b, c, turn] + obs[b, c, 6 + turn]
                north_south += obs[b, c, 3 + turn] + obs[b, c, 9 + turn]
            own[b, c, EAST_WEST], own[b, c, NORTH_SOUTH] = VEHICLE_SCALE * east_west, VEHICLE_SCALE * north_south
            own[b, c, NEW] = VEHICLE_SCALE * obs[b, c, 35]
            for v in range(own.shape[2]):
                lie[b, c, v] = 0.0 if liar[b, c] else math.nan


@kernel
def _links(neighbour, awake):
    """Returns which links work, (B, N, 4): those between signals that are not dark."""
    works = np.zeros(neighbour.shape, np.bool_)
    for b in range(len(neighbour)):
        for c in range(neighbour.shape[1]):
            for heading in range(4):
                j = neighbour[b, c, heading]
                works[b, c, heading] = j >= 0 and awake[b, c] and awake[b, j]
    return works
