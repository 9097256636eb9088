"""Weighted sums over messages, over whole matrices of agents or over lists of links.

The weights of an agent are exp(s_ij) over 1 + sum_j exp(s_ij): a softmax with an empty message of score 0 among the
others. An agent that hears nobody, or nothing that matters, adds nothing; and old messages fade by their scores.

Axes: R rows (worlds and steps), N agents, [i, j] for i hears j; E links, H heads, V numbers of a value.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .hearing import Links


def softmax_dense(scores: Tensor, heard: Tensor, speaks: Tensor | None) -> Tensor:
    """Returns weights, (R, H, N, N), 0 where nothing is heard.

    Args:
        scores: (R, H, N, N).
        heard: (R, 1 or H, N, N) bool.
        speaks: (R, N) 1 for agents that speak, 0 for others, with a gradient; None: all speak.
    """
    scores = scores.masked_fill(~heard, -torch.inf)
    said = scores.detach()
    if speaks is not None:
        said = said.masked_fill(speaks[:, None, None, :] == 0, -torch.inf)
    top = said.amax(-1, keepdim=True).clamp(min=0.0)  # (R, H, N, 1)
    if speaks is None:
        weight = (scores - top).exp()
    else:  # scores of silent agents may be above the top
        weight = (scores - top).clamp(max=0.0).exp() * speaks[:, None, None, :]
    return weight / (weight.sum(-1, keepdim=True) + (-top).exp())


def mean_dense(heard: Tensor, speaks: Tensor | None) -> Tensor:
    """Returns equal weights of all that is heard, (R, 1, N, N).

    Args:
        heard: (R, 1, N, N) bool.
        speaks: See `softmax_dense`.
    """
    weight = heard.float() if speaks is None else heard * speaks[:, None, None, :]
    return weight / weight.detach().sum(-1, keepdim=True).clamp(min=1.0)


def softmax_links(scores: Tensor, links: Links, n_rows: int, speaks: Tensor | None) -> Tensor:
    """Returns weights, (E, H).

    Args:
        scores: (E, H).
        links: The links.
        n_rows: Number of receivers, R * N.
        speaks: (E,) of the senders, see `softmax_dense`.
    """
    to = links.receiver
    said = scores.detach()
    if speaks is not None:
        said = said.masked_fill(speaks.unsqueeze(1) == 0, -torch.inf)
    top = scores.new_zeros(n_rows, scores.shape[1])  # (R * N, H); the empty message has score 0
    top = top.scatter_reduce(0, to.unsqueeze(1).expand_as(scores), said, "amax")
    if speaks is None:
        weight = (scores - top[to]).exp()
    else:  # scores of silent agents may be above the top
        weight = (scores - top[to]).clamp(max=0.0).exp() * speaks.unsqueeze(1)
    total = (-top).exp().index_add(0, to, weight)
    return weight / total[to]


def mean_links(fade: Tensor, links: Links, n_rows: int, speaks: Tensor | None) -> Tensor:
    """Returns equal weights of all that is heard, times `fade` (E,): (E, 1). See `softmax_links`."""
    weight = torch.ones_like(fade) if speaks is None else speaks
    count = fade.new_zeros(n_rows).index_add(0, links.receiver, weight.detach()).clamp(min=1.0)
    return (weight * fade / count[links.receiver]).unsqueeze(1)


def sum_links(weight: Tensor, values: Tensor, links: Links, n_rows: int) -> Tensor:
    """Returns weighted sums by receiver: weights (E, H) and values (E, H, V) to (R * N, H, V)."""
    total = values.new_zeros(n_rows, *values.shape[1:])
    return total.index_add(0, links.receiver, weight.unsqueeze(-1) * values)


def highest_dense(scores: Tensor, heard: Tensor, count: int, speaks: Tensor | None = None) -> Tensor:
    """Returns which links have one of the `count` highest scores of their receiver, (R, H, N, N) bool.

    Links with equal scores are all taken, or none of them, so that the order of agents does not matter. Agents that do
    not speak take no place of another; their links are returned too, for the gradient of their gates.

    Args:
        scores: (R, H, N, N).
        heard: (R, 1, N, N) bool.
        count: How many.
        speaks: See `softmax_dense`.
    """
    if count >= scores.shape[-1]:
        return heard
    silent = torch.zeros_like(heard) if speaks is None else speaks[:, None, None, :] == 0
    scores = scores.detach().masked_fill(~heard | silent, -torch.inf)
    return heard & (silent | (scores >= scores.topk(count, dim=-1).values[..., -1:]))


def highest_links(
    scores: Tensor, links: Links, n_rows: int, n_agents: int, count: int, speaks: Tensor | None = None
) -> Tensor:
    """Returns which links have one of the `count` highest scores of their receiver, (E, H) bool.

    See `highest_dense`; `speaks` is (E,), of the senders.
    """
    if count >= n_agents:
        return torch.ones_like(scores, dtype=torch.bool)
    scores = scores.detach()
    silent = torch.zeros_like(scores, dtype=torch.bool) if speaks is None else (speaks == 0).unsqueeze(1)
    every = scores.new_full((n_rows, n_agents, scores.shape[1]), -torch.inf)
    every[links.receiver, links.which] = scores.masked_fill(silent, -torch.inf)
    least = every.topk(count, dim=1).values[:, -1]  # (R * N, H)
    return silent | (scores >= least[links.receiver])
