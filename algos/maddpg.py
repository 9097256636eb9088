"""MADDPG, MATD3 and IDDPG: deterministic policies for many agents, taught off-policy by critics of joint actions.

The whole update stands in `Maddpg._learn`, top to bottom; its gradient steps are `_critic_step` and `_policy_step`.

Axes: B worlds, N agents, O observation, S global state, A actions; R sampled moments, K steps of a target, V values (N,
or 1 for a team).

Sources: Lowe et al. 2017, "Multi-agent actor-critic for mixed cooperative-competitive environments" (MADDPG); Fujimoto
et al. 2018 (TD3) and Ackermann et al. 2019 (MATD3); Jang et al. 2017 (Gumbel-softmax). Deviations: discrete actions are
acted as one-hot choices, not as the soft ones Lowe's code acts with, and so differentiated straight through; values are
normalised; parameters may be shared.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .core import Action, Obs, Spec, Transition
from .experience.replay import Replay
from .experience.rollout import tensor_of
from .maddpg_config import MaddpgConfig
from .maths.exploration import gumbel, linear, ornstein_uhlenbeck, straight_through
from .maths.returns import constant_value, masked_mean, masked_var, n_step
from .maths.snapshots import copied
from .maths.threads import one_thread
from .nets.actor import Actor, categorical
from .nets.descent import Descent
from .nets.layers import ValueNorm
from .nets.obs_norm import RunningNorm
from .nets.q_critic import QCritic
from .nets.targets import Target
from .nets.vision import is_image


def build_actor(spec: Spec, config: MaddpgConfig, generator: torch.Generator | None = None) -> Actor:
    """The policy alone, as training builds it: load its parameters and execute."""
    return Actor(
        spec,
        share=config.share,
        agent_id=config.agent_id,
        hidden=config.hidden,
        activation=config.activation,
        init_std=max(config.noise_std, 1e-6),
        bounded=True,
        obs_norm=config.obs_norm == "on",
        generator=generator,
    )


class Maddpg:
    """Acts with `policy` and noise, keeps what came of it, and learns from draws of that.

    Same seed, same bytes (on one device, for one number of threads): all chance comes from generators of its own.

    Attributes:
        policy: The actor; all that execution needs.
        progress: Fraction of the run that is over, 0 to 1; whoever runs it sets it, for the schedules.
        replay: What there is to learn from; None until the number of worlds is known.
    """

    def __init__(self, spec: Spec, config: MaddpgConfig, *, seed: int, device: str = "cpu") -> None:
        """Builds networks, targets and optimisers; the replay comes with `begin`.

        Args:
            spec: Shapes.
            config: Options.
            seed: Of all chance.
            device: Where the networks compute.

        Raises:
            ValueError: The critic is to see a state, and there is none.
        """
        self.spec, self.config, self.device = spec, config, torch.device(device)
        self._store = torch.device("cpu") if config.replay_on == "memory" else self.device
        seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(4, np.uint64)]
        initial = torch.Generator().manual_seed(seeds[0])  # on the CPU: the same first weights on every device
        self._generators = {
            "exploring": torch.Generator(self.device).manual_seed(seeds[1]),
            "learning": torch.Generator(self.device).manual_seed(seeds[2]),
            "drawing": torch.Generator(self._store).manual_seed(seeds[3]),
        }
        self.policy = build_actor(spec, config, initial).to(self.device)
        space = spec.action_space
        self.action_dim = int(getattr(space, "n", 0)) or int(np.prod(space.shape or ()))  # A
        if config.critic == "state" and not spec.state_dim:
            raise ValueError("critic is 'state', but this environment has none; allowed are 'central' and 'local'")
        kind = "local" if config.critic == "local" else "team" if config.reward == "team" else "central"
        self.critics = nn.ModuleList(
            QCritic(
                spec,
                kind,
                self.action_dim,
                state=config.critic == "state",
                share=config.share,
                agent_id=config.agent_id,
                hidden=config.hidden,
                activation=config.activation,
                generator=initial,
            )
            for _ in range(1 + config.twin)
        ).to(self.device)
        self.kind = kind
        self.value_norm = ValueNorm(decay=0.999).to(self.device)
        normalizes = self.policy.obs_norm is not None and config.critic == "state"
        self.state_norm = RunningNorm(spec.state_dim, (0,)).to(self.device) if normalizes else None
        self.policy_descent, self.critic_descent = (
            Descent(network, lr=lr, eps=1e-5, max_grad_norm=config.max_grad_norm)
            for network, lr in ((self.policy, config.policy_lr), (self.critics, config.critic_lr))
        )
        self.target_policy = Target(self.policy, self.policy_descent)
        self.target_critics = Target(self.critics, self.critic_descent)
        self.progress = 0.0
        self.steps = 0  # of one world, all worlds together
        self.gradient_steps = 0

        self.replay: Replay | None = None
        self._since = 0  # steps of every world since the last update
        self._pending: Tensor | None = None  # the action of the last act, on the CPU
        self._wander: Tensor | None = None  # (B, N, A) of Ornstein-Uhlenbeck noise
        self._before: tuple[Tensor, Tensor | None] | None = None  # generator and noise that `take_back` goes back to

    def begin(self, obs: Obs) -> tuple[str, ...]:
        """Makes room; see `Algorithm.begin`."""
        config = self.config
        self.replay = Replay(
            self.spec,
            config.replay_size,
            len(obs.alive),
            state=config.critic == "state",
            action_mask=obs.action_mask is not None,
            prioritised=config.prioritised,
            device=self._store,
        )
        steps = self.replay.steps * self.replay.n_worlds
        return (f"replay: {steps:,} steps in {self.replay.nbytes:,} bytes on {self._store}",)

    @one_thread()
    @torch.inference_mode()
    def act(self, obs: Obs, *, greedy: bool = False) -> Action:
        """Chooses actions for all agents in one forward pass; see `Algorithm.act`."""
        x = tensor_of(obs.obs, self.device)  # (B, N, O)
        mask = None if obs.action_mask is None else tensor_of(obs.action_mask, self.device)  # (B, N, A)
        head, _ = self.policy(x)  # (B, N, A)
        if greedy:
            action, _ = self.policy.sample(head, mask)
            return self.policy.to_space(action).cpu().numpy()
        generator = self._generators["exploring"]
        self._before = generator.get_state(), self._wander
        random = self.steps < self.config.warm_up
        if self.policy.discrete:
            action, _ = self.policy.sample(torch.zeros_like(head) if random else head, mask, generator)
        elif random:
            action = torch.empty_like(head).uniform_(-1.0, 1.0, generator=generator)
        else:
            mean, _ = self.policy.sample(head)
            action = (mean + self._noise(mean, obs)).clamp(-1.0, 1.0)
        self._pending = action.cpu()
        return self.policy.to_space(action).cpu().numpy()

    def _noise(self, mean: Tensor, obs: Obs) -> Tensor:
        """(B, N, A) what continuous actions explore with, in units of half the action range."""
        config, generator = self.config, self._generators["exploring"]
        std = linear(config.noise_std, config.noise_std_end, self.progress)
        if config.noise == "gaussian":
            return std * torch.empty_like(mean).normal_(generator=generator)
        before = torch.zeros_like(mean) if self._wander is None or len(self._wander) != len(mean) else self._wander
        before = before.masked_fill(tensor_of(obs.started, self.device).view(-1, 1, 1), 0.0)
        self._wander = ornstein_uhlenbeck(before, theta=config.ou_theta, std=std, generator=generator)
        return self._wander

    def take_back(self) -> None:
        """Makes the last `act` that was not greedy undone, if it was not observed; see `Algorithm.take_back`."""
        if self._pending is None or self._before is None:
            return
        exploring, self._wander = self._before
        self._generators["exploring"].set_state(exploring)
        self._pending = self._before = None

    def observe(self, transition: Transition) -> None:
        """Stores what came of the last `act` that was not greedy.

        Raises:
            ValueError: There was none.
        """
        if self._pending is None:
            raise ValueError("observe() came before act(): a transition belongs to the last act(greedy=False)")
        if self.replay is None:
            self.begin(transition.obs)
        assert self.replay is not None
        self.replay.add(transition, self._pending)
        self._count(transition.obs)
        self._pending = None
        self._since += 1
        self.steps += len(transition.ended)

    def update(self) -> dict[str, float]:
        """Learns from draws of the replay, every `update_every` steps of the worlds; {} otherwise."""
        config, replay = self.config, self.replay
        if replay is None or len(replay) < max(config.warm_up, 1) or self._since < config.update_every:
            return {}
        self._since = 0
        # Some thousand rows of numbers are too few to be shared out among threads; images are not.
        with nullcontext() if is_image(self.spec.obs_shape) else one_thread():
            return self._learn(replay)

    def _learn(self, replay: Replay) -> dict[str, float]:
        """Gradient steps: critics towards targets, policies up the critics' slope, target networks after them."""
        config, drawing = self.config, self._generators["drawing"]
        beta = linear(config.prioritised_beta, 1.0, self.progress)
        delay = config.policy_delay if config.twin else 1
        of_critics: list[dict[str, Tensor]] = []
        of_policy: list[dict[str, Tensor]] = []
        if config.value_norm and not self.value_norm.begun:  # values find their offset before the policy learns
            so_far = {name: field.to(self.device) for name, field in replay.rewards().items()}
            alive = so_far["alive"].any(-1, keepdim=True) if self.kind == "team" else so_far["alive"]
            self.value_norm.begin_at(constant_value(*self._rewards(so_far), alive, gamma=config.gamma))
        for _ in range(config.updates):
            index = replay.draw(config.batch, drawing)  # (R,)
            moments = {name: field.to(self.device) for name, field in replay.sample(index, config.n_step).items()}
            self._normalize(moments)
            joint = self._joint(moments["action"], moments["alive"])  # (R, N, A)
            weight = None
            if replay.priorities is not None:
                weight = replay.priorities.weights(index, len(replay), beta).to(self.device)  # (R,)
            stats, surprise = self._critic_step(moments, joint, weight)
            of_critics.append(stats)
            if replay.priorities is not None:
                replay.priorities.update(index, surprise.to(replay.device))
            self.gradient_steps += 1
            if self.gradient_steps % delay == 0:
                of_policy.append(self._policy_step(moments, joint))
                self.target_policy.follow(config.tau)
                self.target_critics.follow(config.tau)
        if not self.policy.discrete:  # what a saved policy explores with
            std = linear(config.noise_std, config.noise_std_end, self.progress)
            self.policy.log_std.fill_(math.log(max(std, 1e-6)))
        means = {
            name: torch.stack([step[name] for step in history]).mean()
            for history in (of_critics, of_policy)
            if history
            for name in history[0]
        }
        values = torch.stack(list(means.values())).tolist()  # one copy from the device
        return {**dict(zip(means, values, strict=True)), "replay_steps": float(len(replay))}

    def _critic_step(
        self, moments: dict[str, Tensor], joint: Tensor, weight: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """One gradient step of the critics towards n-step targets (Lowe et al. 2017, equation 6).

        Returns:
            Statistics, and how far each moment's prediction was off, (R,), in normalised units.
        """
        config = self.config
        target = self._targets(moments)  # (R, V)
        alive = moments["alive"]  # (R, N)
        counts = alive.any(-1, keepdim=True).float() if self.kind == "team" else alive.float()  # (R, V)
        stats = {
            "value_mean": masked_mean(target, counts),
            "value_std": masked_var(target, counts).sqrt(),
        }
        if config.value_norm:
            self.value_norm.update(target, counts)
            target = self.value_norm.normalize(target)
        weights = counts if weight is None else counts * weight.unsqueeze(-1)
        values = [critic(moments["obs"], moments.get("state"), joint) for critic in self.critics]  # (R, V) each
        losses = [((value - target).square() * weights).sum() / counts.sum().clamp(min=1.0) for value in values]
        norm = self.critic_descent.step(0.5 * torch.stack(losses).sum())
        with torch.no_grad():
            off = ((values[0] - target).abs() * counts).sum(-1) / counts.sum(-1).clamp(min=1.0)  # (R,)
            stats |= {"value_loss": 0.5 * losses[0].detach(), "td_error": off.mean(), "critic_grad_norm": norm}
        return stats, off

    def _count(self, obs: Obs) -> None:
        """Adds what is acted on to the statistics of observations and states, where they are normalised."""
        if self.policy.obs_norm is None:
            return
        alive = tensor_of(obs.alive, self.device)  # (B, N)
        self.policy.obs_norm.update(tensor_of(obs.obs, self.device), alive)
        if self.state_norm is not None:
            self.state_norm.update(tensor_of(obs.state, self.device).unsqueeze(-2), alive.any(-1, keepdim=True))

    @torch.no_grad()
    def _normalize(self, moments: dict[str, Tensor]) -> None:
        """Puts normalised observations and states in the place of those that the environment gave."""
        moments["obs"] = self.policy.normalize(moments["obs"], moments["alive"])
        moments["next_obs"] = self.policy.normalize(moments["next_obs"], moments["next_here"])
        if self.state_norm is not None:
            for name in ("state", "next_state"):
                moments[name] = self.state_norm(moments[name].unsqueeze(-2)).squeeze(-2)

    @torch.no_grad()
    def _targets(self, moments: dict[str, Tensor]) -> Tensor:
        """(R, V) n-step targets in the reward's units.

        The dead bootstrap from nothing. Who leaves a world that goes on bootstraps from the moment it left, which it
        still saw; who stays, from a world without it. A team lives on until nobody is left.
        """
        config = self.config
        obs, state = moments["next_obs"], moments.get("next_state")
        here, left = moments["next_here"], moments["left"]  # (R, N)
        action = self._target_actions(obs, moments.get("next_action_mask"), here)  # (R, N, A)
        value = self._target_values(obs, state, action)  # (R, V)
        assert self.replay is not None
        if self.replay.departures:
            stays = ~left.unsqueeze(-1)  # (R, N, 1)
            without = self._target_values(obs * stays, state, action * stays)  # (R, V)
            value = without if self.kind == "team" else torch.where(left, value, without)
        if config.value_norm:
            value = self.value_norm.denormalize(value)  # here and nowhere else
        reward, terminated = self._rewards(moments)  # (R, K, V) each
        total, discount = n_step(reward, terminated, moments["stop"], gamma=config.gamma)  # (R, V) each
        return total + discount * value

    def _rewards(self, steps: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What the values sum up and what ends them, (R, K, V) each, from the fields of (R, K) steps."""
        if self.kind == "team":
            return steps["team_reward"].unsqueeze(-1), steps["team_over"].unsqueeze(-1)
        if self.config.reward == "team":  # a local critic cannot see the team live on after its agent's death
            return steps["team_reward"].unsqueeze(-1).expand(-1, -1, self.spec.n_agents), steps["terminated"]
        return steps["reward"], steps["terminated"]

    def _target_actions(self, obs: Tensor, mask: Tensor | None, here: Tensor) -> Tensor:
        """(R, N, A) what the target policies do: draws of discrete ones (as Lowe's code), noisy with `twin`."""
        config, generator = self.config, self._generators["learning"]
        head, _ = self.target_policy.network(obs, normalized=True)  # (R, N, A)
        if self.policy.discrete:
            log_p = categorical(head, mask)
            action = straight_through(log_p, gumbel(log_p, generator), 1.0)
        else:
            action = torch.tanh(head)
            if config.twin:  # Fujimoto et al. 2018, equation 14
                noise = config.target_noise * torch.empty_like(action).normal_(generator=generator)
                noise = noise.clamp(-config.target_noise_clip, config.target_noise_clip)
                action = (action + noise).clamp(-1.0, 1.0)
        return action * here.unsqueeze(-1)

    def _target_values(self, obs: Tensor, state: Tensor | None, action: Tensor) -> Tensor:
        """(R, V) of the target critics, the lower one where there are two (Fujimoto et al. 2018, equation 10)."""
        values = [critic(obs, state, action) for critic in self.target_critics.network]
        return values[0] if len(values) == 1 else torch.minimum(*values)

    def _policy_step(self, moments: dict[str, Tensor], joint: Tensor) -> dict[str, Tensor]:
        """One gradient step of the policies: up the critic's slope at each agent's own action (Lowe et al. 2017, eq. 5)

        The others do what they did. The critic is asked for the slope alone, so its parameters get no gradient.
        """
        config = self.config
        alive = moments["alive"].float()  # (R, N)
        head, _ = self.policy(moments["obs"], normalized=True)  # (R, N, A)
        log_p = None
        if self.policy.discrete:
            log_p = categorical(head, moments.get("action_mask"))
            action = straight_through(log_p, gumbel(log_p, self._generators["learning"]), self._temperature)
        else:
            action = torch.tanh(head)
        own = (action * alive.unsqueeze(-1)).detach().requires_grad_()  # (R, N, A)
        value = self.critics[0](moments["obs"], moments.get("state"), joint, own)  # (R, N)
        (slope,) = torch.autograd.grad((value * alive).sum(), own)  # (R, N, A) dQ_i / da_i, 0 for the dead
        climb = masked_mean((slope * action).sum(-1), alive)
        penalty = masked_mean(head.square().mean(-1), alive)

        weight = linear(config.head_penalty, config.head_penalty_end, self.progress)
        norm = self.policy_descent.step(weight * penalty - climb)
        with torch.no_grad():
            stats = {
                "policy_value": masked_mean(self.value_norm.denormalize(value) if config.value_norm else value, alive),
                "slope": masked_mean(slope.square().sum(-1).sqrt(), alive),
                "head_square": penalty.detach(),
                "grad_norm": norm,
            }
            if log_p is not None:
                stats["entropy"] = masked_mean(-(log_p.exp() * log_p).sum(-1), alive)
        return stats

    @property
    def _temperature(self) -> float:
        return linear(self.config.temperature, self.config.temperature_end, self.progress)

    def _joint(self, action: Tensor, alive: Tensor) -> Tensor:
        """(R, N, A) what all did, as the critics read it: one-hot or in [-1, 1], zeros for the dead."""
        if self.policy.discrete:
            action = F.one_hot(action, self.action_dim).float()
        return action * alive.unsqueeze(-1)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the replay, copied: networks, their targets, optimisers, generators, normaliser, noise."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        state = {
            **parts,
            "device": self.device.type,
            "generators": {name: generator.get_state() for name, generator in self._generators.items()},
            "progress": self.progress,
            "steps": self.steps,
            "gradient_steps": self.gradient_steps,
            "since": self._since,
            "pending": self._pending,
            "wander": self._wander,
        }
        return copied(state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state_dict` of an algorithm built for the same spec and config; the replay is empty.

        With its content (`begin`, then `replay.load_state_dict`) it goes on bit for bit; without, it fills up again to
        `warm_up` steps before it learns.
        """
        state = copied(state)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        for name, generator in self._generators.items():
            if state["device"] == self.device.type:
                generator.set_state(state["generators"][name].cpu())
            else:  # the generators of a CPU and a GPU have nothing in common: go on, though not bit for bit
                generator.manual_seed(generator.initial_seed() + state["gradient_steps"])
        self.progress, self.steps = state["progress"], state["steps"]
        self.gradient_steps, self._since = state["gradient_steps"], state["since"]
        pending, wander = state["pending"], state["wander"]
        self._pending = None if pending is None else pending.cpu()
        self._wander = None if wander is None else wander.to(self.device)
        self.replay = None

    def _parts(self) -> dict[str, Any]:
        """What has a state of its own, by its name in `state_dict`."""
        of_state = {} if self.state_norm is None else {"state_norm": self.state_norm}
        return {
            **of_state,
            "policy": self.policy,
            "critics": self.critics,
            "target_policy": self.target_policy.network,
            "target_critics": self.target_critics.network,
            "value_norm": self.value_norm,
            "policy_descent": self.policy_descent,
            "critic_descent": self.critic_descent,
        }
