"""Kernels for the observations of signals, which signals hear each other, and the global state.

Axes: B worlds, N agents, O observation, S global state. Layouts are those of the package's docstring.
"""

from __future__ import annotations

from typing import NamedTuple

from ..core import Array
from ..kit.kernels import inlined, kernel
from ..roads.crossing import STRAIGHT
from .config import CONTROL_STEP, Config
from .following import CAR, JAM_GAP
from .lights import is_dark
from .network import LENGTH, N_MOVEMENTS, N_PHASES
from .state import ARRIVED, COME, ENTERED, PHASE, SINCE
from .survey import ARRIVING, BEYOND, QUEUE, queue_of

VEHICLE_SCALE = 25.0
"""Counts of vehicles are divided by this; a lane of 150 m holds 22."""
_PER_VEHICLE = 1.0 / VEHICLE_SCALE
TIME_SCALE = 20.0
"""Times t [s] are observed as t / (t + TIME_SCALE)."""
OWN, PER_NEIGHBOUR, STATE_PER_SIGNAL = 36, 8, 32
"""Entries of an observation about the signal itself, and about each neighbour; entries of the state per signal."""
N_OBS = OWN + 4 * PER_NEIGHBOUR
"""O without a consensus."""
WITH_CONSENSUS = ("agreed_queue_east_west", "agreed_queue_north_south", "agreed_came", "agreed_age")
"""Names of the entries that a consensus adds."""


def obs_names(config: Config) -> tuple[str, ...]:
    """Returns the names of the entries of an observation, (O,), see `envs.core.BatchEnv`."""
    headings, turns = ("east", "north", "west", "south"), ("left", "straight", "right")
    phases = ("north_south", "north_south_left", "east_west", "east_west_left")
    names = [f"{what}_{way}_{turn}" for what in ("queue", "rolling") for way in headings for turn in turns]
    names += [*(f"phase_{phase}" for phase in phases), "changing", "phase_time", "dark"]
    names += [*(f"road_out_{way}" for way in headings), "came"]
    neighbour = ("there", "dark", *(f"phase_{phase}" for phase in phases), "queue_east_west", "queue_north_south")
    names += [f"neighbour_{way}_{part}" for way in headings for part in neighbour]
    return tuple(names) if config.consensus == "none" else (*names, *WITH_CONSENSUS)


class Sensors(NamedTuple):
    """The parameters of observations, from a `Config`."""

    lanes: int
    change: float  # yellow and all-red [s]
    min_green: float
    max_steps: int


def sensors_of(config: Config) -> Sensors:
    """Returns the parameters of a configuration."""
    return Sensors(config.lanes, float(config.yellow + config.all_red), float(config.min_green), config.max_steps)


class Shown(NamedTuple):
    """All that a batch of worlds shows, for kernels to fill in; all but the metrics are zeros before."""

    obs: Array  # (B, N, O) float32
    adjacency: Array  # (B, N, N) bool
    global_state: Array  # (B, S) float32: the global state
    mask: Array  # (B, N, 4) bool
    metrics: Array  # (M, B) float64, in the order of `metrics.METRICS`


@kernel
def _squash(seconds):
    return seconds / (seconds + TIME_SCALE)


@inlined
def observe(sensors, net, counts, state, b, shown):
    """Fills everything that is observed and heard in world b.

    Args:
        sensors: The `Sensors`.
        net: The `Network`.
        counts: The counts that `survey` filled in.
        state: The `State`.
        b: The world.
        shown: The `Shown`, whose rows b are written.
    """
    signal, entered, dark, step = state.signal, state.entered, state.dark, state.step
    all_obs, adjacency, global_state, mask = shown.obs, shown.adjacency, shown.global_state, shown.mask
    links, target, neighbour, entry = net.link, net.target, net.neighbour, net.entry
    n, ready, now = len(target), sensors.change + sensors.min_green, step[b] * CONTROL_STEP
    for c in range(n):
        own, at, failed = all_obs[b, c], STATE_PER_SIGNAL * c, is_dark(dark, b, c, now)
        for m in range(N_MOVEMENTS):
            own[m] = min(counts[c, QUEUE, m] * _PER_VEHICLE, 1.0)
            own[N_MOVEMENTS + m] = min(counts[c, ARRIVING, m] * _PER_VEHICLE, 1.0)
        phase, since = int(signal[b, c, PHASE]), signal[b, c, SINCE]
        own[24 + phase] = 1.0
        own[28] = 1.0 if since < sensors.change else 0.0
        own[29] = _squash(since)
        own[30] = 1.0 if failed else 0.0
        for heading in range(4):
            room = links[target[c, heading], LENGTH] * sensors.lanes
            vehicles = counts[c, BEYOND, 3 * heading + STRAIGHT]
            own[31 + heading] = min(vehicles * (CAR + JAM_GAP) / room, 1.0)
        own[35] = min(signal[b, c, ARRIVED] * _PER_VEHICLE, 1.0)
        for k in range(31):
            global_state[b, at + k] = own[k]
        for heading in range(4):
            j = neighbour[c, heading]
            if j < 0:
                continue
            base = OWN + PER_NEIGHBOUR * heading
            own[base] = 1.0
            if failed or is_dark(dark, b, j, now):
                own[base + 1] = 1.0
                continue
            adjacency[b, c, j] = True
            own[base + 2 + int(signal[b, j, PHASE])] = 1.0
            own[base + 6] = min(queue_of(counts, j, 0) * _PER_VEHICLE, 1.0)
            own[base + 7] = min(queue_of(counts, j, 1) * _PER_VEHICLE, 1.0)
        for k in range(N_PHASES):
            mask[b, c, k] = (k == phase) | ((since >= ready) & (not failed))
    for e in range(len(entry)):
        waiting = STATE_PER_SIGNAL * (entry[e] // 4) + 31
        outside = (entered[b, e, COME] - entered[b, e, ENTERED]) / VEHICLE_SCALE
        global_state[b, waiting] = min(global_state[b, waiting] + outside, 1.0)
    global_state[b, STATE_PER_SIGNAL * n] = min(step[b] / sensors.max_steps, 1.0)
