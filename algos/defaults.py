"""What an environment and an algorithm start from together, where it differs from their own defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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

# Welfare is what is asked for. Eight numbers an action: a bonus for entropy would keep all of them noisy.
_MARKET = {"reward": "team", "ent_coef": 0.0, "init_std": 0.4}

OURS: dict[tuple[str, str], Defaults] = {
    (env, algo): defaults
    for env, defaults in {
        "warehouse": Defaults(run={"total_steps": 3_400_000, "video_every": 1_000_000}),
        "edge_market": Defaults(run={"total_steps": 2_000_000}, algo=_MARKET),
        "spread": Defaults(run={"total_steps": 1_500_000, "n_worlds": 128}, algo=_MPE),
    }.items()
    for algo in ("mappo", "ippo")
}
"""By environment and algorithm."""

OTHERS: dict[tuple[str, str], Defaults] = {
    (prefix, algo): Defaults(run={"total_steps": 600_000, "n_worlds": 128}, algo={**_MPE, "share": "group"})
    for prefix in ("mpe2.", "pettingzoo.mpe.", "mpe/")
    for algo in ("mappo", "ippo")
}
"""Of environments of others, by the beginning of the name and algorithm."""

ANY_OTHER = Defaults(run={"n_worlds": 0, "save_every": 20_000}, algo={"share": "group"})
"""Of all other environments of others: as many worlds as suit them, and slow ones lose minutes, not hours, in a crash;
their groups of agents may be adversaries."""


def defaults_of(env: str, algo: str, *, foreign: bool) -> Defaults:
    """What to start from.

    Args:
        env: Name of an environment, ours or anybody's.
        algo: Name of an algorithm.
        foreign: Whether the environment is somebody else's.
    """
    if not foreign:
        return OURS.get((env, algo), Defaults())
    fitting = (found for (prefix, name), found in OTHERS.items() if name == algo and env.startswith(prefix))
    return next(fitting, ANY_OTHER)
