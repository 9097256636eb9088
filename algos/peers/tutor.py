"""Teaches learners what their peers would do on what they observe themselves: peer policy distillation.

The tutor holds a copy of the networks in which every learner's seat is taken by its teacher, so that all teachers
answer in one pass. Only their answers reach the learner: distributions over actions, and, to choose the moments in
which the teacher is to be followed, values. Source: Rusu et al. 2016, "Policy distillation", with KL(teacher || own);
among learners Zhang et al. 2018, "Deep mutual learning".

Teachers from disk (`teacher`) answer by networks of their own. They also teach agents that share parameters, who are
one learner together.

Axes: T time, B worlds, P learners, one an agent, or one for all N; D teachers from disk, K teachers of each learner, A
actions; `...` any leading axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..nets.actor import Actor, categorical, gaussian_log_prob
from ..nets.lesson import Lesson, Tried, mixture, moments
from ..nets.targets import Target
from .teacher import Teacher

SAMPLE = 256
"""Moments on which learners are compared with each other."""

MOST_ALIKE, SURE = 2.0, 3.0
"""Most that a moment counts in `merit_of`, and the standard errors by which what a learner would gain is sure."""


def merit_of(log_prob: Tensor, tried: Tried, alive: Tensor, *, learners: int) -> Tensor:
    """Returns what learners would gain in a step if they did as others, as far as it is sure, (P,); negative: lose.

    It is the mean of min(pi_i / pi_j, 2) A_j over what learner j has done, the surrogate of Kakade & Langford 2002,
    "Approximately optimal approximate reinforcement learning", equation 4.1, with cut weights. It is moved towards 0
    by three standard errors, and is 0 if that is further away. What others say of themselves is not in it.

    Args:
        log_prob: (..., N) of what learners have done, by others' policies.
        tried: What they have done.
        alive: (..., N) bool.
        learners: P; 1: all agents are one learner.
    """
    weight = (log_prob - tried.log_prob).exp().clamp(max=MOST_ALIKE)
    gain = (weight * tried.advantage).masked_fill(~alive, 0.0).reshape(-1, learners)  # (R, P)
    there = alive.reshape(-1, learners)
    count = there.sum(0).clamp(min=1)
    mean = gain.sum(0) / count
    error = (((gain - mean).square() * there).sum(0) / count).sqrt() / count.sqrt()
    return mean.sign() * (mean.abs() - SURE * error).clamp(min=0.0)


def _log_prob(answer: Tensor, spread: Tensor | None, action: Tensor) -> Tensor:
    """Returns log-probabilities of actions under the distributions of a `Lesson`, (..., N)."""
    if spread is None:
        return answer.gather(-1, action.unsqueeze(-1)).squeeze(-1).clamp(min=1e-30).log()
    return gaussian_log_prob(answer, 0.5 * spread.log(), action)


class Tutor:
    """Answers in the place of every learner as its teachers would.

    Attributes:
        divergence: (P,) mean divergence of each learner from its teachers in the last lesson [nats]; NaN without one.
        merit: (P, P + D) [j, i]: what j would surely gain or lose in a step if it did as its teacher i, by what has
            come of its own actions, see `merit_of`; NaN for others than teachers, and where that is not known.
    """

    def __init__(self, algo: Any, *, surer: bool, teachers: Sequence[Teacher] = ()) -> None:
        """Begins without anybody taught.

        Args:
            algo: An algorithm of several learners, see `exchange.Learning`; or of one, if there are teachers from disk.
            surer: Teach only in moments in which the teachers' critics foretell returns better than the learner's own.
            teachers: (D,) teachers from disk.

        Raises:
            ValueError: Policies have a memory or talk, so that they cannot answer for another.
        """
        policy = algo.policy
        if policy.sequential or policy.conversation is not None:
            what = "teacher" if teachers else "distill"
            raise ValueError(f"{what} needs policies that act on what they see now: leave out gru and comm")
        self._algo, self._teachers = algo, tuple(teachers)
        self._policy: Target[Actor] = Target(policy, algo.policy_adam)
        self._critic = Target(algo.critic, algo.critic_adam) if surer else None
        n = algo.learners
        self._sources = torch.arange(n).unsqueeze(0)  # (K, P) who teaches
        self._shares = torch.ones(1, n, dtype=torch.float32)  # (K, P) of the teachers, summing to 1
        self._weight = torch.zeros(n, dtype=torch.float32)  # (P,)
        self._asks_peers = False  # anybody learns from another learner, and not from disk alone
        self.divergence = torch.full((n,), torch.nan, dtype=torch.float32)
        self.merit = torch.full((n, n + len(self._teachers)), torch.nan, dtype=torch.float32)
        self.seen: Any = None
        """A sample of what learners saw last: (R, N, O), who was there (R, N), what was allowed (R, N, A) or None."""

    def appoint(self, weights: Tensor) -> None:
        """Appoints teachers.

        Args:
            weights: (P, P + D), [j, i]: how much j is to learn from i; 0: not at all. Teachers from disk come last.
        """
        most = max(int((weights > 0).sum(1).max()), 1)
        shares, sources = weights.topk(most, dim=1)  # (P, K)
        total = shares.sum(1)
        own = torch.arange(len(weights)).unsqueeze(1)
        self._sources = torch.where(shares > 0, sources, own).T.contiguous()
        self._shares = torch.where(total > 0, shares.T / total.clamp(min=1e-12), 1.0 / most)
        self._weight = total
        self._asks_peers = bool(((self._sources < len(weights)) & (shares.T > 0)).any())

    @torch.no_grad()
    def lesson(
        self,
        obs: Tensor,
        alive: Tensor,
        action_mask: Tensor | None,
        *,
        state: Tensor | None = None,
        value: Tensor | None = None,
        target: Tensor | None = None,
        tried: Tried | None = None,
    ) -> Lesson | None:
        """Returns what the teachers of all learners would do; None where nobody has one.

        Args:
            obs: (..., N, O) as the environment gives them.
            alive: (..., N) bool.
            action_mask: (..., N, A) bool, or None.
            state: (..., S) as critics read it, or None.
            value: (..., N) of the learners' own critics, in the reward's units; with `target` for `surer`.
            target: (..., N) returns that critics learn, in the reward's units.
            tried: What learners have done; None: it is not asked what they would gain.
        """
        device, obs = obs.device, obs.masked_fill(~alive.unsqueeze(-1), 0)  # whatever absent agents observe
        self._remember(obs, alive, action_mask)
        self.merit = torch.full_like(self.merit, torch.nan)
        if not (self._weight > 0).any():
            self.divergence = torch.full_like(self.divergence, torch.nan)
            return None
        shares, weight = self._shares.to(device), self._weight.to(device)
        answers, spreads, errors = [], [], []
        network, of_disk = self._policy.network, self._from_disk(obs, action_mask)
        for source in self._sources.to(device):
            answer, spread = self._of_peers(source, obs, action_mask)
            for whose, (theirs, variance) in of_disk.items():
                asked = (source == whose).unsqueeze(-1)  # (P, 1)
                answer = torch.where(asked, theirs, answer)
                spread = None if spread is None or variance is None else torch.where(asked, variance, spread)
            answers.append(answer)
            spreads += [] if spread is None else [spread]
            if tried is not None:
                merit = merit_of(_log_prob(answer, spread, tried.action), tried, alive, learners=len(source))
                self.merit[torch.arange(len(source)), source.cpu()] = merit.cpu()
            if self._critic is not None and value is not None:
                assert target is not None
                seen = obs if network.obs_norm is None else network.obs_norm(obs)
                seen = seen.masked_fill(~alive.unsqueeze(-1), 0)
                raw, _ = self._critic.network(seen, state)
                norm = self._algo.value_norm
                errors.append((raw.double() * norm.std[source] + norm.mean[source] - target).abs())
        answer = torch.stack(answers)
        if spreads:
            answer, spread = moments(answer, torch.stack(spreads), shares)
        else:
            answer, spread = mixture(answer, shares), None
        weights = weight.expand(alive.shape) * alive
        if errors and value is not None and target is not None:
            theirs = (torch.stack(errors) * shares.view(len(shares), *(1,) * (alive.dim() - 1), -1)).sum(0)
            weights = weights * (theirs < (value - target).abs())
        own = self._algo.policy
        away = own.divergence_from(answer, spread, own(obs).head, action_mask) * alive
        sums, counts = (field.flatten(0, -2).sum(0) for field in (away, alive))  # (N,)
        if len(weight) < len(sums):  # agents that are one learner
            sums, counts = sums.sum(0, keepdim=True), counts.sum(0, keepdim=True)
        found = sums / counts.clamp(min=1)
        self.divergence = torch.where(weight > 0, found, torch.nan).cpu()
        return Lesson(answer, spread, weights.float())

    def _of_peers(self, source: Tensor, obs: Tensor, action_mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns what the learners `source`, (P,), would do in the places of all: distributions as in a `Lesson`.

        Where nobody learns from a learner, numbers stand in that count for nothing.
        """
        own, learners = self._algo.policy, len(source)
        if self._teachers and not self._asks_peers:
            nothing = obs.new_zeros(*obs.shape[:-1], self._algo.spec.action_dim, dtype=torch.float32)
            return nothing, None if own.discrete else torch.ones_like(nothing)
        self._seat(torch.where(source < learners, source, torch.arange(learners, device=source.device)))
        network = self._policy.network
        head = network(obs).head
        if network.discrete:
            return categorical(head, action_mask).exp(), None
        return network.means(head), (2.0 * network.deviations()).exp().expand_as(head)

    def _from_disk(self, obs: Tensor, action_mask: Tensor | None) -> dict[int, tuple[Tensor, Tensor | None]]:
        """Returns what those teachers from disk would do that teach anybody, by their index among all sources."""
        found: dict[int, tuple[Tensor, Tensor | None]] = {}
        for index, teacher in enumerate(self._teachers, start=len(self._weight)):
            if (self._sources == index).any():
                answer, spread = teacher.answer(obs, action_mask)
                found[index] = (answer.clamp(-1.0, 1.0) if self._algo.policy.bounded else answer), spread
        return found

    @torch.no_grad()
    def mean_divergence(self) -> float | None:
        """Returns the mean divergence of learners from each other on what they observed last; None before a lesson."""
        found = self.matrix()
        if found is None:
            return None
        n = len(found)
        return float((found.sum() - found.diagonal().sum()) / (n * (n - 1)))

    @torch.no_grad()
    def matrix(self) -> Tensor | None:
        """Returns KL(i || j) on the observations of j that were seen last, (P, P) with [j, i]; None before any."""
        if self.seen is None:
            return None
        obs, alive, action_mask = self.seen
        own, n = self._algo.policy, self._algo.learners
        head = own(obs).head
        columns = []
        for i in range(n):
            self._seat(torch.full((n,), i, device=obs.device))
            network = self._policy.network
            theirs = network(obs).head
            if network.discrete:
                answer, spread = categorical(theirs, action_mask).exp(), None
            else:
                answer, spread = network.means(theirs), (2.0 * network.deviations()).exp()
            away = own.divergence_from(answer, spread, head, action_mask) * alive  # (R, N)
            columns.append(away.sum(0) / alive.sum(0).clamp(min=1))
        return torch.stack(columns, dim=1).cpu()

    def _remember(self, obs: Tensor, alive: Tensor, action_mask: Tensor | None) -> None:
        """Keeps a sample of what learners observe, to compare them on."""
        every = max(alive.flatten(0, -2).shape[0] // SAMPLE, 1)
        fields = (obs, alive, action_mask)
        trailing = (2, 1, 2)
        kept = [
            None if field is None else field.flatten(0, -1 - axes)[::every].clone()
            for field, axes in zip(fields, trailing, strict=True)
        ]
        self.seen = kept[0], kept[1], kept[2]

    def _seat(self, source: Tensor) -> None:
        """Gives every learner's seat to its teacher, (P,) indices."""
        algo = self._algo
        own = algo.policy_adam.own
        self._policy.vector[own] = algo.policy_adam.vector[own[source]]
        if algo.policy.bounded:  # a deviation that is not learned, but set
            self._policy.network.log_std.copy_(algo.policy.log_std)
        mine, theirs = algo.policy.obs_norm, self._policy.network.obs_norm
        if mine is not None and theirs is not None:
            for seats, rows in zip(theirs.of_learners(), mine.of_learners(), strict=True):
                seats.values.copy_(rows.values[source])
        if self._critic is not None:
            own = algo.critic_adam.own
            self._critic.vector[own] = algo.critic_adam.vector[own[source]]
