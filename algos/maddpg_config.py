"""What can be chosen of MADDPG, MATD3 and IDDPG: each option once, with its default and its meaning, the help text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .nets import ACTIVATIONS, Activation, Share


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
        for name in ("gamma", "tau", "prioritised", "prioritised_beta", "ou_theta"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed is 0 to 1")
        for name in ("policy_lr", "critic_lr", "max_grad_norm", "temperature", "temperature_end", "tau", "ou_theta"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a positive number")
        for name in (
            "target_noise",
            "target_noise_clip",
            "noise_std",
            "noise_std_end",
            "head_penalty",
            "head_penalty_end",
        ):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be negative (0 switches it off)")
        for name in ("n_step", "update_every", "updates", "batch", "policy_delay", "replay_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.warm_up <= self.replay_size:
            raise ValueError(f"warm_up is {self.warm_up}; allowed is 0 to replay_size, {self.replay_size}")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden is {self.hidden}; name the size of at least one layer, as in (64, 64)")
        for name, allowed in (
            ("replay_on", ("device", "memory")),
            ("noise", ("gaussian", "ou")),
            ("activation", tuple(ACTIVATIONS)),
            ("critic", ("central", "state", "local")),
            ("share", ("all", "group", "none")),
            ("reward", ("individual", "team")),
            ("obs_norm", ("auto", "on", "off")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; allowed are {', '.join(map(repr, allowed))}")


@dataclass(frozen=True)
class IddpgConfig(MaddpgConfig):
    """IDDPG: every agent learns from what it sees and does itself."""

    critic: Literal["central", "state", "local"] = "local"
    """What a critic sees: what all see and do; the global state, its own agent and what all do; its own agent alone."""
