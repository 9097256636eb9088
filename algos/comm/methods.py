"""How the messages that an agent has heard are combined: their mean, graph attention, or attention by signature.

Each method says how a message is read: the scores that decide how much it counts, and the values that are added up. All
of them are equivariant: agents in another order give the same in that order.

Axes: R rows (worlds and steps), N agents, [i, j] for i hears j; E links, H heads, M entries of a message, Q numbers of
a question, V numbers of a value, F features of a link.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Linear = Callable[[Sequence[int], int, float], nn.Module]
"""Makes an affine layer over several inputs, with one set of parameters for all agents or more.

Its arguments are the sizes of inputs, the size of the output, and the gain of the initial weights.
"""


LISTED = {"mean": (768, 0.02), "graph": (32, 0.2), "attention": (192, 0.06)}
"""Where a list of links is faster than whole matrices, by `benchmarks/communication_cost.py`: number of agents from
which on it is, and share of all links up to which it is."""


class Mean(nn.Module):
    """The mean of all messages: it asks nothing, and has no scores.

    Source: Sukhbaatar et al. 2016, "Learning multiagent communication with backpropagation" (CommNet).
    """

    heads, question = 1, 0

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.value = entries  # V

    def values(self, message: Tensor) -> Tensor:
        """Returns (..., 1, M)."""
        return message.unsqueeze(-2)


class Attention(nn.Module):
    """Messages of a signature and a value; an agent asks, and signatures that fit its question count more.

    s_ij = q_i . k_j / sqrt(d)

    Source: Das et al. 2019, "TarMAC: targeted multi-agent communication", equations 2-4. Deviations: an agent does not
    hear itself, its own features pass beside (`talk`), and there is an empty message (`mixing`).
    """

    def __init__(self, entries: int, heads: int) -> None:
        """Splits the entries of a message in half, and each half among the heads.

        Raises:
            ValueError: They cannot be split.
        """
        super().__init__()
        if entries % (2 * heads):
            raise ValueError(
                f"channel.entries is {entries}; attention splits them into a signature and a value for each of "
                f"{heads} heads: give a multiple of {2 * heads}"
            )
        self.heads = heads
        self.question = entries // 2  # Q
        self.value = entries // 2 // heads  # V

    def values(self, message: Tensor) -> Tensor:
        """Returns (..., H, V), the second half of each message."""
        return message[..., self.question :].unflatten(-1, (self.heads, self.value))

    def scores_dense(self, question: Tensor, message: Tensor, link: Tensor | None) -> Tensor:  # noqa: ARG002 - as Graph
        """Returns (R, H, N, N) from (R, N, Q) and (R, N, M); features of links have no part in it."""
        ask = question.unflatten(-1, (self.heads, self.value)).transpose(1, 2)  # (R, H, N, V)
        sign = message[..., : self.question].unflatten(-1, (self.heads, self.value)).permute(0, 2, 3, 1)
        return ask @ sign / math.sqrt(self.value)

    def scores_links(self, question: Tensor, message: Tensor, link: Tensor) -> Tensor:  # noqa: ARG002 - as Graph has it
        """Returns (E, H) from the question of the receiver (E, Q) and the message of the sender (E, M)."""
        product = question * message[..., : self.question]
        return product.unflatten(-1, (self.heads, self.value)).sum(-1) / math.sqrt(self.value)


class Graph(nn.Module):
    """Graph attention: the score is a small network of message, question and features of the link.

    s_ij = a . LeakyReLU(m_j + q_i + W e_ij)

    Source: Brody et al. 2022, "How attentive are graph attention networks?" (GATv2), equation 7; over agents as in
    Jiang et al. 2020, "Graph convolutional reinforcement learning" (DGN). The features e_ij are where the sender is as
    the receiver sees it, how far, and how old the message is. `a` and W belong to all agents, however they share
    parameters.
    """

    def __init__(self, entries: int, heads: int, features: int, generator: torch.Generator) -> None:
        """Splits the entries of a message among the heads.

        Raises:
            ValueError: They cannot be split.
        """
        super().__init__()
        if entries % heads:
            raise ValueError(f"channel.entries is {entries}; give a multiple of {heads}, the number of heads")
        self.heads, self.question = heads, entries
        self.value = entries // heads  # V
        self.score = nn.Parameter(torch.empty(heads, self.value))
        self.link = nn.Parameter(torch.empty(features, entries))  # (F, M)
        nn.init.normal_(self.score, std=1.0 / math.sqrt(self.value), generator=generator)
        nn.init.normal_(self.link, std=1.0 / math.sqrt(features), generator=generator)

    def values(self, message: Tensor) -> Tensor:
        """Returns (..., H, V)."""
        return message.unflatten(-1, (self.heads, self.value))

    def scores_dense(self, question: Tensor, message: Tensor, link: Tensor | None) -> Tensor:
        """Returns (R, H, N, N) from (R, N, M) each and features of links (R, N, N, F); None where all are 0."""
        sums = question.unsqueeze(2) + message.unsqueeze(1)  # (R, N, N, M)
        if link is not None:
            sums = sums + link @ self.link
        return self._scores(sums).permute(0, 3, 1, 2)

    def scores_links(self, question: Tensor, message: Tensor, link: Tensor) -> Tensor:
        """Returns (E, H) from (E, M) each and features of links (E, F)."""
        return self._scores(question + message + link @ self.link)

    def _scores(self, sums: Tensor) -> Tensor:
        """Maps (..., M) to (..., H)."""
        return F.leaky_relu(sums, 0.2, inplace=True) @ torch.block_diag(*self.score.unsqueeze(-1))  # (M, H)


def method_of(
    name: str, entries: int, heads: int, features: int, generator: torch.Generator
) -> Mean | Attention | Graph:
    """Returns the method of a name.

    Args:
        name: "mean", "graph" or "attention".
        entries: M.
        heads: H; the mean has one.
        features: F.
        generator: Source of initial weights.

    Raises:
        ValueError: Messages of so many entries cannot be split among so many heads.
    """
    if name == "mean":
        return Mean(entries)
    return Attention(entries, heads) if name == "attention" else Graph(entries, heads, features, generator)
