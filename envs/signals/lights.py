"""Kernels for what lights show and what dark ones make drivers do.

A yellow light stops who can stop at `STOPPABLE`. A signal that fails ends its phase as any phase ends: who is too near
to stop goes on. Then all stop, and one after the other goes, lane by lane in turn. When the signal is back, who has
been let in and moves goes on, and nobody beside it.

Axes: B worlds, N crossings, V places, Z lanes.
"""

from __future__ import annotations

from ..kit.kernels import borrowing
from .config import SUBSTEP
from .following import SLOW
from .state import BEFORE_LINE, FOLLOWER, GRANTED, NONE, PHASE, PREVIOUS, SERVED, SINCE

STOPPABLE = 3.0
"""Deceleration with which drivers still stop at a yellow light [m/s^2]."""
AT_LINE = 5.0
"""Who stands so near to a dark signal's line may be let in [m]."""
ANYBODY = -1
"""No lane's first vehicle goes alone."""


@borrowing
def is_dark(dark, b, c, now):
    """Whether a signal has failed."""
    return dark[b, c, 0] <= now < dark[b, c, 1]


@borrowing
def order_phases(driving, min_green, signal, dark, action, b, now):
    """Takes the agents' choices: a phase other than the present one begins with the yellow light of that."""
    for c in range(signal.shape[1]):
        if is_dark(dark, b, c, now) or signal[b, c, SINCE] < driving.change + min_green:
            continue
        if action[b, c] != signal[b, c, PHASE]:
            signal[b, c, PREVIOUS], signal[b, c, PHASE] = signal[b, c, PHASE], action[b, c]
            signal[b, c, SINCE] = 0.0


@borrowing
def show_lights(driving, green, signal, dark, b, now, go, amber):
    """Lets the clocks go on, and fills the movements that may go, and may if it is too late to stop: (N,) bits.

    Returns:
        Whether any signal is dark, or was and still lets somebody go: `all_way_stops` knows more then.
    """
    stops = False
    for c in range(len(go)):
        since = signal[b, c, SINCE]
        signal[b, c, SINCE] = since + SUBSTEP
        go[c] = green[int(signal[b, c, PHASE])] if since >= driving.change else 0
        amber[c] = green[int(signal[b, c, PREVIOUS])] if since < driving.yellow else 0
        stops |= dark[b, c, 0] <= now < dark[b, c, 1] or signal[b, c, GRANTED] != NONE
    return stops


@borrowing
def all_way_stops(driving, line, position, speed, chain, signal, dark, inside, b, now, go, amber, alone):
    """Changes what lights show to what drivers do at a signal that is dark, or was when they were let in.

    Who is let in goes alone: fills the lane (N,), or `ANYBODY`.
    """
    for c in range(len(go)):
        alone[c] = ANYBODY
        failed = is_dark(dark, b, c, now)
        if not failed and signal[b, c, GRANTED] == NONE:
            continue
        go[c], amber[c] = _all_way_stop(
            driving, line, position, speed, chain, signal, b, c, now - dark[b, c, 0], failed, inside[c] == 0, go[c],
            amber[c],
        )  # fmt: skip
        if signal[b, c, GRANTED] != NONE:
            alone[c] = 4 * c * driving.lanes + int(signal[b, c, SERVED])


@borrowing
def _all_way_stop(driving, line, position, speed, chain, signal, b, c, since, failed, empty, go, amber):
    """The movements that may go, and may if it is too late to stop, at a signal that failed some time ago [s].

    Args:
        driving: The `Driving`.
        line: (Z,) where the lanes' lines are [m].
        position: (V,), as is the next.
        speed: (V,).
        chain: (V, 4).
        signal: (B, N, 6), written: who is let in.
        b: Which world.
        c: Which crossing.
        since: For how long.
        failed: Whether it is still dark.
        empty: Whether nobody is in the box.
        go: What a signal in order would show.
        amber: Likewise.
    """
    lanes = driving.lanes
    waits = signal[b, c, GRANTED] == BEFORE_LINE
    if not failed:
        if waits and speed[chain[4 * c * lanes + int(signal[b, c, SERVED]), FOLLOWER]] > 0.0:
            return _served(lanes, signal, b, c), 0
        signal[b, c, GRANTED] = NONE
        return go, amber
    if since < driving.change:
        return 0, amber | (go if since < driving.yellow else 0)
    if empty and not waits:
        signal[b, c, GRANTED] = NONE
        for k in range(1, 4 * lanes + 1):
            at = (int(signal[b, c, SERVED]) + k) % (4 * lanes)
            z = 4 * c * lanes + at
            i = chain[z, FOLLOWER]
            if i != z and speed[i] < SLOW and line[z] - position[i] < AT_LINE:
                signal[b, c, SERVED], signal[b, c, GRANTED] = at, BEFORE_LINE
                break
    return _served(lanes, signal, b, c) if signal[b, c, GRANTED] == BEFORE_LINE else 0, 0


@borrowing
def _served(lanes, signal, b, c):
    """All movements from the road whose lane may go."""
    return 7 << 3 * (int(signal[b, c, SERVED]) // lanes)
