"""MAPPO and IPPO: proximal policy optimisation for many agents, with a centralised or a local critic.

The whole update stands in `Mappo.update`, top to bottom; its gradient steps are `_policy_step` and `_critic_step`.

Axes: T time, B worlds, N agents, O observation, S global state, A actions, H hidden, V values (N, or 1 for a team).

Sources: Yu et al. 2022, "The surprising effectiveness of PPO in cooperative multi-agent games" (MAPPO, IPPO); Schulman
et al. 2017 (PPO). Deviations: no PopArt, statistics by rollout instead of by minibatch; gradients of actor and critic
are clipped apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .core import Action, Obs, Spec, Transition
from .experience.rollout import Rollout, tensor_of
from .mappo_config import MappoConfig
from .maths.returns import constant_value, explained_variance, gae, masked_mean, masked_var
from .maths.snapshots import copied
from .maths.threads import one_thread, side_by_side
from .nets.actor import Actor
from .nets.descent import Descent
from .nets.layers import Critic, Memory, ValueNorm
from .nets.obs_norm import RunningNorm


def build_actor(spec: Spec, config: MappoConfig, generator: torch.Generator | None = None) -> Actor:
    """The policy alone, as training builds it: load its parameters and execute."""
    return Actor(
        spec,
        share=config.share,
        agent_id=config.agent_id,
        hidden=config.hidden,
        activation=config.activation,
        gru=config.gru,
        init_std=config.init_std,
        obs_norm=config.obs_norm == "on",
        generator=generator,
    )


class Mappo:
    """Acts with `policy`, collects a rollout, learns from it, throws it away.

    Same seed, same bytes (on one device, for one number of threads): all chance comes from generators of its own.

    Attributes:
        policy: The actor; all that execution needs.
        progress: Fraction of the run that is over, 0 to 1; whoever runs it sets it when `anneal` is wanted.
    """

    def __init__(self, spec: Spec, config: MappoConfig, *, seed: int, device: str = "cpu") -> None:
        self.spec, self.config, self.device = spec, config, torch.device(device)
        seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(3, np.uint64)]
        initial = torch.Generator().manual_seed(seeds[0])  # on the CPU: the same first weights on every device
        self._sampling = torch.Generator(self.device).manual_seed(seeds[1])
        self._shuffling = torch.Generator().manual_seed(seeds[2])

        self.policy = build_actor(spec, config, initial).to(self.device)
        central = "team" if config.reward == "team" else "central"
        self.critic = Critic(
            spec,
            central if config.critic == "central" else "local",
            share=config.share,
            agent_id=config.agent_id,
            hidden=config.hidden,
            activation=config.activation,
            gru=config.gru,
            generator=initial,
        ).to(self.device)
        self.value_norm = ValueNorm().to(self.device)
        normalizes = self.policy.obs_norm is not None and spec.state_dim > 0
        self.state_norm = RunningNorm(spec.state_dim, (0,)).to(self.device) if normalizes else None
        self.policy_descent, self.critic_descent = (
            Descent(network, lr=config.lr, eps=1e-5, max_grad_norm=config.max_grad_norm)
            for network in (self.policy, self.critic)
        )
        self.progress = 0.0
        self.updates = 0

        self.replay: None = None
        self.rollout: Rollout | None = None  # allocated when the number of worlds is known
        self._pending: tuple[Tensor, Tensor] | None = None  # action and log_prob of the last act, on the CPU
        self._before: tuple[Tensor, Tensor | None, Tensor | None] | None = None  # what `take_back` goes back to
        self._hidden: dict[bool, Tensor] = {}  # (B, N, H) after the last act; greedy play does not disturb exploring
        self._first_hidden: Tensor | None = None  # (B, N, H) the actor's before the rollout's first step
        self._critic_hidden: Tensor | None = None  # (B, V, H) the critic's

    def begin(self, obs: Obs) -> tuple[str, ...]:  # noqa: ARG002 - the first transition says it all
        """Nothing to say; see `Algorithm.begin`."""
        return ()

    @one_thread()
    @torch.inference_mode()
    def act(self, obs: Obs, *, greedy: bool = False) -> Action:
        """Draws actions for all agents in one forward pass; see `Algorithm.act`."""
        x = tensor_of(obs.obs, self.device)  # (B, N, O)
        mask = None
        if obs.action_mask is not None:
            mask = tensor_of(obs.action_mask, self.device)  # (B, N, A)
        if not greedy:
            self._before = self._sampling.get_state(), self._hidden.get(False), self._first_hidden
        if self.config.gru:
            hidden = self._hidden.get(greedy)
            if hidden is None or len(hidden) != len(x):
                hidden = self.policy.first_hidden(len(x))
            started, alive = tensor_of(obs.started, self.device), tensor_of(obs.alive, self.device)
            if not greedy and (self.rollout is None or self.rollout.t == 0):
                self._first_hidden = hidden
            head, states = self.policy(x[None], Memory(hidden, started[None], alive[None]))  # (1, B, N, A)
            head, self._hidden[greedy] = head[0], states[0]
        else:
            head, _ = self.policy(x)  # (B, N, A)
        action, log_prob = self.policy.sample(head, mask, None if greedy else self._sampling)
        if not greedy:
            self._pending = action.cpu(), log_prob.cpu()
        return self.policy.to_space(action).cpu().numpy()

    def take_back(self) -> None:
        """Makes the last `act` that was not greedy undone, if it was not observed; see `Algorithm.take_back`."""
        if self._pending is None or self._before is None:
            return
        sampling, hidden, self._first_hidden = self._before
        self._sampling.set_state(sampling)
        self._hidden.pop(False, None)
        if hidden is not None:
            self._hidden[False] = hidden
        self._pending = self._before = None

    def observe(self, transition: Transition) -> None:
        """Stores what came of the last `act` that was not greedy.

        Raises:
            ValueError: There was none.
        """
        if self._pending is None:
            raise ValueError("observe() came before act(): a transition belongs to the last act(greedy=False)")
        if self.rollout is None:
            mask = transition.obs.action_mask is not None
            self.rollout = self._new_rollout(len(transition.obs.obs), mask)
        self.rollout.add(transition, *self._pending)
        self._pending = None

    def update(self) -> dict[str, float]:
        """Learns from a full rollout; {} until there is one."""
        if self.rollout is None or not self.rollout.full:
            return {}
        config = self.config
        data, finals = self.rollout.to(self.device)
        alive = data["alive"]  # (T, B, N)
        weight = alive.float()  # (T, B, N)
        counted = self._normalize(data, finals)

        # What is rewarded, and where it ends.
        ended = data["ended"].unsqueeze(-1)  # (T, B, 1)
        if self.critic.kind == "team":  # the team lives on when an agent dies or leaves; it ends when nobody is there
            reward = data["team_reward"].unsqueeze(-1)  # (T, B, 1)
            terminated = ended & ~data["survives"].unsqueeze(-1)  # (T, B, 1)
            value_weight = alive.any(-1, keepdim=True).float()  # (T, B, 1)
        else:  # a local critic cannot see the team live on after its agent's death, so death cuts a team reward too
            team = config.reward == "team"
            reward = data["team_reward"].unsqueeze(-1).expand_as(weight) if team else data["reward"]  # (T, B, N)
            terminated, value_weight = data["terminated"], weight  # (T, B, N)
            ended = ended | ~torch.cat([alive[1:], alive[-1:]])  # (T, B, N): absent at t + 1, the trace is cut

        # Values of the whole rollout in one pass, in the reward's units. This is the only place that de-normalises.
        with torch.no_grad():
            raw, raw_final, critic_hidden = self._critic_pass(data, finals)  # (T, B, V), (K, V)
            value, value_final = raw, raw_final
            if config.value_norm:
                if not self.value_norm.begun:  # before the policy learns anything, values find their offset
                    self.value_norm.begin_at(constant_value(reward, terminated, value_weight, gamma=config.gamma))
                value, value_final = self.value_norm.denormalize(raw), self.value_norm.denormalize(raw_final)
            next_value = torch.cat([value[1:], torch.zeros_like(value[:1])])  # (T, B, V)
            whose = finals["of_world"].unsqueeze(-1) if self.critic.kind == "team" else finals["whose"]  # (K, V)
            moment, who = whose.nonzero(as_tuple=True)
            next_value.flatten(0, 1)[finals["index"][moment], who] = value_final[moment, who]

        # Advantages and value targets.
        advantage = gae(
            reward, value, next_value, terminated, ended, gamma=config.gamma, gae_lambda=config.gae_lambda
        )  # (T, B, V)
        target = advantage + value  # (T, B, V)
        advantage = advantage.expand_as(weight)  # (T, B, N)
        advantage = (advantage - masked_mean(advantage, weight)) / (masked_var(advantage, weight).sqrt() + 1e-8)
        advantage = advantage.float()
        stats = {
            "value_mean": masked_mean(value, value_weight),
            "value_std": masked_var(value, value_weight).sqrt(),
            "explained_variance": explained_variance(value, target, value_weight),
        }
        if config.value_norm:
            self.value_norm.update(target, value_weight)
            target = self.value_norm.normalize(target)  # float32

        # Gradient steps. A minibatch is some steps of some worlds, or all steps of some worlds if there is memory.
        batch = {name: data[name] for name in ("obs", "action", "log_prob", "state", "action_mask") if name in data}
        batch |= {
            "advantage": advantage,
            "target": target,
            "value": raw,
            "weight": weight,
            "value_weight": value_weight,
        }
        recurrent = config.gru > 0
        if recurrent:
            batch |= {"started": data["started"], "alive": alive}
        else:
            batch = {name: field.flatten(0, 1) for name, field in batch.items()}  # (T * B, ...)
            living = alive.flatten(0, 1)  # (T * B, N)
            if not living.all():
                batch["living"] = living
        n_units = alive.shape[1] if recurrent else alive.shape[0] * alive.shape[1]
        left = 1.0 - self.progress if config.anneal else 1.0
        lr, ent_coef = config.lr * left, config.ent_coef * left
        self.policy_descent.lr = self.critic_descent.lr = lr
        first_critic_hidden = None if critic_hidden is None else critic_hidden[0]
        history: list[dict[str, Tensor]] = []
        epochs = 0
        for _ in range(config.epochs):
            order = torch.randperm(n_units, generator=self._shuffling).to(self.device)
            chunks = order.chunk(config.minibatches)
            of_policy, of_critic = side_by_side(
                lambda chunks=chunks: [self._policy_step(batch, rows, ent_coef) for rows in chunks],
                lambda chunks=chunks: [self._critic_step(batch, rows, first_critic_hidden) for rows in chunks],
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
        if not counted:
            self._count(self.rollout.fields)
        self.rollout.clear()
        self.updates += 1
        stats |= {name: torch.stack([step[name] for step in history]).mean() for name in history[0]}
        return {name: float(value) for name, value in stats.items()} | {"lr": lr, "epochs": float(epochs)}

    def state_dict(self) -> dict[str, Any]:
        """Everything, copied: networks, optimiser, generators, normaliser, memory and the rollout so far."""
        state = {
            "policy": self.policy.state_dict(),
            "critic": self.critic.state_dict(),
            "value_norm": self.value_norm.state_dict(),
            "state_norm": None if self.state_norm is None else self.state_norm.state_dict(),
            "policy_descent": self.policy_descent.state_dict(),
            "critic_descent": self.critic_descent.state_dict(),
            "device": self.device.type,
            "sampling": self._sampling.get_state(),
            "shuffling": self._shuffling.get_state(),
            "progress": self.progress,
            "updates": self.updates,
            "rollout": None if self.rollout is None else self.rollout.state_dict(),
            "pending": self._pending,
            "hidden": {str(greedy): hidden for greedy, hidden in self._hidden.items()},
            "first_hidden": self._first_hidden,
            "critic_hidden": self._critic_hidden,
        }
        return copied(state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on bit for bit from `state_dict` of an algorithm built for the same spec and config."""
        state = copied(state)
        self.policy.load_state_dict(state["policy"])
        self.critic.load_state_dict(state["critic"])
        self.value_norm.load_state_dict(state["value_norm"])
        if self.state_norm is not None:
            self.state_norm.load_state_dict(state["state_norm"])
        self.policy_descent.load_state_dict(state["policy_descent"])
        self.critic_descent.load_state_dict(state["critic_descent"])
        if state["device"] == self.device.type:
            self._sampling.set_state(state["sampling"].cpu())
        else:  # the generators of a CPU and a GPU have nothing in common: go on, though not bit for bit
            self._sampling.manual_seed(self._sampling.initial_seed() + state["updates"])
        self._shuffling.set_state(state["shuffling"].cpu())
        self.progress, self.updates = state["progress"], state["updates"]
        self.rollout = None
        if state["rollout"] is not None:
            fields = state["rollout"]["fields"]
            self.rollout = self._new_rollout(state["rollout"]["n_worlds"], "action_mask" in fields)
            self.rollout.load_state_dict(state["rollout"])
        pending = state["pending"]
        self._pending = None if pending is None else (pending[0].cpu(), pending[1].cpu())
        self._hidden = {name == "True": hidden.to(self.device) for name, hidden in state["hidden"].items()}
        first, last = state["first_hidden"], state["critic_hidden"]
        self._first_hidden = None if first is None else first.to(self.device)
        self._critic_hidden = None if last is None else last.to(self.device)

    def _policy_step(self, batch: dict[str, Tensor], rows: Tensor, ent_coef: float) -> dict[str, Tensor]:
        """One gradient step of the actor: the clipped surrogate (Schulman et al. 2017, equation 7), and entropy."""
        config = self.config
        names = ("obs", "action", "log_prob", "advantage", "weight", "action_mask")
        mini = self._minibatch(self.policy, batch, names, rows)
        memory = None
        if config.gru:
            assert self._first_hidden is not None
            mini |= self._minibatch(self.policy, batch, ("started", "alive"), rows)
            memory = Memory(self._first_hidden[rows], mini["started"], mini["alive"])
        head, _ = self.policy(mini["obs"], memory, normalized=True)
        log_prob, entropy = self.policy.log_prob(head, mini["action"], mini.get("action_mask"))  # (..., N)
        log_ratio = log_prob - mini["log_prob"]
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1.0 - config.clip_coef, 1.0 + config.clip_coef)
        surrogate = torch.minimum(ratio * mini["advantage"], clipped * mini["advantage"])
        share = mini["weight"] / mini["weight"].sum().clamp(min=1e-8)  # of a mean over who is alive
        policy_loss = -(surrogate * share).sum()
        entropy_mean = (entropy * share).sum()
        norm = self.policy_descent.step(policy_loss - ent_coef * entropy_mean)
        with torch.no_grad():  # KL as in Schulman 2020, "Approximating KL divergence", k3
            return {
                "policy_loss": policy_loss.detach(),
                "entropy": entropy_mean.detach(),
                "approx_kl": ((ratio - 1.0 - log_ratio) * share).sum(),
                "clip_fraction": ((ratio != clipped) * share).sum(),
                "grad_norm": norm,
            }

    def _critic_step(self, batch: dict[str, Tensor], rows: Tensor, hidden: Tensor | None) -> dict[str, Tensor]:
        """One gradient step of the critic: the worse of the free and the clipped prediction (Yu et al. 2022, appendix).

        `hidden` (B, V, H) is what a recurrent critic remembers before the rollout.
        """
        config = self.config
        names = ("obs", "state", "target", "value", "value_weight", "started")
        mini = self._minibatch(self.critic, batch, names, rows)
        memory = None
        if hidden is not None:
            memory = Memory(hidden[rows], mini["started"], mini["value_weight"] > 0)
        new, _ = self.critic(mini["obs"], mini.get("state"), memory)  # (..., V)
        value_loss = self._value_loss(new, mini["target"])
        if config.value_clip_coef:
            near = mini["value"] + (new - mini["value"]).clamp(-config.value_clip_coef, config.value_clip_coef)
            value_loss = torch.maximum(value_loss, self._value_loss(near, mini["target"]))
        value_loss = masked_mean(value_loss, mini["value_weight"])

        norm = self.critic_descent.step(value_loss)
        return {"value_loss": value_loss.detach(), "critic_grad_norm": norm}

    def _minibatch(
        self, network: Actor | Critic, batch: dict[str, Tensor], names: tuple[str, ...], rows: Tensor
    ) -> dict[str, Tensor]:
        """Rows of the fields that there are: of (T * B, ...), or worlds of (T, B, ...) if there is memory.

        Where some are dead, a network that takes no notice of who an agent is gets none of them: each of the M who are
        alive is then the one agent of a moment of its own, (M, 1, ...) and `state` (M, S). Where agents come and go
        most are dead, and most of the work is saved.
        """
        if not network.alike or "living" not in batch:
            axis = int(self.config.gru > 0)
            return {name: batch[name].index_select(axis, rows) for name in names if name in batch}
        moment, who = batch["living"].index_select(0, rows).nonzero(as_tuple=True)  # (M,) each
        moment = rows[moment]
        mini = {}
        for name in names:
            if name == "state" and name in batch:
                mini[name] = batch[name].index_select(0, moment)
            elif name in batch:
                each = moment * self.spec.n_agents + who  # of (T * B * N, ...)
                mini[name] = batch[name].flatten(0, 1).index_select(0, each).unsqueeze(1)
        return mini

    @torch.no_grad()
    def _normalize(self, data: dict[str, Tensor], finals: dict[str, Tensor]) -> bool:
        """Puts normalised observations and states in the place of those that the environment gave.

        The statistics are those the rollout was acted with, so that probability ratios start at 1. Only the first
        rollout, acted without any, is counted before it is learned from: its probabilities are computed anew, which
        hardly changes them, since the first policy is nearly uniform whatever it sees.

        Returns:
            Whether the rollout has been counted.
        """
        norm = self.policy.obs_norm
        if norm is None:
            return True
        first = not norm.begun
        if first:
            self._count(data)
            memory = None
            if self.config.gru:
                assert self._first_hidden is not None
                memory = Memory(self._first_hidden, data["started"], data["alive"])
            head, _ = self.policy(data["obs"], memory)
            data["log_prob"], _ = self.policy.log_prob(head, data["action"], data.get("action_mask"))
        data["obs"] = self.policy.normalize(data["obs"], data["alive"])
        finals["obs"] = self.policy.normalize(finals["obs"], finals["seen"])
        if self.state_norm is not None and "state" in data:
            for fields in (data, finals):
                fields["state"] = self.state_norm(fields["state"].unsqueeze(-2)).squeeze(-2)
        return first

    def _count(self, fields: dict[str, Tensor]) -> None:
        """Adds a rollout to the statistics of observations and states."""
        norm, alive = self.policy.obs_norm, fields["alive"].to(self.device)  # (T, B, N)
        assert norm is not None
        norm.update(fields["obs"].to(self.device), alive)
        if self.state_norm is not None and "state" in fields:
            self.state_norm.update(fields["state"].to(self.device).unsqueeze(-2), alive.any(-1, keepdim=True))

    def _new_rollout(self, n_worlds: int, action_mask: bool) -> Rollout:
        needs_state = self.critic.kind != "local" and self.spec.state_dim > 0
        return Rollout(self.spec, self.config.rollout_steps, n_worlds, state=needs_state, action_mask=action_mask)

    def _critic_pass(
        self, data: dict[str, Tensor], finals: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor] | None]:
        """The critic on a rollout and on the moments to bootstrap from.

        Returns:
            (T, B, V) and (K, V) as the critic puts them out, and its hidden states (B, V, H) before and after the
            rollout if it is recurrent.
        """
        obs, state = data["obs"], data.get("state")
        if not self.config.gru:
            return self.critic(obs, state)[0], self.critic(finals["obs"], finals.get("state"))[0], None
        n_worlds, n_values = obs.shape[1], self.critic.n_values
        first = self._critic_hidden
        if first is None or len(first) != n_worlds:
            first = torch.zeros(n_worlds, n_values, self.config.gru, dtype=torch.float32, device=self.device)
        alive = data["alive"] if self.critic.kind != "team" else data["alive"].any(-1, keepdim=True)  # (T, B, V)
        raw, states = self.critic(obs, state, Memory(first, data["started"], alive))
        before = states.flatten(0, 1)[finals["index"]]  # (K, V, H)
        going_on = torch.zeros(1, len(before), dtype=torch.bool, device=self.device)
        memory = Memory(before, going_on, ~going_on.unsqueeze(-1))
        final_state = finals["state"][None] if "state" in finals else None  # (1, K, S)
        raw_final, _ = self.critic(finals["obs"][None], final_state, memory)  # (1, K, V)
        return raw, raw_final[0], (first, states[-1])

    def _value_loss(self, value: Tensor, target: Tensor) -> Tensor:
        """Elementwise."""
        if self.config.value_loss == "huber":
            return F.huber_loss(value, target, reduction="none", delta=10.0)
        return 0.5 * F.mse_loss(value, target, reduction="none")
