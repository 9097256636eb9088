"""Presets: options for pairs of an environment and an algorithm, where they differ from the defaults of both.

Environments and algorithms are named here as text: nothing is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gymnasium.spaces import Box

from ..nets.vision import is_image


@dataclass(frozen=True)
class Presets:
    """Options that differ from the defaults."""

    run: Mapping[str, Any] = field(default_factory=dict)
    """Options of the run by name."""
    algo: Mapping[str, Any] = field(default_factory=dict)
    """Options of the algorithm by name."""


# MPE: an episode has 25 steps, and a step towards the goal is rewarded at once. A longer horizon only adds noise.
_MPE = {"rollout_steps": 25, "epochs": 8, "minibatches": 4, "lr": 2e-3, "gamma": 0.9, "gae_lambda": 0.9}
_MPE |= {"activation": "tanh"}
_MPE_OFF_POLICY = {"gamma": _MPE["gamma"]}
# Where agents communicate, the penalty keeps their choices open for longer: a message that is hardly ever sent is never
# learned.
_MPE_TALK_OFF_POLICY = {**_MPE_OFF_POLICY, "head_penalty": 5e-3, "head_penalty_end": 5e-4}

# A critic that has learned the shaping potential exactly cancels it, and no slope is left before the first deliveries;
# with a discount below that of the shaping (0.99), progress is rewarded. Less noise than usual, because a robot must
# stand still for five steps to load.
_WAREHOUSE_OFF_POLICY = {"gamma": 0.95, "noise_std": 0.1, "noise_std_end": 0.05}

_ON_POLICY, _OFF_POLICY = ("mappo", "ippo"), ("maddpg", "iddpg")
# These algorithms update after nearly every step; without this, each update would write a row of scalars.
_ROWS = {"log_every": 5_000}
_WORLDS = {"n_worlds": 128, **_ROWS}

# Vehicles cross within 20 steps: a longer horizon only adds the noise of other vehicles.
_INTERSECTION = {"gamma": 0.97, "ent_coef": 0.005}

# The aim is welfare, the team reward. The value of a bid shows within the ten slots of a task; later tasks only add
# noise. An action has eight numbers: the usual entropy bonus keeps all of them noisy, and without any, bids stop
# improving once the noise is gone.
_MARKET = {"credit": "team", "gamma": 0.9, "gae_lambda": 0.8, "ent_coef": 0.002, "init_std": 0.4}
_MARKET |= {"lr": 2e-3, "epochs": 2, "minibatches": 4}
# Early gradients of the critic push actions to the bounds of the Box, where tanh is flat and no gradient brings them
# back; the penalty prevents that. The lesser of two critics keeps values from growing without bound.
_MARKET_OFF_POLICY = {"credit": "team", "gamma": 0.9, "head_penalty": 0.02, "head_penalty_end": 0.02, "twin": True}

# A car pays for its own crashes and time, within a few steps. Without much entropy a policy settles on always driving.
_JUNCTION = {"gamma": 0.97, "ent_coef": 0.05, "rollout_steps": 20}
# A symbol is named in the same step: nothing that is done shows later.
_WHISPERS = {"gamma": 0.0, "gae_lambda": 0.0, "lr": 2e-3, "rollout_steps": 25, "minibatches": 4}

# MPE declares no bounds of observations, but they are distances on a field of width 2.
_NEAR_ONE = {"obs_norm": "off"}

OURS: dict[tuple[str, str], Presets] = {
    (env, algo): presets
    for algos, env, presets in (
        (_ON_POLICY, "warehouse", Presets(run={"total_steps": 3_400_000, "video_every": 1_000_000})),
        (
            _ON_POLICY,
            "intersection",
            Presets({"total_steps": 6_000_000, "video_every": 2_000_000}, _INTERSECTION),
        ),
        (_ON_POLICY, "signals", Presets({"total_steps": 1_000_000, "video_every": 500_000})),
        (_ON_POLICY, "edge_market", Presets({"total_steps": 5_000_000}, _MARKET)),
        (_ON_POLICY, "spread", Presets(run={"total_steps": 1_500_000, "n_worlds": 128}, algo=_MPE)),
        (_ON_POLICY, "traffic_junction", Presets({"total_steps": 600_000, "n_worlds": 128}, _JUNCTION)),
        (_ON_POLICY, "rovers", Presets({"total_steps": 400_000}, {"credit": "difference"})),
        (_ON_POLICY, "whispers", Presets(run={"total_steps": 120_000}, algo=_WHISPERS)),
        (_OFF_POLICY, "warehouse", Presets({"total_steps": 1_000_000, **_WORLDS}, _WAREHOUSE_OFF_POLICY)),
        (_OFF_POLICY, "edge_market", Presets({"total_steps": 200_000, **_WORLDS}, _MARKET_OFF_POLICY)),
        (_OFF_POLICY, "spread", Presets({"total_steps": 400_000, **_WORLDS}, _MPE_OFF_POLICY)),
        (_OFF_POLICY, "rovers", Presets(_ROWS, {"credit": "difference"})),
        (_OFF_POLICY, "whispers", Presets({"total_steps": 100_000, **_WORLDS}, {"gamma": 0.0})),
    )
    for algo in algos
}
"""Presets of Coterie's environments, by environment and algorithm."""

OTHERS: dict[tuple[str, str], Presets] = {
    (prefix, algo): Presets(run, {**options, **_NEAR_ONE, "share": "group"})
    for prefix in ("mpe2.", "pettingzoo.mpe.", "mpe/")
    for algos, run, options in (
        (_ON_POLICY, {"total_steps": 600_000, "n_worlds": 128}, _MPE),
        (_OFF_POLICY, {"total_steps": 200_000, **_WORLDS}, _MPE_TALK_OFF_POLICY),
    )
    for algo in algos
}
"""Presets of environments of others, by the beginning of the name and the algorithm."""

ANY = {algo: Presets(run=_ROWS) for algo in _OFF_POLICY}
"""Presets of Coterie's other environments, by algorithm."""

ANY_OTHER = Presets(run={"n_worlds": 0, "save_every": 20_000}, algo={"share": "group"})
"""Presets of all other environments: as many worlds as suit them; frequent checkpoints, because slow environments would
lose hours in a crash; parameters by group, because groups may be adversaries."""


UNIT = 10.0
"""Largest bound of observations that are not normalised. On level-based foraging, with observations from -1 to 7, three
seeds of MAPPO reached returns of 0.50, 0.50, 0.49 out of 0.5 after 49,000 steps without normalisation, and 0.47, 0.46,
0.42 with it."""


def presets_of(env: str, algo: str, *, foreign: bool) -> Presets:
    """Returns the presets of an environment and an algorithm.

    Args:
        env: Name of an environment, Coterie's or anybody's.
        algo: Name of an algorithm.
        foreign: Whether the environment is one of others.
    """
    some = ANY.get(algo, Presets())
    if not foreign:
        return OURS.get((env, algo), some)
    fitting = (found for (prefix, name), found in OTHERS.items() if name == algo and env.startswith(prefix))
    return next(fitting, Presets(run={**ANY_OTHER.run, **some.run}, algo=ANY_OTHER.algo))


def settled_obs_norm(asked: str, *, foreign: bool, space: Box) -> tuple[str, tuple[str, ...]]:
    """Decides whether observations are normalised: "auto" becomes "on" or "off".

    Args:
        asked: The value of the option.
        foreign: Whether the environment is one of others; Coterie's own observations are about 1 in size.
        space: The observation space; an image is never normalised.

    Returns:
        "on" or "off", and remarks for the user, a line each.
    """
    if asked != "auto":
        return asked, ()
    low, high = float(space.low.min(initial=0.0)), float(space.high.max(initial=0.0))
    if not foreign or is_image(space.shape) or max(-low, high) <= UNIT:
        return "off", ()
    bounds = f"observations have bounds from {low:g} to {high:g}"
    return "on", (f"{bounds}, so they are normalised; --algo.obs-norm off takes them as they are",)
