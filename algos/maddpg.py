"""MADDPG, MATD3 and IDDPG: deterministic policies for many agents, taught off-policy by critics of joint actions.

First the options, then the algorithm. The whole update stands in `Maddpg._learn`, top to bottom; its gradient steps are
`_critic_step` and `_policy_step`.

Axes: B worlds, N agents, O observation, S global state, A actions; R sampled transitions, K steps of a target, V values
(N, or 1 for a team).

Sources: Lowe et al. 2017, "Multi-agent actor-critic for mixed cooperative-competitive environments" (MADDPG); Fujimoto
et al. 2018 (TD3) and Ackermann et al. 2019 (MATD3); Jang et al. 2017 (Gumbel-softmax). Deviations: agents act with
one-hot discrete actions instead of the relaxed ones of Lowe's code, and so these are differentiated straight through;
values are normalised; parameters may be shared.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .comm.hearing import Hearing
from .comm.statistics import bits_of_message, heard_statistics, sent_statistics
from .core import Action, Array, Memory, Obs, Player, Savable, Spec, StepLike, Transition, memory_for
from .credit import rules
from .credit.rules import OffPolicyCredit
from .experience.fields import bytes_of
from .experience.heard import field_of
from .experience.replay import Replay, replay_fields
from .maths.arrays import tensor_of
from .maths.chance import Generators
from .maths.exploration import gumbel, linear, ornstein_uhlenbeck, straight_through
from .maths.ranges import LENGTH, RATE, SHARE, WEIGHT, Range
from .maths.returns import constant_value, masked_mean, masked_var, n_step
from .maths.snapshots import copied, on_device
from .maths.threads import one_thread
from .nets.actor import Actor, Out, categorical
from .nets.config import Activation, NetConfig
from .nets.flat_adam import FlatAdam
from .nets.lesson import Teaching
from .nets.obs_norm import InputNorm
from .nets.q_critic import QCritic
from .nets.severed import Rows, severed
from .nets.sharing import Numbers, learners_of
from .nets.targets import Target
from .nets.value_norm import ValueNorm
from .nets.variation import Variation
from .nets.vision import is_image
from .training.footprint import ADAM, FLOAT, Part, encoded, parameters, place_of, remembered, talking

CriticInput = Literal["central", "state", "local"]
_POSITIVE_SHARE = Range(0.0, 1.0, above=True)
_NOISE = Range(0.0, 100.0)
_PRESENT = {
    "": "alive",
    "next_": "next_present",
    "earlier_": "earlier_alive",
    "next_earlier_": "next_earlier_alive",
}
"""By the beginning of the names of sampled fields, the field that says which agents are in them."""
_WATCHES_EVERY = 16
"""Updates between two looks at what messages do: each costs two forward passes of a batch."""
_TIGHTENS_EVERY = 64
"""Steps of every world between two looks of the medium's curriculum at their mean reward."""


@dataclass(frozen=True)
class MaddpgConfig(NetConfig):
    """MADDPG: deterministic policies, taught by critics of joint actions; with `twin` it is MATD3."""

    policy_lr: Annotated[float, RATE] = 1e-3
    """Learning rate of the policies; keep it below that of the critics, whose gradients the policies follow."""
    critic_lr: Annotated[float, RATE] = 3e-3
    """Learning rate of the critics."""
    gamma: Annotated[float, SHARE] = 0.99
    """Discount per environment step."""
    n_step: Annotated[int, Range(1, 1000)] = 3
    """Rewards that a target sums before it bootstraps; more propagate late rewards faster, but more off-policy."""
    tau: Annotated[float, _POSITIVE_SHARE] = 0.03
    """Fraction by which target networks approach the learned ones in a gradient step; 1: both are the same."""
    update_every: Annotated[int, Range(1, 10**6)] = 1
    """Steps of every world between updates."""
    updates: Annotated[int, Range(1, 10**4)] = 4
    """Gradient steps per update. A step is learned from `updates` x `batch` / (`update_every` x worlds) times."""
    batch: Annotated[int, Range(1, 10**6)] = 512
    """Transitions in a gradient step, each of one world and all its agents."""
    warm_up: Annotated[int, Range(0, 10**12)] = 5_000
    """Environment steps before the first update; actions are random until then."""
    policy_start: Annotated[int, Range(0, 10**9)] = 200
    """Gradient steps that the critics make before the policies' first: slopes of untrained critics lead anywhere."""
    replay_size: Annotated[int, Range(1, 10**12)] = 250_000
    """Environment steps that the replay holds; its size in bytes is printed at the start."""
    replay_on: Literal["device", "memory"] = "device"
    """Place of the replay: the device of the networks, or the memory of the machine."""
    prioritised: Annotated[float, SHARE] = 0.0
    """Exponent of prioritised replay; 0: transitions are drawn uniformly, 0.6 is usual."""
    prioritised_beta: Annotated[float, SHARE] = 0.4
    """Importance-sampling exponent of prioritised replay at the start of a run; it grows to 1 at its end."""
    twin: bool = False
    """Use two critics, of which the lower value counts, and a delayed policy: MATD3."""
    policy_delay: Annotated[int, Range(1, 1000)] = 2
    """Gradient steps of the critics per gradient step of the policies; only with `twin`."""
    target_noise: Annotated[float, _NOISE] = 0.2
    """Standard deviation of noise on target actions [half the action range]; only if `twin` and continuous."""
    target_noise_clip: Annotated[float, _NOISE] = 0.5
    """Largest noise on target actions [half the action range]; only if `twin` and continuous."""
    noise: Literal["gaussian", "ou"] = "gaussian"
    """Exploration noise of continuous actions: independent in every step, or Ornstein-Uhlenbeck, correlated in time."""
    noise_std: Annotated[float, _NOISE] = 0.3
    """Standard deviation of exploration noise at the start of a run [half the action range]."""
    noise_std_end: Annotated[float, _NOISE] = 0.1
    """Standard deviation of exploration noise at the end of a run [half the action range]; linear in between."""
    ou_theta: Annotated[float, _POSITIVE_SHARE] = 0.15
    """Fraction of Ornstein-Uhlenbeck noise that decays in a step."""
    temperature: Annotated[float, RATE] = 1.0
    """Temperature of the Gumbel-softmax that gives discrete actions a gradient, at the start of a run."""
    temperature_end: Annotated[float, RATE] = 1.0
    """Temperature of the Gumbel-softmax at the end of a run; linear in between."""
    head_penalty: Annotated[float, WEIGHT] = 1e-3
    """Weight of the penalty on squared logits, or means before tanh, at the start of a run: it keeps choices open."""
    head_penalty_end: Annotated[float, WEIGHT] = 1e-3
    """Weight of that penalty at the end of a run; linear in between."""
    value_norm: bool = True
    """Learn values in units of the running deviation of their targets."""
    max_grad_norm: Annotated[float, LENGTH] = 0.5
    """Largest norm of a gradient, for policies and critics each; longer gradients are scaled down to it."""
    activation: Activation = "relu"
    gru: Annotated[int, Range(0, 0)] = 0
    """Size of a recurrent layer; it must be 0, because MADDPG has no recurrent policy."""
    critic: CriticInput = "central"
    """central: all observations and actions; state: the state for the others' observations; local: its agent's."""
    credit: OffPolicyCredit = "individual"
    """What an agent learns from: its own reward, its team's, or the difference it makes to that (docs/credit.md)."""
    obs_norm: Literal["auto", "on", "off"] = "auto"
    """Normalise observations, but not images, by running statistics; auto: only foreign ones with bounds above 10."""

    def __post_init__(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ValueError: Says what came and what is allowed.
        """
        if isinstance(self.gru, int) and self.gru:
            raise ValueError(f"gru is {self.gru}; it must be 0: MADDPG has no recurrent policy (MAPPO has)")
        super().__post_init__()
        if self.warm_up > self.replay_size:
            raise ValueError(f"warm_up is {self.warm_up}; allowed are 0 to replay_size, which is {self.replay_size}")


@dataclass(frozen=True)
class IddpgConfig(MaddpgConfig):
    """IDDPG: every agent learns from its own observations and actions."""

    critic: CriticInput = "local"


class Maddpg:
    """Acts with `policy` and noise, stores the outcome, and learns from samples of it.

    Same seed, same bytes (on one device, for one number of threads): all chance comes from generators of its own.

    Attributes:
        policy: The actor; all that execution needs.
        progress: Fraction of the run that is over, 0 to 1, for the schedules; the training loop sets it.
        replay: The stored experience; None until the number of worlds is known.
    """

    def __init__(self, spec: Spec, config: MaddpgConfig, *, seed: int, device: str = "cpu") -> None:
        """Builds networks, targets and optimisers; the replay is allocated by `begin`.

        Args:
            spec: Shapes.
            config: Options.
            seed: Seed of all chance.
            device: Where the networks compute.

        Raises:
            ValueError: The critic is to read a state, and there is none.
        """
        if config.critic == "state" and not spec.state_dim:
            raise ValueError("critic is 'state', but this environment has none; allowed are 'central' and 'local'")
        self.spec, self.config, self.device = spec, config, torch.device(device)
        store = "cpu" if config.replay_on == "memory" else self.device
        # Initial weights are drawn on the CPU: they are the same on every device.
        self._generators = Generators(seed, initial="cpu", exploring=self.device, learning=self.device, drawing=store)
        initial = self._generators["initial"]
        std, obs_norm = max(config.noise_std, 1e-6), config.obs_norm == "on"
        actor = Actor(spec, config, init_std=std, bounded=True, obs_norm=obs_norm, generator=initial)
        self.policy = actor.to(self.device)
        self.kind = kind = "local" if config.critic == "local" else "team" if config.credit == "team" else "central"
        reads_state = config.critic == "state"
        self.critics = nn.ModuleList(
            QCritic(spec, kind, config, state=reads_state, generator=initial) for _ in range(1 + config.twin)
        ).to(self.device)
        self.learners = learners_of(spec, config.share)
        of_values = self.learners if kind != "team" else 1
        self._each, self._each_value = self.learners > 1, of_values > 1  # learns by itself
        self.value_norm = ValueNorm(decay=0.999, learners=of_values).to(self.device)
        self.input_norm = InputNorm(self.policy.obs_norm, spec.state_dim if reads_state else 0)
        self.policy_adam, self.critic_adam = (
            FlatAdam(network, lr=lr, eps=1e-5, max_grad_norm=config.max_grad_norm, learners=learners)
            for network, lr, learners in (
                (self.policy, config.policy_lr, self.learners),
                (self.critics, config.critic_lr, of_values),
            )
        )
        self.target_policy = Target(self.policy, self.policy_adam)
        self.target_critics = Target(self.critics, self.critic_adam)
        self.tutor: Teaching | None = None  # says what peers would do, where learners learn from each other
        self.variation: Variation | None = None  # options in which learners differ, where somebody sets them
        self.progress = 0.0
        self.steps = 0  # environment steps, summed over worlds
        self.gradient_steps = 0
        remembers = self.policy.conversation is not None and self.policy.conversation.remembers
        self._recall_rounds = config.comm_rounds if remembers else 0  # see `Replay.sample`

        self.replay: Replay | None = None
        self._greedy = Player(self.policy)  # has a memory of its own
        self._memory: Memory | None = None  # after the last act
        self._noise: Tensor | None = None  # (B, N, A) of the Ornstein-Uhlenbeck process, after the last act
        self._pending: Tensor | None = None  # the action of the last act, on the CPU
        self._before: tuple[Tensor, Memory | None, Tensor | None] | None = None  # the state that `take_back` restores
        self._unlearned = 0  # steps of every world since the last update

    def begin(self, obs: Obs) -> tuple[str, ...]:
        """Allocates the replay; see `Algorithm.begin`."""
        config = self.config
        self.replay = Replay(
            self.spec,
            config.replay_size,
            len(obs.alive),
            keep=_kept(self.spec, config, action_mask=obs.action_mask is not None),
            prioritised=config.prioritised,
            device=self._generators["drawing"].device,
        )
        steps = self.replay.steps * self.replay.n_worlds
        return (f"replay: {steps:,} steps in {self.replay.nbytes:,} bytes on {self.replay.device}",)

    @one_thread()
    @torch.inference_mode()
    def act(self, obs: Obs, *, greedy: bool = False) -> Action:
        """Chooses actions for all agents in one forward pass; see `Algorithm.act`."""
        if greedy:
            return self._greedy(obs)
        self._before = self._generators["exploring"].get_state(), self._memory, self._noise
        memory = memory_for(self.policy, obs, self._memory)
        head, action_mask, self._memory = self.policy.heads(obs, memory)  # (B, N, A)
        action = self._explored(head, action_mask, tensor_of(obs.started, self.device))
        self._pending = action.cpu()
        return self.policy.to_space(action).cpu().numpy()

    def _explored(self, head: Tensor, action_mask: Tensor | None, started: Tensor) -> Tensor:
        """Returns actions to explore with, (B, N) or (B, N, A): uniform during `warm_up`, then with noise."""
        config, generator = self.config, self._generators["exploring"]
        random = self.steps < config.warm_up
        if self.policy.discrete:
            return self.policy.sample(torch.zeros_like(head) if random else head, action_mask, generator)[0]
        if random:
            return torch.empty_like(head).uniform_(-1.0, 1.0, generator=generator)
        mean, _ = self.policy.sample(head)
        std = linear(config.noise_std, config.noise_std_end, self.progress)
        if config.noise == "gaussian":
            noise = std * torch.empty_like(mean).normal_(generator=generator)
        else:
            before = torch.zeros_like(mean) if self._noise is None or len(self._noise) != len(mean) else self._noise
            before = before.masked_fill(started.view(-1, 1, 1), 0.0)
            noise = self._noise = ornstein_uhlenbeck(before, theta=config.ou_theta, std=std, generator=generator)
        return (mean + noise).clamp(-1.0, 1.0)

    def credited(self, obs: Obs, memory: Memory, action: Action, step: StepLike) -> Array | None:  # noqa: ARG002
        """Returns the reward that each agent would learn from in a step, (B, N); see `Mappo.credited`."""
        return rules.credited(self.config.credit, step)

    def take_back(self) -> None:
        """Undoes the last `act` that was not greedy, if it was not observed; see `Algorithm.take_back`."""
        if self._pending is None or self._before is None:
            return
        exploring, self._memory, self._noise = self._before
        self._generators["exploring"].set_state(exploring)
        self._pending = self._before = None

    def observe(self, transition: Transition) -> None:
        """Stores the outcome of the last `act` that was not greedy.

        Raises:
            ValueError: There was none.
        """
        if self._pending is None:
            raise ValueError("observe() came before act(): a transition belongs to the last act(greedy=False)")
        if self.replay is None:
            self.begin(transition.obs)
        assert self.replay is not None
        self.replay.add(transition, self._pending, *self._heard(transition))
        if self.policy.obs_norm is not None:  # read-only arrays would be copied for nothing
            obs = transition.obs
            self.input_norm.count(tensor_of(obs.obs), tensor_of(obs.state), tensor_of(obs.alive))
        self._pending = None
        self._unlearned += 1
        self.steps += len(transition.ended)
        if self.policy.conversation is not None and self.config.channel.curriculum:
            self._tighten(self.replay)

    def _tighten(self, replay: Replay) -> None:
        """Tightens the medium by the rewards of the last steps, every so often; see `Curriculum`."""
        mediums = []
        for network in (self.policy, self.target_policy.network):  # targets read messages of as many bits
            assert network.conversation is not None
            mediums.append(network.conversation.medium.tightness)
        due = self.steps // replay.n_worlds % _TIGHTENS_EVERY == 0
        if self.steps <= self.config.warm_up:
            for tightness in mediums:
                tightness.waits(self.progress)
            return
        if not due and not mediums[0].overdue(self.progress):
            return
        recent = replay.rewards(newest=_TIGHTENS_EVERY)
        mean = float(masked_mean(self._rewards(recent)[0], self._whose(recent["alive"]).float()))
        for tightness in mediums:
            tightness.learned(self.progress, mean)

    @torch.inference_mode()
    def _heard(self, transition: Transition) -> tuple[Tensor, ...]:
        """Returns the ages of messages heard before and after the step, (B, N, N) each; nothing without communication.

        What is heard after it is what will be heard in the next step, if the world goes on. An agent that leaves
        hears nothing there.
        """
        if self.policy.conversation is None:
            return ()
        assert self._memory is not None
        return self._memory["age"], self.policy.hears(transition.final, self._memory)

    def update(self) -> dict[str, float]:
        """Learns every `update_every` steps of the worlds, after `warm_up`; see `Algorithm.update`."""
        config, replay = self.config, self.replay
        if replay is None or len(replay) < max(config.warm_up, 1) or self._unlearned < config.update_every:
            return {}
        self._unlearned = 0
        # A product of a few thousand rows does not divide well among threads; one of images does.
        with nullcontext() if is_image(self.spec.obs_shape) else one_thread():
            return self._learn(replay)

    def _learn(self, replay: Replay) -> dict[str, float]:
        """Makes gradient steps of the critics and, after `policy_start` of them, of the policies; moves the targets."""
        config, drawing = self.config, self._generators["drawing"]
        beta = linear(config.prioritised_beta, 1.0, self.progress)
        delay = config.policy_delay if config.twin else 1
        of_critics: list[dict[str, Tensor]] = []
        of_policy: list[dict[str, Tensor]] = []
        batch: dict[str, Tensor] = {}
        if config.value_norm and not self.value_norm.begun:  # values get their offset before the policy learns
            so_far = {name: field.to(self.device) for name, field in replay.rewards().items()}
            whose = self._whose(so_far["alive"])
            every = *self._rewards(so_far), whose
            self.value_norm.begin_at(constant_value(*every, gamma=self._gamma, each=self._each_value))
        for adam in self._adams_of_learners():
            adam.pace = None if self.variation is None else self.variation.pace
        for _ in range(config.updates):
            index = replay.draw(config.batch, drawing)  # (R,)
            sample = replay.sample(index, config.n_step, recall_rounds=self._recall_rounds)
            batch = {name: field.to(self.device) for name, field in sample.items()}
            for lead, present in _PRESENT.items():
                if present in batch:
                    self.input_norm.apply(batch, batch[present], lead=lead)
            joint = self._joint(batch["action"], batch["alive"])  # (R, N, A)
            weight = None
            if replay.priorities is not None:
                weight = replay.priorities.weights(index, len(replay), beta).to(self.device)  # (R,)
            stats, td_error = self._critic_step(batch, joint, weight)
            of_critics.append(stats)
            if replay.priorities is not None:
                replay.priorities.update(index, td_error.to(replay.device))
            self.gradient_steps += 1
            if self.gradient_steps % delay == 0:
                if self.gradient_steps > config.policy_start:
                    of_policy.append(self._policy_step(batch, joint))
                self.target_policy.follow(config.tau)
                self.target_critics.follow(config.tau)
        if not self.policy.discrete:  # the deviation with which a saved policy samples
            std = linear(config.noise_std, config.noise_std_end, self.progress)
            self.policy.log_std.fill_(math.log(max(std, 1e-6)))
        means = {
            name: torch.stack([step[name] for step in history]).mean()
            for history in (of_critics, of_policy)
            if history
            for name in history[0]
        }
        values = torch.stack(list(means.values())).tolist()  # one copy from the device
        stats = {**dict(zip(means, values, strict=True)), "replay_steps": float(len(replay))}
        if self.policy.conversation is not None:
            if config.channel.curriculum:
                stats["comm/tightness"] = float(self.policy.conversation.medium.tightness)
            if self.gradient_steps // config.updates % _WATCHES_EVERY == 0:
                stats |= self._talk_statistics(batch, replay.rewards(newest=1)["alive"])
        return stats

    @torch.no_grad()
    def _talk_statistics(self, batch: dict[str, Tensor], alive: Tensor) -> dict[str, float]:
        """Returns what is said in the last step, what is heard in sampled ones, and how much it decides, by name.

        Args:
            batch: Sampled steps.
            alive: (1, B, N) bool, in the last step.
        """
        conversation, config = self.policy.conversation, self.config
        assert conversation is not None
        assert self._memory is not None
        talk, levels = conversation.talk, conversation.medium.levels()
        bits = bits_of_message(talk.entries, levels, rounds=config.comm_rounds, pose=talk.pose)
        obs, hearing = _sights(batch)
        assert hearing is not None
        there = batch["alive"]  # (R, N)
        found = {
            **sent_statistics(self._memory["sent"], alive[0].to(self.device), bits),
            **heard_statistics([hearing.age[: len(there)]], there.unsqueeze(0)),
            **severed(self.policy, Rows(obs, None, hearing, batch.get("action_mask"), there)),
        }
        return {f"comm/{name}": float(value) for name, value in found.items()}

    def _critic_step(
        self, batch: dict[str, Tensor], joint: Tensor, weight: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Makes one gradient step of the critics to n-step targets (Lowe et al. 2017, equation 6).

        Returns:
            Statistics by name, () each, and absolute temporal-difference errors, (R,), in normalised units.
        """
        config = self.config
        target = self._targets(batch)  # (R, V)
        counts = self._whose(batch["alive"]).float()  # (R, V)
        stats = {
            "value_mean": masked_mean(target, counts),
            "value_std": masked_var(target, counts).sqrt(),
        }
        if config.value_norm:
            self.value_norm.update(target, counts)
            target = self.value_norm.normalize(target)
        weights = counts if weight is None else counts * weight.unsqueeze(-1)
        values = [critic(batch["obs"], batch.get("state"), joint) for critic in self.critics]  # (R, V) each
        of_one = 0 if self._each_value else (0, 1)
        count = counts.sum(of_one).clamp(min=1.0)  # () or (V,)
        losses = [((value - target).square() * weights).sum(of_one) / count for value in values]
        norm = self.critic_adam.step(0.5 * torch.stack(losses).sum())
        with torch.no_grad():
            td_error = ((values[0] - target).abs() * counts).sum(-1) / counts.sum(-1).clamp(min=1.0)  # (R,)
            loss = 0.5 * losses[0].detach().mean()
            stats |= {"value_loss": loss, "td_error": td_error.mean(), "critic_grad_norm": norm}
        return stats, td_error

    @torch.no_grad()
    def _targets(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns n-step targets in the reward's units, (R, V).

        An agent that has terminated has no bootstrap. An agent that leaves a world that goes on (truncated alone)
        bootstraps from its own last observation, the agents that stay from a world without it. A team ends when no
        agent is left.
        """
        config = self.config
        obs, state = batch["next_obs"], batch.get("next_state")
        left = batch["left"]  # (R, N)
        action = self._target_actions(batch)  # (R, N, A)
        value = self._target_values(obs, state, action)  # (R, V)
        assert self.replay is not None
        if self.replay.departures:
            stays = ~left.unsqueeze(-1)  # (R, N, 1)
            without = self._target_values(obs * stays, state, action * stays)  # (R, V)
            value = without if self.kind == "team" else torch.where(left, value, without)
        if config.value_norm:
            value = self.value_norm.denormalize(value)  # no other place de-normalises
        reward, terminated = self._rewards(batch)  # (R, K, V) each
        total, discount = n_step(reward, terminated, batch["stop"], gamma=self._gamma)  # (R, V) each
        return total + discount * value

    def _whose(self, alive: Tensor) -> Tensor:
        """Returns which values count, (..., V) bool: those of agents that are alive, or of a team with any."""
        return alive.any(-1, keepdim=True) if self.kind == "team" else alive

    def _rewards(self, steps: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Returns the rewards that values sum and the endings that cut them, (R, K, V) each."""
        if self.kind == "team":
            return steps["team_reward"].unsqueeze(-1), steps["team_over"].unsqueeze(-1)
        return rules.rewards(self.config.credit, steps), steps["terminated"]

    def _target_actions(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns actions of target policies, (R, N, A): sampled if discrete (as in Lowe's code), noisy with `twin`."""
        config, generator = self.config, self._generators["learning"]
        head = _out(self.target_policy.network, batch, lead="next_").head  # (R, N, A)
        if self.policy.discrete:
            log_p = categorical(head, batch.get("next_action_mask"))
            action = straight_through(log_p, gumbel(log_p, generator), 1.0)
        else:
            action = torch.tanh(head)
            if config.twin:  # Fujimoto et al. 2018, equation 14
                noise = config.target_noise * torch.empty_like(action).normal_(generator=generator)
                noise = noise.clamp(-config.target_noise_clip, config.target_noise_clip)
                action = (action + noise).clamp(-1.0, 1.0)
        return action * batch["next_present"].unsqueeze(-1)

    def _target_values(self, obs: Tensor, state: Tensor | None, action: Tensor) -> Tensor:
        """Returns values of the target critics, (R, V), the lower one of two (Fujimoto et al. 2018, equation 10)."""
        values = [critic(obs, state, action) for critic in self.target_critics.network]
        return values[0] if len(values) == 1 else torch.minimum(*values)

    def _policy_step(self, batch: dict[str, Tensor], joint: Tensor) -> dict[str, Tensor]:
        """Makes one gradient step of the policies (Lowe et al. 2017, equation 5).

        Each agent follows the critic's gradient with respect to its own action, while the others act as they did. Only
        that gradient is computed, so the parameters of the critic get none.
        """
        config = self.config
        alive = batch["alive"].float()  # (R, N)
        out = _out(self.policy, batch)
        head = out.head  # (R, N, A)
        log_p = None
        if self.policy.discrete:
            log_p = categorical(head, batch.get("action_mask"))
            action = straight_through(log_p, gumbel(log_p, self._generators["learning"]), self._temperature)
        else:
            action = torch.tanh(head)
        own = (action * alive.unsqueeze(-1)).detach().requires_grad_()  # (R, N, A)
        value = self.critics[0](batch["obs"], batch.get("state"), joint, own)  # (R, N)
        (slope,) = torch.autograd.grad((value * alive).sum(), own)  # (R, N, A) dQ_i / da_i, 0 for the dead
        climb = masked_mean((slope * action).sum(-1), alive, each=self._each)  # () or (N,)
        penalty = masked_mean(head.square().mean(-1), alive, each=self._each)

        weight = linear(config.head_penalty, config.head_penalty_end, self.progress)
        if self.variation is not None:
            weight = weight * self.variation.openness  # (N,)
        loss, further = weight * penalty - climb, {}
        if out.talked is not None and out.talked.speaks is not None:
            rate = masked_mean(out.talked.speaks, alive, each=self._each)
            loss, further = loss + config.comm_gate_cost * rate, {"comm/gate": rate.detach().mean()}
        if self.tutor is not None:  # the divergence from what teachers would do, see `peers.tutor`
            norm = self.policy.obs_norm
            seen = batch["obs"] if norm is None else norm.raw(batch["obs"])
            lesson = self.tutor.lesson(seen, batch["alive"], batch.get("action_mask"))
            if lesson is not None:
                away = self.policy.divergence_from(lesson.target, lesson.spread, head, batch.get("action_mask"))
                cost = masked_mean(away * lesson.weight, alive, each=self._each)
                loss, further = loss + cost, {**further, "peers/lesson": cost.detach().mean()}
        norm = self.policy_adam.step(loss.sum())
        with torch.no_grad():
            stats = {
                **further,
                "policy_value": masked_mean(self.value_norm.denormalize(value) if config.value_norm else value, alive),
                "slope": masked_mean(slope.square().sum(-1).sqrt(), alive),
                "head_square": penalty.detach().mean(),
                "grad_norm": norm,
            }
            if log_p is not None:
                stats["entropy"] = masked_mean(-(log_p.exp() * log_p).sum(-1), alive)
        return stats

    @property
    def _gamma(self) -> float | Tensor:
        varied = self.variation
        return varied.gamma if varied is not None and self._each_value else self.config.gamma

    @property
    def _temperature(self) -> float:
        return linear(self.config.temperature, self.config.temperature_end, self.progress)

    def _joint(self, action: Tensor, alive: Tensor) -> Tensor:
        """Returns joint actions as critics read them, (R, N, A): one-hot or in [-1, 1], zeros for absent agents."""
        if self.policy.discrete:
            action = F.one_hot(action, self.spec.action_dim).float()
        return action * alive.unsqueeze(-1)

    def parameters_of_learners(self) -> list[Numbers]:
        """Returns all that learners are, where each learns by itself; see `peers.exchange`."""
        networks = []
        for adam in self._adams_of_learners():
            acts = adam is self.policy_adam
            target, name = (self.target_policy, "policy") if acts else (self.target_critics, "critic")
            networks += [adam.of_learners()[0]._replace(name=name), Numbers(target.vector, adam.own, f"target {name}")]
        norm = self.policy.obs_norm
        return [*networks, *self.value_norm.of_learners(), *([] if norm is None else norm.of_learners())]

    def moments_of_learners(self) -> list[Numbers]:
        """Returns the moments of their optimisers."""
        return [moment for adam in self._adams_of_learners() for moment in adam.of_learners()[1]]

    def _adams_of_learners(self) -> list[FlatAdam]:
        return [adam for adam in (self.policy_adam, self.critic_adam) if len(adam.own) == self.learners]

    def _parts(self) -> dict[str, Savable]:
        """Returns the parts that have a state of their own, by name in `state_dict`."""
        return {
            "policy": self.policy,
            "critics": self.critics,
            "target_policy": self.target_policy.network,
            "target_critics": self.target_critics.network,
            "value_norm": self.value_norm,
            "input_norm": self.input_norm,
            "policy_adam": self.policy_adam,
            "critic_adam": self.critic_adam,
            "generators": self._generators,
        }

    def state_dict(self) -> dict[str, Any]:
        """Returns everything but the replay, copied; see `Algorithm.state_dict`."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {"progress": self.progress, "steps": self.steps, "gradient_steps": self.gradient_steps}
        state |= {"unlearned": self._unlearned, "pending": self._pending}
        state["variation"] = None if self.variation is None else self.variation.state_dict()
        return copied(state | {"memory": self._memory, "noise": self._noise})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`, with an empty replay; see `Algorithm.load_state_dict`.

        With the content of the replay (`begin`, then `replay.load_state_dict`) it continues bit for bit; without, it
        collects `warm_up` steps again before it learns.
        """
        state = copied(state)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.progress, self.steps, self.gradient_steps = state["progress"], state["steps"], state["gradient_steps"]
        self.variation = Variation.restored(state.get("variation"), self.device)
        self._unlearned, self._pending = state["unlearned"], on_device(state["pending"], torch.device("cpu"))
        self._memory, self._noise = on_device((state["memory"], state["noise"]), self.device)
        self._before, self.replay = None, None


def _kept(spec: Spec, config: MaddpgConfig, *, action_mask: bool) -> list[str]:
    """Returns the optional fields that the replay keeps."""
    heard = field_of(spec.n_agents, remembers=config.channel.remembers)
    keep = {"state": config.critic == "state", "action_mask": action_mask, heard: config.comm != "none"}
    keep["counterfactual"] = config.credit in rules.EXACT
    return [name for name, kept in keep.items() if kept]


def _out(policy: Actor, batch: dict[str, Tensor], *, lead: str = "") -> Out:
    """Returns what a policy computes of sampled steps, or of those that they led to, with all that is heard in them."""
    obs, hearing = _sights(batch, lead=lead)
    out = policy(obs, hearing=hearing, normalized=True)
    return out._replace(head=out.head[: len(batch[f"{lead}obs"])])


def _sights(batch: dict[str, Tensor], *, lead: str = "") -> tuple[Tensor, Hearing | None]:
    """Returns what agents see in sampled steps, then in the earlier ones of which they hear, and what they hear."""
    obs, heard = batch[f"{lead}obs"], batch.get(f"{lead}heard")
    if heard is None:
        return obs, None
    if f"{lead}said_in" not in batch:
        return obs, Hearing(heard)
    return torch.cat([obs, batch[f"{lead}earlier_obs"]]), Hearing(heard, said_in=batch[f"{lead}said_in"])


def footprint(spec: Spec, config: MaddpgConfig, *, n_worlds: int, action_mask: bool, device: str) -> list[Part]:
    """Counts the memory that `Maddpg` takes."""
    n, actions, critics = spec.n_agents, spec.action_dim, 1 + config.twin
    features, maps = encoded(spec)
    team = config.credit == "team" and config.critic != "local"
    steps = -(-config.replay_size // n_worlds) * n_worlds
    replay = steps * bytes_of(replay_fields(spec, _kept(spec, config, action_mask=action_mask)))
    if config.prioritised:
        replay += 16 << max(steps - 1, 1).bit_length()  # the tree of priorities
    inputs = {
        "local": features + actions,
        "central": n * (features + actions),
        "state": spec.state_dim + n * actions + (0 if team else features + actions),
    }[config.critic]
    networks = parameters(spec, config, features, actions)
    networks += critics * parameters(spec, config, inputs, 1, team=team)
    joint = config.batch * (1 if team else n) * inputs * critics
    earlier = 0  # steps at most whose messages are heard in a sampled one
    if config.comm != "none":
        earlier = min(config.comm_rounds * config.channel.history, (n * (n - 1)) ** config.comm_rounds)
    activations = config.batch * n * (critics + earlier) * (2 * spec.obs_dim + maps + 4 * sum(config.hidden))
    activations += config.batch * n * talking(config, n)
    follow = config.batch * config.n_step * (16 + 24 * n)  # the steps after a transition, see `Replay.sample`
    place, smaller = place_of(device), "--algo.batch"
    if config.critic == "central" and n > 1:
        smaller += ", or take --algo.critic local (--algo iddpg)"
    return [
        Part("the replay", replay, "cpu" if config.replay_on == "memory" else place, "--algo.replay-size"),
        Part("networks", (ADAM + FLOAT) * networks, place, "--algo.hidden"),
        Part("a gradient step", FLOAT * (joint + activations) + follow, place, smaller),
        *remembered(spec, config, n_worlds, place),
    ]
