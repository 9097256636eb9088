"""Weights with which neighbours are averaged so that the mean of all nodes is kept, and how fast they agree.

Axes: B worlds, N nodes, [i, j] for i exchanges with j.
"""

from __future__ import annotations

import torch
from torch import Tensor


def metropolis(active: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """Returns the Metropolis weights of the exchanges that take place, (B, N, N); 0 for the others and on the diagonal.

        w_ij = 1 / (1 + max(d_i, d_j)),    d_i = number of exchanges of node i

    They are symmetric and each row's sum is below 1, so with w_ii = 1 - sum_j w_ij the mean is kept and no value
    leaves the range of the others.

    Source: Xiao and Boyd 2004, "Fast linear iterations for distributed averaging"; the degrees are those of the
    exchanges that take place in the round, of which each node has to know those of its partners.

    Args:
        active: (B, N, N) bool, symmetric: whether the exchange of i and j takes place. The diagonal is not read.
        dtype: Of the weights.

    Raises:
        ValueError: `active` is not symmetric.
    """
    if not torch.equal(active, active.mT):
        raise ValueError("active: it is not symmetric, so the mean would drift; take active & active.mT, or push-sum")
    active = apart(active)
    degree = active.sum(-1)  # (B, N)
    most = torch.maximum(degree.unsqueeze(-1), degree.unsqueeze(-2))  # (B, N, N)
    return active.to(dtype) / (1 + most)


def apart(linked: Tensor) -> Tensor:
    """Returns a mask (..., N, N) without its diagonal: nobody exchanges anything with itself."""
    return linked & ~torch.eye(linked.shape[-1], dtype=torch.bool, device=linked.device)


def contraction(weight: Tensor) -> Tensor:
    """Returns by what the distance from the mean shrinks in a round at least, (B,) in [0, 1].

    It is the second largest modulus of an eigenvalue of W = I - diag(sum_j w_ij) + (w_ij): the norm of the deviations
    from the mean is at most this many times what it was. 1 means that the nodes are not connected. One minus it is
    the spectral gap.

    Source: Xiao and Boyd 2004, equation 9, for symmetric weights.

    Args:
        weight: (B, N, N) symmetric, see `metropolis`.
    """
    n_nodes = weight.shape[-1]
    full = weight + torch.diag_embed(1.0 - weight.sum(-1))  # (B, N, N)
    without_mean = full - 1.0 / n_nodes  # the mean's own eigenvalue, 1, becomes 0
    return torch.linalg.eigvalsh(without_mean).abs().amax(-1)
