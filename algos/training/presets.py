"""What an environment and an algorithm start from together, where it differs from their own defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gymnasium.spaces import Box

from ..nets.vision import is_image


@dataclass(frozen=True)
class Defaults:
    """Options by name."""

    run: Mapping[str, Any] = field(default_factory=dict)
    """Of the run."""
    algo: Mapping[str, Any] = field(default_factory=dict)
    """Of the algorithm."""


# MPE: episodes of 25 steps that pay at once for being nearer. Looking far ahead only adds noise.
_MPE = {"rollout_steps": 25, "epochs": 8, "minibatches": 4, "lr": 2e-3, "gamma": 0.9, "gae_lambda": 0.9}
_MPE |= {"activation": "tanh"}
_MPE_OFF_POLICY = {"gamma": _MPE["gamma"]}
# Where agents talk, choices stay open for long: a message that is hardly ever sent is never understood.
_MPE_TALK_OFF_POLICY = {**_MPE_OFF_POLICY, "head_penalty": 5e-3, "head_penalty_end": 5e-4}

# A critic that knows the shaping by heart cancels it, and nothing is left to climb before the first deliveries; with
# less far sight than the shaping's own (0.99) progress pays. To load, a robot must stand still for five steps.
_WAREHOUSE_OFF_POLICY = {"gamma": 0.95, "noise_std": 0.1, "noise_std_end": 0.05}

_ON_POLICY, _OFF_POLICY = ("mappo", "ippo"), ("maddpg", "iddpg")
# An update after nearly every step would make a row of scalars each.
_ROWS = {"log_every": 5_000}
_WORLDS = {"n_worlds": 128, **_ROWS}

# Vehicles cross within 20 steps: looking further only adds the noise of what others do.
_INTERSECTION = {"gamma": 0.97, "ent_coef": 0.005}

# Welfare is what is asked for. What a bid is good for shows within the ten slots that a task has; what other tasks
# bring after that only adds noise. Eight numbers an action: the usual bonus for entropy keeps all of them noisy; with
# none, bids stay where they were when the noise was gone.
_MARKET = {"reward": "team", "gamma": 0.9, "gae_lambda": 0.8, "ent_coef": 0.002, "init_std": 0.4}
_MARKET |= {"lr": 2e-3, "epochs": 2, "minibatches": 4}
# Early slopes of the critic push actions to the edges of the Box, where tanh is flat and nothing brings them back.
# The lesser of two critics keeps it from running away.
_MARKET_OFF_POLICY = {"reward": "team", "gamma": 0.9, "head_penalty": 0.02, "head_penalty_end": 0.02, "twin": True}

# MPE declares no bounds, but its numbers are distances on a field that is two wide.
_NEAR_ONE = {"obs_norm": "off"}

OURS: dict[tuple[str, str], Defaults] = {
    (env, algo): defaults
    for algos, env, defaults in (
        (_ON_POLICY, "warehouse", Defaults(run={"total_steps": 3_400_000, "video_every": 1_000_000})),
        (
            _ON_POLICY,
            "intersection",
            Defaults({"total_steps": 6_000_000, "video_every": 2_000_000}, _INTERSECTION),
        ),
        (_ON_POLICY, "signals", Defaults({"total_steps": 1_000_000, "video_every": 500_000})),
        (_ON_POLICY, "edge_market", Defaults({"total_steps": 5_000_000}, _MARKET)),
        (_ON_POLICY, "spread", Defaults(run={"total_steps": 1_500_000, "n_worlds": 128}, algo=_MPE)),
        (_OFF_POLICY, "warehouse", Defaults({"total_steps": 1_000_000, **_WORLDS}, _WAREHOUSE_OFF_POLICY)),
        (_OFF_POLICY, "edge_market", Defaults({"total_steps": 200_000, **_WORLDS}, _MARKET_OFF_POLICY)),
        (_OFF_POLICY, "spread", Defaults({"total_steps": 400_000, **_WORLDS}, _MPE_OFF_POLICY)),
    )
    for algo in algos
}
"""By environment and algorithm."""

OTHERS: dict[tuple[str, str], Defaults] = {
    (prefix, algo): Defaults(run, {**options, **_NEAR_ONE, "share": "group"})
    for prefix in ("mpe2.", "pettingzoo.mpe.", "mpe/")
    for algos, run, options in (
        (_ON_POLICY, {"total_steps": 600_000, "n_worlds": 128}, _MPE),
        (_OFF_POLICY, {"total_steps": 200_000, **_WORLDS}, _MPE_TALK_OFF_POLICY),
    )
    for algo in algos
}
"""Of environments of others, by the beginning of the name and algorithm."""

ANY = {algo: Defaults(run=_ROWS) for algo in _OFF_POLICY}
"""Of all our other environments, by algorithm."""

ANY_OTHER = Defaults(run={"n_worlds": 0, "save_every": 20_000}, algo={"share": "group"})
"""Of all other environments of others: as many worlds as suit them, and slow ones lose minutes, not hours, in a crash;
their groups of agents may be adversaries."""


UNIT = 10.0
"""Largest bound of observations that are taken as they are. On level-based foraging, whose numbers go from -1 to 7,
three seeds of MAPPO made 0.50, 0.50, 0.49 of 0.5 after 49,000 steps as they are, and 0.47, 0.46, 0.42 normalised."""


def defaults_of(env: str, algo: str, *, foreign: bool) -> Defaults:
    """What to start from.

    Args:
        env: Name of an environment, ours or anybody's.
        algo: Name of an algorithm.
        foreign: Whether the environment is somebody else's.
    """
    some = ANY.get(algo, Defaults())
    if not foreign:
        return OURS.get((env, algo), some)
    fitting = (found for (prefix, name), found in OTHERS.items() if name == algo and env.startswith(prefix))
    return next(fitting, Defaults(run={**ANY_OTHER.run, **some.run}, algo=ANY_OTHER.algo))


def settled_obs_norm(asked: str, *, foreign: bool, space: Box) -> tuple[str, tuple[str, ...]]:
    """Whether observations are normalised: "auto" becomes "on" or "off".

    Args:
        asked: The option.
        foreign: Whether the environment is somebody else's; ours give numbers of about one.
        space: Of observations; an image is never normalised.

    Returns:
        "on" or "off", and notes for whoever runs it.
    """
    if asked != "auto":
        return asked, ()
    low, high = float(space.low.min(initial=0.0)), float(space.high.max(initial=0.0))
    if not foreign or is_image(space.shape) or max(-low, high) <= UNIT:
        return "off", ()
    bounds = f"observations have bounds from {low:g} to {high:g}"
    return "on", (f"{bounds}, so they are normalised; --algo.obs-norm off takes them as they are",)
