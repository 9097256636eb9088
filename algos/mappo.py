"""MAPPO and IPPO: proximal policy optimisation for many agents, with a centralised or a local critic.

First the options, then the algorithm. The whole update stands in `Mappo.update`, top to bottom; its gradient steps are
`_policy_step` and `_critic_step`.

Axes: T time, B worlds, N agents, O observation, S global state, A actions, H hidden, V values (N, or 1 for a team), K
steps to bootstrap from.

Sources: Yu et al. 2022, "The surprising effectiveness of PPO in cooperative multi-agent games" (MAPPO, IPPO); Schulman
et al. 2017 (PPO). Deviations: no PopArt, statistics by rollout instead of by minibatch; gradients of actor and critic
are clipped separately.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .comm.hearing import Hearing
from .comm.statistics import bits_of_message, heard_statistics, sent_statistics
from .core import Action, Array, Memory, Obs, Player, Savable, Spec, StepLike, Transition, memory_for
from .credit import rules
from .credit.joint import MOST_AT_ONCE, JointNumber
from .credit.rules import Credit
from .experience.fields import bytes_of
from .experience.heard import AGES, BITS, ages_of, field_of
from .experience.minibatches import Minibatches
from .experience.rollout import Rollout, rollout_fields
from .maths.arrays import tensor_of
from .maths.chance import Generators
from .maths.ranges import LENGTH, RATE, SHARE, WEIGHT, Range
from .maths.returns import constant_value, explained_variance, gae, masked_mean, masked_var, shares
from .maths.snapshots import copied, on_device
from .maths.threads import one_thread, side_by_side
from .nets.actor import Actor, categorical
from .nets.config import NetConfig
from .nets.critic import Critic
from .nets.flat_adam import FlatAdam
from .nets.lesson import LESSON, Teaching, Tried
from .nets.obs_norm import InputNorm
from .nets.recurrent import Recurrence
from .nets.severed import Rows, severed
from .nets.shared_experience import OTHERS, RAW, Horizon, Others, SharedExperience, joined
from .nets.sharing import Numbers, learners_of
from .nets.value_norm import ValueNorm
from .nets.variation import Variation
from .training.footprint import ADAM, FLOAT, Part, encoded, parameters, place_of, remembered, talking

CriticInput = Literal["central", "joint", "local"]
_SEVERED = 8
"""Worlds of which it is measured how much messages decide; of single steps four times as many."""


@dataclass(frozen=True)
class MappoConfig(NetConfig):
    """MAPPO: PPO with a centralised critic."""

    lr: Annotated[float, RATE] = 1e-3
    """Learning rate of Adam."""
    anneal: bool = True
    """Let the learning rate and the entropy bonus fall linearly to zero over the run."""
    gamma: Annotated[float, SHARE] = 0.99
    """Discount per environment step."""
    gae_lambda: Annotated[float, SHARE] = 0.95
    """Lambda of generalised advantage estimation; 0: one-step temporal differences, 1: Monte-Carlo returns."""
    rollout_steps: Annotated[int, Range(1, 10**6)] = 64
    """Steps of every world between updates."""
    epochs: Annotated[int, Range(1, 1000)] = 4
    """Passes over a rollout."""
    minibatches: Annotated[int, Range(1, 10**6)] = 8
    """Gradient steps per pass."""
    clip_coef: Annotated[float, RATE] = 0.2
    """Largest change of the probability ratio from 1 that PPO's objective rewards."""
    value_clip_coef: Annotated[float, WEIGHT] = 0.2
    """Largest change of a value in an update that the value loss rewards, in normalised units; 0 switches it off."""
    value_loss: Literal["huber", "mse"] = "huber"
    """Loss of values; huber turns from square to linear at 10 normalised units."""
    value_norm: bool = True
    """Learn values in units of the running deviation of their targets."""
    ent_coef: Annotated[float, WEIGHT] = 0.01
    """Weight of the entropy bonus."""
    max_grad_norm: Annotated[float, LENGTH] = 0.5
    """Largest norm of a gradient, for the actor and the critic each; longer gradients are scaled down to it."""
    target_kl: Annotated[float | None, RATE] = None
    """End an update after a pass in which the policy has moved further than this [nats]; none: never."""
    critic: CriticInput = "central"
    """central: the global state and the agent's observation; joint: all observations; local: its agent's alone."""
    credit: Credit = "individual"
    """What an agent learns from: its own reward, its team's, or its part in that by a rule (docs/credit.md)."""
    obs_norm: Literal["auto", "on", "off"] = "auto"
    """Normalise observations, but not images, by running statistics; auto: only foreign ones with bounds above 10."""
    init_std: Annotated[float, Range(0.0, 100.0, above=True)] = 0.6
    """Initial standard deviation of a Gaussian policy [half the action range]."""


@dataclass(frozen=True)
class IppoConfig(MappoConfig):
    """IPPO: every agent runs PPO on its own observations."""

    critic: CriticInput = "local"


class Mappo:
    """Acts with `policy`, collects a rollout, learns from it and drops it.

    Same seed, same bytes (on one device, for one number of threads): all chance comes from generators of its own.

    Attributes:
        policy: The actor; all that execution needs.
        progress: Fraction of the run that is over, 0 to 1, for `anneal`; the training loop sets it.
    """

    def __init__(self, spec: Spec, config: MappoConfig, *, seed: int, device: str = "cpu") -> None:
        """Builds networks and optimisers.

        Args:
            spec: Shapes.
            config: Options.
            seed: Seed of all chance.
            device: Where the networks compute.

        Raises:
            ValueError: The rule of credit does not fit the actions or the critic.
        """
        rules.check(config.credit, spec.action_space, centralised=config.critic != "local")
        self.spec, self.config, self.device = spec, config, torch.device(device)
        # Initial weights are drawn on the CPU: they are the same on every device.
        self._generators = Generators(seed, initial="cpu", sampling=self.device, shuffling="cpu")
        initial = self._generators["initial"]
        obs_norm = config.obs_norm == "on"
        actor = Actor(spec, config, init_std=config.init_std, obs_norm=obs_norm, generator=initial)
        kind = "local" if config.critic == "local" else "team" if config.credit in rules.OF_TEAM else "central"
        reads_state = config.critic == "central" and spec.state_dim > 0
        critic = Critic(spec, kind, config, state=reads_state, generator=initial)
        self.policy, self.critic = actor.to(self.device), critic.to(self.device)
        self.learners = learners_of(spec, config.share)
        of_values = self.learners if kind != "team" else 1
        self._each, self._each_value = self.learners > 1, of_values > 1  # learns by itself
        self.value_norm = ValueNorm(learners=of_values).to(self.device)
        self.input_norm = InputNorm(self.policy.obs_norm, spec.state_dim)
        self.policy_adam, self.critic_adam = (
            FlatAdam(network, lr=config.lr, eps=1e-5, max_grad_norm=config.max_grad_norm, learners=learners)
            for network, learners in ((self.policy, self.learners), (self.critic, of_values))
        )
        self.joint: JointNumber | None = None
        if config.credit in rules.NETWORKED:
            self.joint = JointNumber(
                spec,
                config,
                lr=config.lr,
                max_grad_norm=config.max_grad_norm,
                generator=initial,
                device=self.device,
            )
        self.variation: Variation | None = None  # options in which learners differ, where somebody sets them
        self.tutor: Teaching | None = None  # says what peers would do, where learners learn from each other
        self.shared: SharedExperience | None = None  # what others have met, where learners learn from that too
        self.progress = 0.0
        self.updates = 0

        self.replay: None = None
        self.rollout: Rollout | None = None  # allocated when the number of worlds is known
        self._greedy = Player(self.policy)  # has a memory of its own
        self._memory: Memory | None = None  # after the last act
        self._first_memory: Memory | None = None  # before the first act of the rollout
        self._pending: tuple[Tensor, Tensor] | None = None  # action and log_prob of the last act, on the CPU
        self._before: tuple[Tensor, Memory | None, Memory | None] | None = None  # the state that `take_back` restores
        self._critic_hidden: Tensor | None = None  # (B, V, H) of the critic before the rollout

    def begin(self, obs: Obs) -> tuple[str, ...]:  # noqa: ARG002 - the first transition has all that is needed
        """Has nothing to allocate; see `Algorithm.begin`."""
        return ()

    @one_thread()
    @torch.inference_mode()
    def act(self, obs: Obs, *, greedy: bool = False) -> Action:
        """Chooses actions for all agents in one forward pass; see `Algorithm.act`."""
        if greedy:
            return self._greedy(obs)
        sampling, memory = self._generators["sampling"], memory_for(self.policy, obs, self._memory)
        self._before = sampling.get_state(), self._memory, self._first_memory
        if self.rollout is None or self.rollout.t == 0:
            self._first_memory = memory
        action, log_prob, self._memory = self.policy.choose(obs, memory, sampling)
        self._pending = action.cpu(), log_prob.cpu()
        return self.policy.to_space(action).cpu().numpy()

    @torch.no_grad()
    def credited(self, obs: Obs, memory: Memory, action: Action, step: StepLike) -> Array | None:
        """Returns the reward that each agent would learn from, (B, N); None for `coma`, which credits returns.

        Args:
            obs: Before a step.
            memory: Before it.
            action: Of all worlds.
            step: What came of it.
        """
        if self.config.credit == "coma":
            return None
        if self.joint is None:
            return rules.credited(self.config.credit, step)
        fields = {name: tensor_of(getattr(obs, name), self.device) for name in ("obs", "state", "alive")}
        fields["obs"] = fields["obs"].masked_fill(~fields["alive"].unsqueeze(-1), 0)  # whatever absent agents observe
        self.input_norm.apply(fields, fields["alive"])
        head, action_mask, _ = self.policy.heads(obs, memory)
        fields["action"] = tensor_of(action, self.device)
        without = self.joint.without(*self._joint_inputs(fields), categorical(head, action_mask).exp())
        return rules.credited("team", step) - without.cpu().numpy()

    def take_back(self) -> None:
        """Undoes the last `act` that was not greedy, if it was not observed; see `Algorithm.take_back`."""
        if self._pending is None or self._before is None:
            return
        sampling, self._memory, self._first_memory = self._before
        self._generators["sampling"].set_state(sampling)
        self._pending = self._before = None

    def observe(self, transition: Transition) -> None:
        """Stores the outcome of the last `act` that was not greedy.

        Raises:
            ValueError: There was none.
        """
        if self._pending is None:
            raise ValueError("observe() came before act(): a transition belongs to the last act(greedy=False)")
        if self.rollout is None:
            masks = transition.obs.action_mask is not None
            self.rollout = self._new_rollout(len(transition.ended), action_mask=masks)
        talked = (
            () if self._memory is None or "age" not in self._memory else (self._memory["age"], self._memory["sent"])
        )
        self.rollout.add(transition, *self._pending, *(field.cpu() for field in talked))
        self._pending = None

    def update(self) -> dict[str, float]:
        """Learns from a full rollout; see `Algorithm.update`."""
        if self.rollout is None or not self.rollout.full:
            return {}
        config = self.config
        data, finals = self.rollout.to(self.device)
        alive = data["alive"]  # (T, B, N)
        weight = alive.float()  # (T, B, N)
        seen = data["obs"]  # (T, B, N, O)
        if self.shared is not None and self.policy.obs_norm is not None:
            data[RAW], finals[RAW] = seen, finals["obs"]
        counted = self._normalize(data, finals)
        varied = self.variation
        gamma = varied.gamma if varied is not None and self._each_value else config.gamma

        # Rewards, and where they end.
        ended = data["ended"].unsqueeze(-1)  # (T, B, 1)
        if self.critic.kind == "team":  # a team lives on when an agent dies or leaves, and ends when none is left
            reward = data["team_reward"].unsqueeze(-1)  # (T, B, 1)
            terminated = ended & ~data["survives"].unsqueeze(-1)  # (T, B, 1)
            value_weight = alive.any(-1, keepdim=True).float()  # (T, B, 1)
        else:
            learned = config.credit == "learned"
            reward = rules.rewards("team" if learned else config.credit, data)  # (T, B, N)
            if learned:
                reward = ((reward - self._without_own_choice(data, data["team_reward"])) * weight).float()
            terminated, value_weight = data["terminated"], weight  # (T, B, N)
            ended = ended | ~torch.cat([alive[1:], alive[-1:]])  # (T, B, N) absent at t + 1: the trace is cut

        # Values of the whole rollout in one pass, in the reward's units. No other place de-normalises.
        with torch.no_grad():
            raw, raw_final, critic_hidden = self.critic.over_rollout(data, finals, self._critic_hidden)
            value, value_final = raw, raw_final  # (T, B, V), (K, V)
            if config.value_norm:
                if not self.value_norm.begun:  # values get their offset before the policy learns
                    every = reward, terminated, value_weight
                    self.value_norm.begin_at(constant_value(*every, gamma=gamma, each=self._each_value))
                value, value_final = self.value_norm.denormalize(raw), self.value_norm.denormalize(raw_final)
            next_value = torch.cat([value[1:], torch.zeros_like(value[:1])])  # (T, B, V)
            whose = finals["of_world"].unsqueeze(-1) if self.critic.kind == "team" else finals["whose"]  # (K, V)
            row, agent = whose.nonzero(as_tuple=True)
            next_value.flatten(0, 1)[finals["index"][row], agent] = value_final[row, agent]

        # Advantages and value targets.
        advantage = gae(
            reward, value, next_value, terminated, ended, gamma=gamma, gae_lambda=config.gae_lambda
        )  # (T, B, V)
        target = advantage + value  # (T, B, V)
        if config.credit == "coma":
            advantage = target - self._without_own_choice(data, target.mean(-1))  # (T, B, N)
        advantage = advantage.expand_as(weight)  # (T, B, N)
        others: Others | None = None
        judged, counts = advantage, weight
        if self.shared is not None:  # what others have met, as one's own networks see it
            norm, horizon = self.value_norm if config.value_norm else None, Horizon(gamma, config.gae_lambda)
            paid = reward, terminated, ended
            others = self.shared.met(self.policy, self.critic, norm, data, finals, paid, horizon)
            judged, counts = joined(advantage, others.advantage), joined(weight, others.weight)  # (T, B, N, N)
        mean, var = (of(judged, counts, each=self._each) for of in (masked_mean, masked_var))
        advantage = ((advantage - mean) / (var.sqrt() + 1e-8)).float()
        if others is not None:
            others = others._replace(advantage=((others.advantage - mean) / (var.sqrt() + 1e-8)).float())
        stats = {
            "value_mean": masked_mean(value, value_weight),
            "value_std": masked_var(value, value_weight).sqrt(),
            "explained_variance": explained_variance(value, target, value_weight),
        }
        lesson = None
        if self.tutor is not None:
            how = {"state": data.get("state"), "value": value, "target": target}
            how |= {"tried": Tried(data["action"], data["log_prob"], advantage)}
            lesson = self.tutor.lesson(seen, alive, data.get("action_mask"), **how)
        joint_target = None
        if self.joint is not None:  # returns of joint actions, or the rewards of steps
            aim = target.mean(-1) if config.credit == "coma" else data["team_reward"]  # (T, B)
            stats["credit/explained_variance"] = self.joint.explained(*self._joint_inputs(data), aim)
            joint_target = self.joint.count(aim, alive)
        if config.value_norm:
            if others is None:
                self.value_norm.update(target, value_weight)
            else:
                self.value_norm.update(joined(target, others.target), joined(value_weight, others.weight))
                others = others._replace(target=self.value_norm.normalize(others.target))
            target = self.value_norm.normalize(target)  # float32
        target = target.float()  # discounts of each learner are float64

        # Gradient steps: on minibatches of steps, or of whole sequences of some worlds if steps depend on earlier ones.
        fields = ("obs", "state", "action", "action_mask", "log_prob", "started", "alive", "heard", "heard_bits")
        batch = {name: data[name] for name in fields if name in data}
        batch |= {"advantage": advantage, "target": target, "value": raw, "weight": weight}
        batch |= {"value_weight": value_weight}
        if lesson is not None:
            batch |= {f"lesson_{name}": field for name, field in lesson._asdict().items() if field is not None}
        if self.shared is not None and others is not None:
            batch |= {name: field.float() for name, field in zip(OTHERS, others, strict=True)}
            batch |= {RAW: data[RAW]} if RAW in data else {}
            stats["peers/importance"] = self.shared.importance(others, alive)
        if joint_target is not None:
            batch["joint_target"] = joint_target
        minibatches = Minibatches(batch, alive, sequences=self.policy.sequential)
        if self.policy.conversation is not None:
            stats |= self._talk_statistics(data, minibatches)
        left = 1.0 - self.progress if config.anneal else 1.0
        lr, ent_coef = config.lr * left, config.ent_coef * left
        self.policy_adam.lr = self.critic_adam.lr = lr
        for adam in self._adams_of_learners():
            adam.pace = None if varied is None else varied.pace
        if self.joint is not None:
            self.joint.adam.lr = lr
        first_hidden = None if critic_hidden is None else critic_hidden[0]
        history: list[dict[str, Tensor]] = []
        epochs = 0
        for _ in range(config.epochs):
            order = torch.randperm(minibatches.n_units, generator=self._generators["shuffling"]).to(self.device)
            chunks = order.chunk(config.minibatches)
            of_policy, of_critic = side_by_side(
                lambda chunks=chunks: [self._policy_step(minibatches, units, ent_coef) for units in chunks],
                lambda chunks=chunks: [self._critic_step(minibatches, units, first_hidden) for units in chunks],
                device=self.device,
            )
            history += [one | other for one, other in zip(of_policy, of_critic, strict=True)]
            epochs += 1
            if config.target_kl is not None:
                moved = torch.stack([step["approx_kl"] for step in of_policy]).mean()
                if moved > config.target_kl:
                    break

        if critic_hidden is not None:
            self._critic_hidden = critic_hidden[1].clone()  # (B, V, H), not a view of all T
        if self.policy.conversation is not None:
            mean = float(masked_mean(reward, value_weight))
            self.policy.conversation.medium.tightness.learned(self.progress, mean)
        if not counted:
            self._count(self.rollout.fields)
        self.rollout.clear()
        self.updates += 1
        stats |= {name: torch.stack([step[name] for step in history]).mean() for name in history[0]}
        return {name: float(value) for name, value in stats.items()} | {"lr": lr, "epochs": float(epochs)}

    def _policy_step(self, minibatches: Minibatches, units: Tensor, ent_coef: float) -> dict[str, Tensor]:
        """Makes one gradient step of the actor: clipped surrogate (Schulman et al. 2017, equation 7) and entropy.

        Returns:
            Statistics by name, () each.
        """
        config, policy = self.config, self.policy
        names = ("obs", "action", "log_prob", "advantage", "weight", "action_mask", "heard", *LESSON, *OTHERS, RAW)
        if config.gru:
            names = (*names, "started", "alive")
        mini = minibatches.take(names, units, agent_blind=policy.agent_blind, gathers=policy.gathers)
        recurrence, hearing = self._before_rollout(mini, units)
        out = policy(mini["obs"], recurrence, hearing, normalized=True)
        log_prob, entropy = policy.log_prob(out.head, mini["action"], mini.get("action_mask"))  # (..., N)
        log_ratio = log_prob - mini["log_prob"]
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1.0 - config.clip_coef, 1.0 + config.clip_coef)
        surrogate = torch.minimum(ratio * mini["advantage"], clipped * mini["advantage"])
        share = shares(mini["weight"], each=self._each) / self.learners  # weights of a mean over live agents
        policy_loss = -(surrogate * share).sum()
        entropy_mean = (entropy * share).sum()
        bonus = entropy_mean if self.variation is None else (entropy * share * self.variation.openness).sum()
        loss, further = policy_loss - ent_coef * bonus, {}
        if out.talked is not None and out.talked.speaks is not None:
            rate = (out.talked.speaks * share).sum()
            loss, further = loss + config.comm_gate_cost * rate, {"comm/gate": rate.detach()}
        if "lesson_target" in mini:  # the divergence from what teachers would do, see `peers.tutor`
            taught = mini["lesson_target"], mini.get("lesson_spread")
            away = policy.divergence_from(*taught, out.head, mini.get("action_mask"))  # (..., N)
            cost = (away * mini["lesson_weight"] * share).sum()
            loss, further = loss + cost, {**further, "peers/lesson": cost.detach()}
        if self.shared is not None:
            cost = self.shared.policy_loss(policy, mini, config.clip_coef) / self.learners
            loss, further = loss + cost, {**further, "peers/shared_loss": cost.detach()}
        norm = self.policy_adam.step(loss * self.learners)
        with torch.no_grad():  # KL as in Schulman 2020, "Approximating KL divergence", k3
            return {
                **further,
                "policy_loss": policy_loss.detach(),
                "entropy": entropy_mean.detach(),
                "approx_kl": ((ratio - 1.0 - log_ratio) * share).sum(),
                "clip_fraction": ((ratio != clipped) * share).sum(),
                "grad_norm": norm,
            }

    def _talk_statistics(self, data: dict[str, Tensor], minibatches: Minibatches) -> dict[str, Tensor]:
        """Returns what is said and heard in a rollout, and how much a sample of it decides, by name."""
        conversation, config = self.policy.conversation, self.config
        assert conversation is not None
        talk, levels = conversation.talk, conversation.medium.levels()
        bits = bits_of_message(talk.entries, levels, rounds=config.comm_rounds, pose=talk.pose)
        heard = (
            ages_of({name: data[name][t] for name in (AGES, BITS) if name in data}) for t in range(len(data["sent"]))
        )
        found = sent_statistics(data["sent"], data["alive"], bits) | heard_statistics(heard, data["alive"])
        share = max(minibatches.n_units // (_SEVERED if self.policy.sequential else _SEVERED * 4), 1)
        units = torch.arange(0, minibatches.n_units, share, device=self.device)
        names = ("obs", "action_mask", "heard", "started", "alive")
        mini = minibatches.take(names, units, agent_blind=False)
        recurrence, hearing = self._before_rollout(mini, units)
        assert hearing is not None
        found |= severed(self.policy, Rows(mini["obs"], recurrence, hearing, mini.get("action_mask"), mini["alive"]))
        if config.channel.curriculum:
            found["tightness"] = conversation.medium.tightness.tightness
        return {f"comm/{name}": value for name, value in found.items()}

    def _joint_inputs(self, fields: dict[str, Tensor]) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        state = fields.get("state") if self.spec.state_dim else None
        return fields["obs"], state, fields["action"], fields["alive"]

    @torch.no_grad()
    def _without_own_choice(self, data: dict[str, Tensor], came: Tensor) -> Tensor:
        """Returns what is to be expected without the choice of each agent, (T, B, N); see `JointNumber.without`.

        Before the network has learned anything, that is the mean of what came of all joint actions, `came` (T, B).
        """
        assert self.joint is not None
        alive = data["alive"]
        if not self.joint.norm.begun:
            return masked_mean(came.double(), alive.any(-1).double()).expand(alive.shape)
        head = self.policy(data["obs"], *self._before_rollout(data, slice(None)), normalized=True).head
        chances = categorical(head, data.get("action_mask")).exp()  # (T, B, N, A)
        return self.joint.without(*self._joint_inputs(data), chances)

    def _before_rollout(
        self, mini: dict[str, Tensor], units: Tensor | slice
    ) -> tuple[Recurrence | None, Hearing | None]:
        """Returns what the policy needs to know of the time before the rollout, in the worlds `units` if sequential."""
        recurrence, hearing, first = None, None, self._first_memory
        if self.config.gru:
            assert first is not None
            recurrence = Recurrence(first["hidden"][units], mini["started"], mini["alive"])
        if AGES in mini or BITS in mini:
            assert first is not None
            hearing = Hearing(ages_of(mini), first["said"][units] if "said" in first else None)
        return recurrence, hearing

    def _critic_step(self, minibatches: Minibatches, units: Tensor, first_hidden: Tensor | None) -> dict[str, Tensor]:
        """Makes one gradient step of the critic, on the larger of two losses (Yu et al. 2022, appendix).

        The losses are those of the prediction, and of the prediction clipped to near the one before the update.
        `first_hidden` (B, V, H) is the state of a recurrent critic before the rollout.

        Returns:
            Statistics by name, () each.
        """
        recurrence = None
        names = ("obs", "state", "target", "value", "value_weight", *(() if first_hidden is None else ("started",)))
        names = names if self.shared is None else (*names, "weight", *OTHERS, RAW)
        mini = minibatches.take(names, units, agent_blind=self.critic.agent_blind)
        if first_hidden is not None:
            recurrence = Recurrence(first_hidden[units], mini["started"], mini["value_weight"] > 0)
        new, _ = self.critic(mini["obs"], mini.get("state"), recurrence, state_of=mini.get("unit"))  # (..., V)
        value_loss = self._value_loss(new, mini["target"], mini["value"])
        value_loss = masked_mean(value_loss, mini["value_weight"], each=self._each_value)
        loss = value_loss.sum()
        if self.shared is not None:
            of_others, share = self.shared.values(self.policy, self.critic, mini)
            loss = loss + (self._value_loss(of_others, mini["others_target"], mini["others_value"]) * share).sum()
        norm = self.critic_adam.step(loss)
        value_loss = value_loss.mean()
        stats = {"value_loss": value_loss.detach(), "critic_grad_norm": norm}
        if self.joint is not None:
            mini = minibatches.take(("obs", "state", "action", "alive", "joint_target"), units, agent_blind=False)
            stats["credit/loss"] = self.joint.step(*self._joint_inputs(mini), mini["joint_target"])
        return stats

    def _value_loss(self, value: Tensor, target: Tensor, before: Tensor) -> Tensor:
        """Returns the loss of each value, given the one before the update."""
        clip, loss = self.config.value_clip_coef, self._error(value, target)
        if clip:
            near = before + (value - before).clamp(-clip, clip)
            loss = torch.maximum(loss, self._error(near, target))
        return loss

    def _error(self, value: Tensor, target: Tensor) -> Tensor:
        if self.config.value_loss == "huber":
            return F.huber_loss(value, target, reduction="none", delta=10.0)
        return 0.5 * F.mse_loss(value, target, reduction="none")

    @torch.no_grad()
    def _normalize(self, data: dict[str, Tensor], finals: dict[str, Tensor]) -> bool:
        """Replaces observations and states by what networks read.

        The statistics are those that the rollout was acted with, so that probability ratios start at 1. Only the first
        rollout, which was acted without any, is counted before it is learned from: its log-probabilities are computed
        anew. They hardly change, since the first policy is nearly uniform whatever it observes.

        Returns:
            Whether the rollout has been counted.
        """
        first = self.input_norm.lacks_statistics
        if first:
            self._count(data)
            out = self.policy(data["obs"], *self._before_rollout(data, slice(None)))
            data["log_prob"], _ = self.policy.log_prob(out.head, data["action"], data.get("action_mask"))
        self.input_norm.apply(data, data["alive"])
        self.input_norm.apply(finals, finals["present"])
        return first

    def _count(self, fields: dict[str, Tensor]) -> None:
        """Adds a rollout to the statistics of observations and states."""
        self.input_norm.count(fields["obs"], fields.get("state"), fields["alive"])

    def _new_rollout(self, n_worlds: int, *, action_mask: bool) -> Rollout:
        talks = self.policy.conversation is not None
        heard = field_of(self.spec.n_agents, remembers=self.config.channel.remembers)
        joint = self.joint is not None and self.spec.state_dim > 0
        keep = {"state": self.critic.reads_state or joint, "action_mask": action_mask, heard: talks, "sent": talks}
        keep["counterfactual"] = self.config.credit in rules.EXACT
        names = [name for name, kept in keep.items() if kept]
        return Rollout(self.spec, self.config.rollout_steps, n_worlds, keep=names)

    def parameters_of_learners(self) -> list[Numbers]:
        """Returns all that learners are, where each learns by itself; see `peers.exchange`."""
        names = {id(self.policy_adam): "policy", id(self.critic_adam): "critic"}
        networks = [adam.of_learners()[0]._replace(name=names[id(adam)]) for adam in self._adams_of_learners()]
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
            "critic": self.critic,
            "value_norm": self.value_norm,
            "input_norm": self.input_norm,
            "policy_adam": self.policy_adam,
            "critic_adam": self.critic_adam,
            "generators": self._generators,
            **({} if self.joint is None else {"joint": self.joint}),
        }

    def state_dict(self) -> dict[str, Any]:
        """Returns everything, copied; see `Algorithm.state_dict`."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {"progress": self.progress, "updates": self.updates, "pending": self._pending}
        state["variation"] = None if self.variation is None else self.variation.state_dict()
        state["memory"] = {"last": self._memory, "first": self._first_memory}
        state["critic_hidden"] = self._critic_hidden
        state["rollout"] = None if self.rollout is None else self.rollout.state_dict()
        return copied(state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`, to continue bit for bit; see `Algorithm.load_state_dict`."""
        state = copied(state)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.progress, self.updates = state["progress"], state["updates"]
        self.variation = Variation.restored(state.get("variation"), self.device)
        self._pending = on_device(state["pending"], torch.device("cpu"))
        memory, self._critic_hidden = on_device((state["memory"], state["critic_hidden"]), self.device)
        self._memory, self._first_memory = memory["last"], memory["first"]
        self._before, self.rollout = None, None
        if (rollout := state["rollout"]) is not None:
            self.rollout = self._new_rollout(rollout["n_worlds"], action_mask="action_mask" in rollout["fields"])
            self.rollout.load_state_dict(rollout)


def footprint(spec: Spec, config: MappoConfig, *, n_worlds: int, action_mask: bool, device: str) -> list[Part]:
    """Counts the memory that `Mappo` takes.

    Raises:
        ValueError: There are more minibatches than a rollout can be divided into.
    """
    steps = n_worlds * config.rollout_steps
    sequential = config.gru > 0 or (config.comm != "none" and config.channel.remembers)
    units = n_worlds if sequential else steps
    if config.minibatches > max(units, type(config).minibatches):  # the default is lowered to as many as there can be
        what = f"{n_worlds} worlds" + ("" if sequential else f" x {config.rollout_steps} steps")
        raise ValueError(f"minibatches is {config.minibatches}; a rollout of {what} makes at most {units} of them")
    n, (features, maps), place = spec.n_agents, encoded(spec), place_of(device)
    of_state = config.critic == "central" and spec.state_dim > 0
    talks, heard = config.comm != "none", field_of(n, remembers=config.channel.remembers)
    reads_state = spec.state_dim > 0 and (of_state or config.credit in rules.NETWORKED)
    kept = (("state", reads_state), ("action_mask", action_mask), (heard, talks), ("sent", talks))
    kept += (("counterfactual", config.credit in rules.EXACT),)
    rollout = steps * bytes_of(rollout_fields(spec, [name for name, keep in kept if keep]))
    joint = 0 if config.critic == "local" else spec.state_dim if of_state else (n - 1) * features
    networks = parameters(spec, config, features, spec.action_dim)
    networks += parameters(spec, config, features + joint, 1)
    joint_row = 0
    if config.credit in rules.NETWORKED:
        inputs = (spec.state_dim or n * features) + n * spec.action_dim
        networks += parameters(spec, config, inputs, 1, team=True)
        joint_row = 3 * max(config.hidden) * spec.action_dim
    read = features + (joint // n if of_state else joint)  # a state is read once for all agents
    per_row = maps + read + 3 * sum(config.hidden) + 12 * config.gru  # of one agent in one step
    gradient_step = FLOAT * n * (2 * per_row + talking(config, n)) * -(-steps // min(config.minibatches, units))
    values = FLOAT * n * steps * (read + 2 * max(config.hidden) + 12 * config.gru)
    values = max(values, FLOAT * joint_row * min(MOST_AT_ONCE, n * steps))
    learning = max(gradient_step, values) + (0 if place == "cpu" else rollout)  # copied to the device as a whole
    options = "--algo.hidden, --algo.gru" if config.gru else "--algo.hidden"
    fewer = "--algo.rollout-steps, --n-worlds" + (", or raise --algo.minibatches" if talks else "")
    return [
        Part("the rollout", rollout, "cpu", "--algo.rollout-steps, --n-worlds"),
        Part("networks", ADAM * networks, place, options),
        Part("learning from it", learning, place, fewer),
        *remembered(spec, config, n_worlds, place),
    ]
