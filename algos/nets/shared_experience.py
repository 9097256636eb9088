"""Shared experience: learners with parameters of their own learn from what the others have met, too (SEAC).

Beside its own loss, learner i minimises those of every other learner j on j's observations and actions, as i's own
networks see them:

    L_i = L_ii + lambda sum_j E_j[w_ij L(o_j, a_j)],    w_ij = min(1, pi_i(a_j | o_j) / pi_j(a_j | o_j))

L is PPO's clipped surrogate with the ratio of pi_i to pi_i before the update, and the loss of V_i. Rewards are j's;
values, advantages and the units of both are i's. Weights are taken before the update and not differentiated.

Source: Christianos, Schaefer & Albrecht 2020, "Shared Experience Actor-Critic for Multi-Agent Reinforcement Learning",
section 4, the losses of policy and value; lambda = 1 there.

Deviations, because PPO learns several times from long traces where the paper's A2C learns once from five steps:

- The gradient of the surrogate w_ij pi_i / pi_i_before is the paper's at the first step, but for the cut of w_ij; later
  steps are clipped about i's own policy, and not about j's, which may be far from it (Hilton, Cobbe & Schulman 2022,
  "Batch size-invariance for policy optimization", the decoupled objective).
- Weights are cut at 1, and cut the traces of advantages: that is V-trace with both bounds at 1 and a lambda (Espeholt
  et al. 2018, "IMPALA", equation 1). Otherwise V_i would learn what j earns in the rest of the episode, and an action
  that j hardly ever takes would outweigh all others.

Axes: T time, B worlds, N agents, one a learner, O observation, A actions; K = N - 1 others of each agent, of which the
k-th is agent i + k + 1 in a circle; R rows of a minibatch, F steps to bootstrap from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ..core import Array
from ..maths.returns import gae
from .actor import Actor
from .critic import Critic
from .value_norm import ValueNorm


class Others(NamedTuple):
    """What all others have met, in the place of each agent."""

    log_prob: Tensor  # (T, B, K, N) of the others' actions by one's own policy
    weight: Tensor  # (T, B, K, N) lambda w_ij; 0 where the other is absent or may not be learned from
    value: Tensor  # (T, B, K, N) in the units the critic learns in
    advantage: Tensor  # (T, B, K, N) in the reward's units, later normalised
    target: Tensor  # (T, B, K, N) in the reward's units, later normalised


OTHERS = tuple(f"others_{name}" for name in Others._fields)
"""Names of its fields beside those of a rollout."""
RAW = "raw_obs"
"""Name of the observations before they were normalised by the statistics of who made them."""


class Horizon(NamedTuple):
    """How advantages look ahead."""

    gamma: float | Tensor  # () or (N,)
    gae_lambda: float


class SharedExperience:
    """Puts what others have met in the place of each learner.

    Attributes:
        strength: (K, N) lambda where an agent may learn from its k-th other, else 0.
    """

    def __init__(self, learners: int, weight: float, device: torch.device) -> None:
        """Begins with nobody learning from anybody.

        Args:
            learners: N, at least 2.
            weight: lambda.
            device: Where the learners compute.
        """
        place = torch.arange(learners, device=device)
        self._whose = (place + place[1:].unsqueeze(1)) % learners  # (K, N)
        self._weight = weight
        self.strength = torch.zeros(self._whose.shape, dtype=torch.float32, device=device)

    def allow(self, may: Array) -> None:
        """Sets who may learn from whom, (N, N) bool; [i, j]: i may learn from j."""
        allowed = torch.as_tensor(may, device=self._whose.device)
        place = torch.arange(self._whose.shape[1], device=self._whose.device)
        self.strength = self._weight * allowed[place, self._whose].float()

    def placed(self, field: Tensor, axis: int) -> Tensor:
        """Returns the others' part of a field in the place of each agent: (..., N, ...) to (..., K, N, ...).

        Args:
            field: With an axis of agents.
            axis: Which one that is.
        """
        return field.index_select(axis, self._whose.flatten()).unflatten(axis, self._whose.shape)

    @torch.no_grad()
    def met(
        self,
        policy: Actor,
        critic: Critic,
        value_norm: ValueNorm | None,
        data: Mapping[str, Tensor],
        finals: Mapping[str, Tensor],
        paid: tuple[Tensor, Tensor, Tensor],
        horizon: Horizon,
    ) -> Others:
        """Returns what all have met as the networks of each other see it; none of it has a gradient.

        Args:
            policy: As it was when the rollout was made.
            critic: A local one.
            value_norm: Units of the values of each learner; None: those of the reward.
            data: The rollout, with `RAW` observations where they are normalised.
            finals: Steps to bootstrap from, likewise.
            paid: `reward`, `terminated` and `ended`, (T, B, N) each; see `returns.gae`.
            horizon: How advantages look ahead.
        """
        log_prob, ratio, raw, following = [], [], [], []
        for whose in self._whose:  # (N,)
            obs, final = (_as_own(part, whose, policy) for part in (data, finals))
            action = data["action"].index_select(2, whose)
            mask = data["action_mask"].index_select(2, whose) if "action_mask" in data else None
            log_prob.append(policy.log_prob(policy(obs, normalized=True).head, action, mask)[0])
            ratio.append((log_prob[-1] - data["log_prob"].index_select(2, whose)).exp().clamp(max=1.0))
            raw.append(critic(obs, None)[0])
            following.append(critic(final, None)[0])
        value, after = torch.stack(raw, 2), torch.stack(following, 1)  # (T, B, K, N), (F, K, N)
        own_units, cut = value, torch.stack(ratio, 2)
        if value_norm is not None:
            value, after = value_norm.denormalize(value), value_norm.denormalize(after)
        next_value = torch.cat([value[1:], torch.zeros_like(value[:1])])
        row, other, agent = self.placed(finals["whose"], 1).nonzero(as_tuple=True)
        next_value.flatten(0, 1)[finals["index"][row], other, agent] = after[row, other, agent]
        reward, terminated, ended = (self.placed(field, 2) for field in paid)
        traces = {"gamma": horizon.gamma, "gae_lambda": horizon.gae_lambda, "cut": cut}
        advantage = gae(reward, value, next_value, terminated, ended, **traces)
        weight = self.strength * cut * self.placed(data["alive"], 2)
        return Others(torch.stack(log_prob, 2), weight, own_units, advantage, advantage + value)

    def policy_loss(self, policy: Actor, mini: Mapping[str, Tensor], clip_coef: float) -> Tensor:
        """Returns the sum over learners of their surrogate losses of the others' experience, ().

        Args:
            policy: The policy that learns.
            mini: A minibatch of (R, ...) with `OTHERS`.
            clip_coef: See `MappoConfig`.
        """
        action, mask = self.placed(mini["action"], 1), mini.get("action_mask")
        mask = None if mask is None else self.placed(mask, 1)
        log_prob, _ = policy.log_prob(policy(self._seen(mini, policy), normalized=True).head, action, mask)
        ratio = (log_prob - mini["others_log_prob"]).exp()  # (R, K, N)
        clipped = ratio.clamp(1.0 - clip_coef, 1.0 + clip_coef)
        advantage = mini["others_advantage"]
        surrogate = torch.minimum(ratio * advantage, clipped * advantage)
        return -(surrogate * self._shares(mini)).sum()

    def values(self, policy: Actor, critic: Critic, mini: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Returns the values of the others' observations, (R, K, N), and the weights of their losses, which sum up."""
        return critic(self._seen(mini, policy), None)[0], self._shares(mini)

    def importance(self, others: Others, alive: Tensor) -> Tensor:
        """Returns the mean of the weights w_ij where something is learned, (); 0 where nothing is."""
        there = self.placed(alive, 2) * (self.strength > 0)  # (T, B, K, N)
        return others.weight.sum() / (self._weight * there.sum()).clamp(min=1e-8)

    def _seen(self, mini: Mapping[str, Tensor], policy: Actor) -> Tensor:
        """Returns observations of the others as networks read them, (R, K, N, O)."""
        if policy.obs_norm is None:
            return self.placed(mini["obs"], 1)
        return policy.obs_norm(self.placed(mini[RAW], 1))

    def _shares(self, mini: Mapping[str, Tensor]) -> Tensor:
        """Returns the weights of losses, (R, K, N): of a mean over the moments in which the other is there."""
        there = self.placed(mini["weight"], 1)
        return mini["others_weight"] * there / there.sum(0).clamp(min=1e-8)


def joined(own: Tensor, of_others: Tensor) -> Tensor:
    """Returns what an agent has met itself and what the others have, (T, B, N) and (T, B, K, N): (T, B, N, N)."""
    return torch.cat([own.unsqueeze(2), of_others], 2)


def _as_own(fields: Mapping[str, Tensor], whose: Tensor, policy: Actor) -> Tensor:
    """Returns observations (..., N, O) of other agents in units of those in whose place they are."""
    norm = policy.obs_norm
    obs = fields["obs" if norm is None else RAW].index_select(-2, whose)
    return obs if norm is None else norm(obs)
