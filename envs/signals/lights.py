"""Kernels for what lights show and what dark ones make drivers do.

A yellow light stops who can stop at `STOPPABLE`. A signal that fails ends its phase as any phase ends: who is too near
to stop goes on. Then all stop, and one after the other goes, lane by lane in turn. When the signal is back, who has
been let in and moves goes on, and nobody beside it.

Axes: B worlds, N crossings, V places, Z lanes.
"""

from __future__ import annotations

from ..kernels import kernel
from .config import SUBSTEP
from .following import SLOW
from .state import GRANTED, PHASE, PREVIOUS, SERVED, SINCE

STOPPABLE = 3.0
"""Deceleration with which drivers still stop at a yellow light [m/s^2]."""
AT_LINE = 5.0
"""Who stands so near to a dark signal's line may be let in [m]."""
NOBODY = -1.0


@kernel
def is_dark(dark, b, c, now):
    """Whether a signal has failed."""
    return dark[b, c, 0] <= now < dark[b, c, 1]


@kernel
def order_phases(driving, min_green, signal, dark, action, b, now):
    """Takes the agents' choices: a phase other than the present one begins with the yellow light of that."""
    for c in range(signal.shape[1]):
        if is_dark(dark, b, c, now) or signal[b, c, SINCE] < driving.change + min_green:
            continue
        if action[b, c] != signal[b, c, PHASE]:
            signal[b, c, PREVIOUS], signal[b, c, PHASE] = signal[b, c, PHASE], action[b, c]
            signal[b, c, SINCE] = 0.0


@kernel
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
        stops |= dark[b, c, 0] <= now < dark[b, c, 1] or signal[b, c, GRANTED] != NOBODY
    return stops


@kernel
def all_way_stops(driving, line, position, speed, who, lane, signal, dark, inside, b, now, go, amber):
    """Changes what lights show to what drivers do at a signal that is dark, or was when they were let in."""
    for c in range(len(go)):
        failed = is_dark(dark, b, c, now)
        if failed or signal[b, c, GRANTED] != NOBODY:
            go[c], amber[c] = _all_way_stop(
                driving, line, position, speed, who, lane, signal, b, c, now - dark[b, c, 0], failed,
                inside[c] == 0, go[c], amber[c],
            )  # fmt: skip


@kernel
def _all_way_stop(
    driving, line, position, speed, who, lane, signal, b, c, since, failed, empty, go, amber
):  # fmt: skip
    """The movements that may go, and may if it is too late to stop, at a signal that failed some time ago [s].

    Args:
        driving: The `Driving`.
        line: (Z,) where the lanes' lines are [m].
        position: (V,), as are the next two.
        speed: (V,).
        who: (V,).
        lane: (Z + 1,).
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
    z, granted = 4 * c * lanes + int(signal[b, c, SERVED]), signal[b, c, GRANTED]
    waits = granted != NOBODY and lane[z] < lane[z + 1] and who[lane[z]] == granted
    if not failed:
        if waits and speed[lane[z]] > 0.0:
            return _served(lanes, signal, b, c), 0
        signal[b, c, GRANTED] = NOBODY
        return go, amber
    if since < driving.change:
        return 0, amber | (go if since < driving.yellow else 0)
    if empty and not waits:
        signal[b, c, GRANTED] = NOBODY
        for k in range(1, 4 * lanes + 1):
            at = (int(signal[b, c, SERVED]) + k) % (4 * lanes)
            z = 4 * c * lanes + at
            i = lane[z]
            if i < lane[z + 1] and speed[i] < SLOW and line[z] - position[i] < AT_LINE:
                signal[b, c, SERVED], signal[b, c, GRANTED] = at, who[i]
                break
    return _served(lanes, signal, b, c) if signal[b, c, GRANTED] != NOBODY else 0, 0


@kernel
def _served(lanes, signal, b, c):
    """All movements from the road whose lane may go."""
    return 7 << 3 * (int(signal[b, c, SERVED]) // lanes)
