"""Rounds of speaking and hearing, between the layers of a policy and its head.

    h_i <- h_i + act(W [h_i, c_i])

c_i is what agent i makes of the messages that it hears, and 0 if it hears nothing; what it knows by itself passes
beside it. Each round has parameters of its own. What is said in a round is heard in the same round, `delay` steps
later.

Axes: T time, B worlds, R rows (any leading axes), N agents, D features, M entries of a message, P numbers of a packet,
E links, H heads, V numbers of a value, X further numbers that come with a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core import NOTHING
from .config import CommConfig
from .hearing import Hearing, Links, links_of, table
from .methods import LISTED, Graph, Linear, Mean, method_of
from .mixing import (
    highest_dense,
    highest_links,
    mean_dense,
    mean_links,
    softmax_dense,
    softmax_links,
    sum_links,
)
from .quantise import quantised

_AGE = 1 / 16
"""Unit of an age, as networks read it [1/steps]."""


class Talked(NamedTuple):
    """The outcome of the rounds."""

    features: Tensor  # (..., N, D)
    packets: list[Tensor]  # (..., N, P) of each round: the message, and the position of its sender
    speaks: Tensor | None  # (..., N) chance of the gate to be open, with a gradient; None: there is no gate
    weights: list[Tensor]  # (..., H, N, N) of each round, where they were asked for


class Round(nn.Module):
    """One exchange of messages."""

    def __init__(self, features: int, talk: Talk, linear: Linear, generator: torch.Generator) -> None:
        super().__init__()
        self.method = method_of(talk.name, talk.entries, talk.heads, talk.link_features, generator)
        extra = 2 + talk.pose  # beside each value: how much is heard, how old it is, and from where
        self.speak = linear([features], self.method.question + talk.entries, 1.0)
        self.mix = linear([features, self.method.heads * (self.method.value + extra)], features, math.sqrt(2.0))


class Talk(nn.Module):
    """Rounds of communication among N agents."""

    def __init__(
        self,
        config: CommConfig,
        features: int,
        *,
        pose: int,
        activation: Callable[[Tensor], Tensor],
        linear: Linear,
        generator: torch.Generator,
    ) -> None:
        """Builds it.

        Args:
            config: How agents talk.
            features: D.
            pose: Numbers of a position that come with every message, 0 or 2.
            activation: Activation function.
            linear: Makes layers.
            generator: Source of initial weights.

        Raises:
            ValueError: Options do not fit each other.
        """
        super().__init__()
        channel = config.channel
        self.name, self.heads, self.top = config.comm, config.comm_heads, config.comm_top
        self.entries, self.pose = channel.entries, pose
        self.link_features = 1 + (pose + 1 if pose else 0)
        self.activation = activation
        self.rounds = nn.ModuleList(Round(features, self, linear, generator) for _ in range(config.comm_rounds))
        self.gate = linear([features], 1, 0.01) if config.comm_gate else None
        rate = -math.log(channel.decay)
        raw = torch.tensor(math.log(math.expm1(max(rate, 1e-3))))
        self.fading: nn.Parameter | None = nn.Parameter(raw) if channel.learned_decay else None
        self._rate = rate

    @property
    def packet(self) -> int:
        """P: numbers of a packet, the message and the position of its sender."""
        return self.entries + self.pose

    def forward(
        self, x: Tensor, pose: Tensor, hearing: Hearing, *, levels: float = 0.0, keep_weights: bool = False
    ) -> Talked:
        """Lets agents talk.

        Args:
            x: (..., N, D) features; (T, B, N, D) where messages of earlier steps are heard.
            pose: (..., N, 0 or 2) positions.
            hearing: Who hears whom, and what was said before.
            levels: Levels that entries of messages are rounded to; 0: they are not.
            keep_weights: Return how much each message counted.
        """
        speaks = self.speaks(x)  # (..., N)
        # Exactly 0 or 1, with the gradient of the chance.
        hard = None if speaks is None else (speaks > 0.5).float() + (speaks - speaks.detach())
        remembers = hearing.before is not None or hearing.said_in is not None
        sparse = remembers or self._sparse(hearing)
        links = links_of(hearing) if sparse else None
        packets, weights = [], []
        for number, one in enumerate(self.rounds):
            assert isinstance(one, Round)
            question, message = self.say(x, number, levels)
            packets.append(torch.cat([message, pose], -1) if self.pose else message)
            if links is not None:
                sent = table(packets[-1], hearing, number)[links.sender]  # (E, P)
                open_ = None if hard is None else hard.flatten()[links.sender]  # (E,)
                c, weight = self._over_links(one, question, pose, sent, links, open_)
            else:
                c, weight = self._dense(one, question, message, pose, hard, hearing)
            x = self._mixed(one, x, c)
            if keep_weights:
                weights.append(weight if links is None else _matrix(weight, links, x.shape))
        return Talked(x, packets, speaks, [weight.view(*x.shape[:-2], *weight.shape[1:]) for weight in weights])

    def take(self, x: Tensor, pose: Tensor, sent: Tensor, links: Links, number: int) -> Tensor:
        """Returns features after a round in which agents take what was brought to them, see `forward`.

        Args:
            x: (..., N, D).
            pose: (..., N, 0 or 2).
            sent: (E, P) packets that are heard.
            links: By whom, and how old they are; `sender` is not read.
            number: Index of the round.
        """
        one = self.rounds[number]
        assert isinstance(one, Round)
        question, _ = self.say(x, number, 0.0)
        c, _ = self._over_links(one, question, pose, sent, links, None)
        return self._mixed(one, x, c)

    def speaks(self, x: Tensor) -> Tensor | None:
        """Returns the chance of each agent's gate to be open, (..., N); above 1/2 it is. None: there are no gates."""
        return None if self.gate is None else (self.gate(x).squeeze(-1) + 1.0).sigmoid()

    def say(self, x: Tensor, number: int, levels: float) -> tuple[Tensor, Tensor]:
        """Returns what agents ask, (..., N, Q), and what they say, (..., N, M) as it is sent, in a round."""
        one = self.rounds[number]
        assert isinstance(one, Round)
        question, message = one.speak(x).split([one.method.question, self.entries], -1)
        return question, quantised(message, levels) if levels else message

    def _mixed(self, one: Round, x: Tensor, c: Tensor) -> Tensor:
        """Adds what was heard, (R, N, C), to features (..., N, D)."""
        return x + self.activation(one.mix(x, c.view(*x.shape[:-1], c.shape[-1])))

    def _sparse(self, hearing: Hearing) -> bool:
        fewest, densest = LISTED[self.name]
        return hearing.age.shape[-1] >= fewest and bool((hearing.age != NOTHING).float().mean() <= densest)

    def _fade(self) -> Tensor | float:
        """Returns by how much the score of a message falls in a step."""
        return self._rate if self.fading is None else F.softplus(self.fading)

    def _dense(
        self, one: Round, question: Tensor, message: Tensor, pose: Tensor, speaks: Tensor | None, hearing: Hearing
    ) -> tuple[Tensor, Tensor]:
        """Returns what is heard, (R, N, C), and weights (R, H, N, N); nothing is remembered."""
        method = one.method
        question, message, pose = question.flatten(0, -3), message.flatten(0, -3), pose.flatten(0, -3)  # (R, N, ...)
        heard = (hearing.age.flatten(0, -3) == 0).unsqueeze(1)  # (R, 1, N, N)
        speaks = None if speaks is None else speaks.flatten(0, -2)
        if isinstance(method, Mean):
            weight = mean_dense(heard, speaks)  # (R, 1, N, N)
        else:
            link = None
            if self.pose and isinstance(method, Graph):
                away = pose.unsqueeze(1) - pose.unsqueeze(2)  # (R, N, N, 2)
                link = _of_links(away.new_zeros(*away.shape[:-1], 1), away)
            scores = method.scores_dense(question, message, link)
            if self.top:
                heard = highest_dense(scores, heard, self.top, speaks)
            weight = softmax_dense(scores, heard, speaks)  # (R, H, N, N)
        values = _beside(method.values(message), message.new_zeros(1, 1, 1), pose)  # (R, N, H, V + X)
        total = (weight @ values.transpose(1, 2)).transpose(1, 2)  # (R, N, H, V + X)
        return self._seen_from(total, pose, method.value).flatten(2), weight

    def _over_links(
        self,
        one: Round,
        question: Tensor,
        pose: Tensor,
        sent: Tensor,
        links: Links,
        open_: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Returns what is heard, (R, N, C), and weights (E, H), of packets (E, P) whose senders speak where `open_`."""
        method, n = one.method, pose.shape[-2]
        message, where = sent[:, : self.entries], sent[:, self.entries :]
        pose = pose.flatten(0, -2)  # (R * N, 2)
        n_rows = len(pose)  # R * N
        fade, age = self._fade(), links.age.unsqueeze(1) * _AGE
        if isinstance(method, Mean):
            weight = mean_links(torch.exp(-fade * links.age), links, n_rows, open_)
        else:
            link = _of_links(age, where - pose[links.receiver])
            scores = method.scores_links(question.flatten(0, -2)[links.receiver], message, link)
            scores = scores - fade * links.age.unsqueeze(1)
            if self.top:
                best = highest_links(scores, links, n_rows, n, self.top, open_)
                scores = scores.masked_fill(~best, -torch.inf)
            weight = softmax_links(scores, links, n_rows, open_)
        values = _beside(method.values(message), age, where)  # (E, H, V + X)
        total = sum_links(weight, values, links, n_rows)  # (R * N, H, V + X)
        total = self._seen_from(total, pose, method.value)
        return total.flatten(1).view(-1, n, total[0].numel()), weight

    def _seen_from(self, total: Tensor, pose: Tensor, value: int) -> Tensor:
        """Turns sums of positions (..., H, V + X) into positions relative to the receiver's (..., 2)."""
        if not self.pose:
            return total
        away = total[..., -self.pose :] - total[..., value : value + 1] * pose.unsqueeze(-2)
        return torch.cat([total[..., : -self.pose], away], -1)


def _of_links(age: Tensor, away: Tensor) -> Tensor:
    """Returns features of links, (..., F): age (..., 1), and if it is sent where the sender is (..., 2) and how far."""
    return torch.cat([age, away, away.norm(dim=-1, keepdim=True)], -1) if away.shape[-1] else age


def _beside(values: Tensor, age: Tensor, pose: Tensor) -> Tensor:
    """Adds to values (..., H, V) a 1, the age (..., 1) and the position (..., 0 or 2): (..., H, V + X)."""
    further = F.pad(age, (1, 0), value=1.0)
    if pose.shape[-1]:
        further = torch.cat([further.expand(*pose.shape[:-1], -1), pose], -1)
    return torch.cat([values, further.unsqueeze(-2).expand(*values.shape[:-1], -1)], -1)


def _matrix(weight: Tensor, links: Links, shape: torch.Size) -> Tensor:
    """Lays weights of links (E, H) out as (R, H, N, N)."""
    n, heads = shape[-2], weight.shape[1]
    rows = shape.numel() // shape[-1]
    full = weight.new_zeros(rows, n, heads)
    full[links.receiver, links.which] = weight
    return full.view(-1, n, n, heads).permute(0, 3, 1, 2)
