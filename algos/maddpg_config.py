"""What can be chosen of MADDPG, MATD3 and IDDPG: each option once, with its default and its meaning, the help text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .maths.ranges import LAYER, LENGTH, RATE, SHARE, WEIGHT, Range, check
from .nets.layers import Activation, Share


@dataclass(frozen=True)
class MaddpgConfig:
    """MADDPG: deterministic policies, taught by critics that see what everybody does. MATD3 with `twin`."""

    policy_lr: float = 1e-3
    """Step size of Adam, of the policies; smaller than the critics', which have to know a slope first."""
    critic_lr: float = 3e-3
    """Step size of Adam, of the critics."""
    gamma: float = 0.99
    """Discount per environment step."""
    n_step: int = 3
    """Rewards summed before a target bootstraps; more learn faster from late rewards, of ever older behaviour."""
    tau: float = 0.03
    """How far the target networks go towards the learned ones in a gradient step; 1: they are the same."""
    update_every: int = 1
    """Steps of every world between updates."""
    updates: int = 4
    """Gradient steps an update. `updates` x `batch` / (`update_every` x worlds) is how often a step is learned from."""
    batch: int = 512
    """Moments of one world in a gradient step, all its agents at once."""
    warm_up: int = 5_000
    """Environment steps before the first update; actions are random until then."""
    replay_size: int = 250_000
    """Environment steps kept to learn from; its bytes are said at the start."""
    replay_on: Literal["device", "memory"] = "device"
    """Where they are kept: where the networks compute, or in the machine's memory."""
    prioritised: float = 0.0
    """Draw moments by surprise to this power: 0 all alike, 0.6 is usual."""
    prioritised_beta: float = 0.4
    """How far the bias of that is undone at the start of a run; fully at its end."""
    twin: bool = False
    """Two critics, of which the lower counts, and a slower policy: MATD3."""
    policy_delay: int = 2
    """Gradient steps of the critics for each of the policies, with `twin`."""
    target_noise: float = 0.2
    """Deviation of the noise on target actions [half the action range], with `twin`; continuous actions only."""
    target_noise_clip: float = 0.5
    """Most of that noise [half the action range]."""
    noise: Literal["gaussian", "ou"] = "gaussian"
    """What continuous actions explore with: independent noise, or Ornstein-Uhlenbeck noise that wanders."""
    noise_std: float = 0.3
    """Deviation of the noise at the start of a run [half the action range]."""
    noise_std_end: float = 0.1
    """Deviation of the noise at its end; linear in between."""
    ou_theta: float = 0.15
    """Share of Ornstein-Uhlenbeck noise that is forgotten in a step."""
    temperature: float = 1.0
    """Of the Gumbel-softmax that discrete actions are differentiated through, at the start of a run."""
    temperature_end: float = 1.0
    """Temperature at its end; linear in between."""
    head_penalty: float = 1e-3
    """Weight of the mean squared logits, or means before tanh, in the policy's loss, at the start of a run: keeps
    choices open until their worth is known."""
    head_penalty_end: float = 1e-3
    """That weight at its end; linear in between."""
    value_norm: bool = True
    """Learn values in units of the running deviation of their targets."""
    max_grad_norm: float = 0.5
    """Longest gradient, of the policies and of the critics each."""
    hidden: tuple[int, ...] = (64, 64)
    """Sizes of the hidden layers, of the policies and of the critics."""
    activation: Activation = "relu"
    """Between layers; relu is the fastest on a CPU, elu the slowest."""
    critic: Literal["central", "state", "local"] = "central"
    """What a critic sees: what all see and do; the global state, its own agent and what all do; its own agent alone."""
    share: Share = "all"
    """Who shares parameters: all agents, the agents of a group, or none."""
    agent_id: bool = False
    """Append the agent's one-hot index to its observation."""
    reward: Literal["individual", "team"] = "individual"
    """Whose reward an agent learns from: its own, or the team's."""
    obs_norm: Literal["auto", "on", "off"] = "auto"
    """Normalise observations by their running mean and deviation, images never; auto: only in environments of others
    whose observations are not bounded by about 1."""

    def __post_init__(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ValueError: Says what came and what is allowed.
        """
        check(self, RANGES)
        if self.warm_up > self.replay_size:
            raise ValueError(f"warm_up is {self.warm_up}; allowed are 0 to replay_size, which is {self.replay_size}")


_POSITIVE_SHARE = Range(0.0, 1.0, above=True)
_NOISE = Range(0.0, 100.0)
RANGES = {
    "policy_lr": RATE,
    "critic_lr": RATE,
    "gamma": SHARE,
    "n_step": Range(1, 1000),
    "tau": _POSITIVE_SHARE,
    "update_every": Range(1, 10**6),
    "updates": Range(1, 10**4),
    "batch": Range(1, 10**6),
    "warm_up": Range(0, 10**12),
    "replay_size": Range(1, 10**12),
    "prioritised": SHARE,
    "prioritised_beta": SHARE,
    "policy_delay": Range(1, 1000),
    "target_noise": _NOISE,
    "target_noise_clip": _NOISE,
    "noise_std": _NOISE,
    "noise_std_end": _NOISE,
    "ou_theta": _POSITIVE_SHARE,
    "temperature": RATE,
    "temperature_end": RATE,
    "head_penalty": WEIGHT,
    "head_penalty_end": WEIGHT,
    "max_grad_norm": LENGTH,
    "hidden": LAYER,
}
"""Of every number. How many fit together is for `footprint` to say, once the shapes are known."""


@dataclass(frozen=True)
class IddpgConfig(MaddpgConfig):
    """IDDPG: every agent learns from what it sees and does itself."""

    critic: Literal["central", "state", "local"] = "local"
    """What a critic sees: what all see and do; the global state, its own agent and what all do; its own agent alone."""
