"""What can be chosen of MAPPO and IPPO: each option once, with its default and its meaning, which is the help text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .maths.ranges import LAYER, LENGTH, RATE, SHARE, WEIGHT, Range, check
from .nets.layers import Activation, Share


@dataclass(frozen=True)
class MappoConfig:
    """MAPPO: PPO with a centralised critic."""

    lr: float = 1e-3
    """Step size of Adam."""
    anneal: bool = True
    """Let the step size and the entropy bonus fall linearly to zero over the run."""
    gamma: float = 0.99
    """Discount per environment step."""
    gae_lambda: float = 0.95
    """Between one-step temporal differences (0) and Monte-Carlo returns (1)."""
    rollout_steps: int = 64
    """Steps of every world between updates."""
    epochs: int = 4
    """Passes over a rollout."""
    minibatches: int = 8
    """Gradient steps a pass."""
    clip_coef: float = 0.2
    """How far the probability ratio may move from 1 and still be rewarded for it."""
    value_clip_coef: float = 0.2
    """How far a value may move in an update and still be rewarded for it, in normalised units; 0 switches it off."""
    value_loss: Literal["huber", "mse"] = "huber"
    """Huber bends from square to linear at 10 normalised units."""
    value_norm: bool = True
    """Learn values in units of the running deviation of their targets."""
    ent_coef: float = 0.01
    """Weight of the entropy bonus."""
    max_grad_norm: float = 0.5
    """Longest gradient, of the actor and of the critic each."""
    target_kl: float | None = None
    """End the update after a pass in which the policy moved further than this [nats]; none: never."""
    hidden: tuple[int, ...] = (64, 64)
    """Sizes of the hidden layers, of the actor and of the critic."""
    activation: Activation = "silu"
    """Between layers; relu is the fastest on a CPU, elu the slowest."""
    gru: int = 0
    """Size of a recurrent layer on top of the hidden ones; 0 for none."""
    critic: Literal["central", "local"] = "central"
    """What values are predicted from: the global state, or each agent's own observation."""
    share: Share = "all"
    """Who shares parameters: all agents, the agents of a group, or none."""
    agent_id: bool = False
    """Append the agent's one-hot index to its observation."""
    reward: Literal["individual", "team"] = "individual"
    """Whose reward an agent learns from: its own, or the team's."""
    obs_norm: Literal["auto", "on", "off"] = "auto"
    """Normalise observations by their running mean and deviation, images never; auto: only in environments of others
    whose observations are not bounded by about 1."""
    init_std: float = 0.6
    """First deviation of a Gaussian policy, in units of half the action range."""

    def __post_init__(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ValueError: Says what came and what is allowed.
        """
        check(self, RANGES)


RANGES = {
    "lr": RATE,
    "gamma": SHARE,
    "gae_lambda": SHARE,
    "rollout_steps": Range(1, 10**6),
    "epochs": Range(1, 1000),
    "minibatches": Range(1, 10**6),
    "clip_coef": RATE,
    "value_clip_coef": WEIGHT,
    "ent_coef": WEIGHT,
    "max_grad_norm": LENGTH,
    "target_kl": RATE,
    "hidden": LAYER,
    "gru": Range(0, 4096),
    "init_std": Range(0.0, 100.0, above=True),
}
"""Of every number. How many fit together is for `footprint` to say, once the shapes are known."""


@dataclass(frozen=True)
class IppoConfig(MappoConfig):
    """IPPO: every agent runs PPO on what it sees itself."""

    critic: Literal["central", "local"] = "local"
    """What values are predicted from: the global state, or each agent's own observation."""
