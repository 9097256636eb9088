"""Kernels for the lights that signals show, and for drivers at dark signals.

A yellow light stops drivers for which a deceleration of `STOPPABLE` is enough. A signal that fails ends its phase as
any phase ends: drivers too near to stop go on. Then its crossing is an all-way stop: one vehicle goes after the other,
lane by lane in turn. When the signal is back, a vehicle that was let go and is moving goes on first, alone.

Axes: B worlds, N crossings, V places, Z lanes. Movements are bits of integers.
"""

from __future__ import annotations

from ..kit.kernels import inlined, kernel
from .config import SUBSTEP
from .following import SLOW
from .state import BEFORE_LINE, FOLLOWER, GRANTED, NONE, PHASE, PREVIOUS, SERVED, SINCE

STOPPABLE = 3.0
"""Deceleration with which drivers still stop at a yellow light [m/s^2]."""
AT_LINE = 5.0
"""A vehicle that stands this near to a dark signal's line may be let go [m]."""
ANY_LANE = -1
"""Value of `Scratch.only_lane` where the first vehicles of all lanes may go."""


@kernel
def is_dark(dark, b, c, now):
    """Returns whether a signal is dark."""
    return dark[b, c, 0] <= now < dark[b, c, 1]


@inlined
def begins_phase(driving, min_green, state, action, b, c, now):
    """Returns whether the action (B, N) of signal c in world b begins a new phase."""
    signal = state.signal
    if is_dark(state.dark, b, c, now) or signal[b, c, SINCE] < driving.change + min_green:
        return False
    return action[b, c] != signal[b, c, PHASE]


@inlined
def order_phases(driving, min_green, state, action, b, now):
    """Carries out the actions (B, N) in world b: a new phase begins with the yellow light of the present one."""
    signal = state.signal
    for c in range(signal.shape[1]):
        if begins_phase(driving, min_green, state, action, b, c, now):
            signal[b, c, PREVIOUS], signal[b, c, PHASE] = signal[b, c, PHASE], action[b, c]
            signal[b, c, SINCE] = 0.0


@kernel
def show_lights(driving, green, signal, dark, b, now, go, amber):
    """Advances the clocks of world b's signals by a substep, and fills in the movements that their lights allow.

    Args:
        driving: The `Driving`.
        green: The field of the `Network`.
        signal: The field of the new `State`, written.
        dark: The field of the `State`.
        b: The world.
        now: Time [s].
        go: (N,) movements that may go, written.
        amber: (N,) movements that may go if it is too late to stop, written.

    Returns:
        Whether any signal is dark, or was and still lets a vehicle go; `all_way_stops` must follow then.
    """
    stops = False
    for c in range(len(go)):
        since = signal[b, c, SINCE]
        signal[b, c, SINCE] = since + SUBSTEP
        go[c] = green[int(signal[b, c, PHASE])] if since >= driving.change else 0
        amber[c] = green[int(signal[b, c, PREVIOUS])] if since < driving.yellow else 0
        stops |= dark[b, c, 0] <= now < dark[b, c, 1] or signal[b, c, GRANTED] != NONE
    return stops


@kernel
def all_way_stops(driving, net, scratch, chain, state, b, now):
    """Replaces the lights by an all-way stop at signals that are dark, or were when they let a vehicle go.

    That vehicle goes alone: `scratch.only_lane` (N,) is filled with its lane, or with `ANY_LANE`.
    """
    signal, dark, only_lane = state.signal, state.dark, scratch.only_lane
    for c in range(len(only_lane)):
        only_lane[c] = ANY_LANE
        failed = is_dark(dark, b, c, now)
        if not failed and signal[b, c, GRANTED] == NONE:
            continue
        _all_way_stop(driving, net, scratch, chain, signal, b, c, now - dark[b, c, 0], failed)
        if signal[b, c, GRANTED] != NONE:
            only_lane[c] = 4 * c * driving.lanes + int(signal[b, c, SERVED])


@kernel
def _all_way_stop(driving, net, scratch, chain, signal, b, c, since, failed):
    """Replaces the movements that a signal allows, `scratch.go` and `scratch.amber`, by those of an all-way stop.

    Args:
        driving: The `Driving`.
        net: The `Network`.
        scratch: The `Scratch`.
        chain: (V, 4), of world b.
        signal: (B, N, 6), written: which vehicle is let go.
        b: The world.
        c: The crossing.
        since: Time since the signal failed [s].
        failed: Whether it is still dark.
    """
    lanes, go, amber, speed = driving.lanes, scratch.go, scratch.amber, scratch.speed
    waits = signal[b, c, GRANTED] == BEFORE_LINE
    if not failed:
        if waits and speed[chain[4 * c * lanes + int(signal[b, c, SERVED]), FOLLOWER]] > 0.0:
            go[c], amber[c] = _movements_from(lanes, signal, b, c), 0
            return
        signal[b, c, GRANTED] = NONE
        return
    if since < driving.change:
        go[c], amber[c] = 0, amber[c] | (go[c] if since < driving.yellow else 0)
        return
    if scratch.inside[c] == 0 and not waits:
        _let_next_go(lanes, net.line, scratch, chain, signal, b, c)
    go[c] = _movements_from(lanes, signal, b, c) if signal[b, c, GRANTED] == BEFORE_LINE else 0
    amber[c] = 0


@kernel
def _let_next_go(lanes, line, scratch, chain, signal, b, c):
    """Lets the next vehicle that stands at a line of crossing c go, lane by lane in turn."""
    position, speed = scratch.position, scratch.speed
    signal[b, c, GRANTED] = NONE
    for k in range(1, 4 * lanes + 1):
        at = (int(signal[b, c, SERVED]) + k) % (4 * lanes)
        z = 4 * c * lanes + at
        i = chain[z, FOLLOWER]
        if i != z and speed[i] < SLOW and line[z] - position[i] < AT_LINE:
            signal[b, c, SERVED], signal[b, c, GRANTED] = at, BEFORE_LINE
            break


@kernel
def _movements_from(lanes, signal, b, c):
    """Returns all movements from the road whose lane may go."""
    return 7 << 3 * (int(signal[b, c, SERVED]) // lanes)
