"""Activations, and affine layers with one set of parameters for all agents, one per group or one per agent.

Axes: P parameter sets, N agents, D features. `...` stands for any number of leading axes, (T, B) or (rows,).
Everything takes and returns (..., N, D): how parameters are shared shows in `Dense` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import Activation


class _Tanh(torch.autograd.Function):
    """tanh(x) = 2 sigmoid(2 x) - 1, to 2e-7: `torch.tanh` takes five times as long on a CPU.

    With `torch.tanh` the training of MAPPO on `spread` takes 14 % more CPU time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = (2.0 * x).sigmoid_().mul_(2.0).sub_(1.0)  # in place: memory traffic bounds it
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (y,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(grad, y)


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "tanh": _Tanh.apply,
    "relu": F.relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
}


class Dense(nn.Module):
    """An affine layer over the concatenation of its inputs, with P parameter sets among N agents.

    y_i = [x_1i, x_2i, ...] W_p(i) + b_p(i)

    The concatenation is never made: [u, v] [U; V] = u U + v V, so an input that is the same for all agents (the global
    state, with an agent axis of length 1) is multiplied once per world instead of N times.

    One set takes one matrix product over all rows; several sets take one batched product (`torch.baddbmm`) over the
    agents, whatever the sizes of the groups.

    A narrow layer, such as the head of a policy, is computed and laid out in memory as (D_out, rows): a product with
    few columns is slow where one with few rows is not (four times slower for 4,096 rows of 64 by 7, forward and
    backward), and so are operations over a short last axis, such as the softmax of a policy. Without this the
    training of MAPPO takes 6 % more CPU time on `spread` and 5 % more on `warehouse`.
    """

    bias: Tensor
    sets: Tensor | None

    def __init__(
        self, inputs: Sequence[int], outputs: int, sets: Sequence[int], *, gain: float, generator: torch.Generator
    ) -> None:
        """Initialises each set orthogonally by itself, with zero biases.

        Args:
            inputs: D of each input.
            outputs: D of the output.
            sets: (N,) the parameter set of each agent, see `sharing.parameter_sets`.
            gain: Gain of the orthogonal matrices.
            generator: Source of the initial weights.
        """
        super().__init__()
        n_sets = max(sets) + 1
        whole = torch.empty(n_sets, outputs, sum(inputs), dtype=torch.float32)  # (P, D_out, D_in)
        for matrix in whole:
            nn.init.orthogonal_(matrix, gain, generator=generator)
        self.narrow = max(sets) == 0 and 1 < outputs < 16
        parts = whole.transpose(1, 2).split(list(inputs), dim=1)
        if self.narrow:  # the same shape, D_in last in memory
            parts = [part.transpose(1, 2).contiguous().transpose(1, 2) for part in parts]
        else:
            parts = [part.contiguous() for part in parts]
        self.weights = nn.ParameterList(parts)  # (P, D_in, D_out) each
        self.bias = nn.Parameter(torch.zeros(n_sets, outputs, dtype=torch.float32))  # (P, D_out)
        self.n_sets, self.n_agents = n_sets, len(sets)
        identity = tuple(sets) == tuple(range(n_sets))
        self.register_buffer("sets", None if identity else torch.tensor(sets), persistent=False)  # (N,)

    def forward(self, *inputs: Tensor, last_of: Tensor | None = None) -> Tensor:
        """Maps inputs (..., N or 1, D_in) to (..., N, D_out).

        An agent axis of length 1 stands for all agents. Leading axes may have length 1 in all inputs but the first.

        Args:
            inputs: See above.
            last_of: (M,) Row m of the others goes with row `last_of[m]` of the last input, for which the product is
                made once and not for each of them.
        """
        if last_of is not None and (self.narrow or self.n_sets > 1):
            inputs, last_of = (*inputs[:-1], inputs[-1].index_select(0, last_of)), None
        if self.narrow:
            return self._transposed(inputs)
        if self.n_sets == 1:
            parts = [F.linear(x, weight.squeeze(0).T) for x, weight in zip(inputs[1:], self.weights[1:], strict=True)]
            if last_of is not None:
                parts[-1] = parts[-1].index_select(0, last_of)
            total = F.linear(inputs[0], self.weights[0].squeeze(0).T, self.bias.squeeze(0))
            for part in parts:
                total = total + part
            return total
        lead = inputs[0].shape[:-2]
        total = self._of_agents(self.bias).unsqueeze(1)  # (N, 1, D_out)
        for k, (x, weight) in enumerate(zip(inputs, self.weights, strict=True)):
            x = x.expand(*x.shape[:-2], self.n_agents, x.shape[-1]).reshape(-1, self.n_agents, x.shape[-1])
            x, weight = x.transpose(0, 1), self._of_agents(weight)  # (N, rows or 1, D_in), (N, D_in, D_out)
            total = total + torch.bmm(x, weight) if k else torch.baddbmm(total, x, weight)  # (N, rows, D_out)
        return total.transpose(0, 1).unflatten(0, lead)  # (..., N, D_out), a view

    def _transposed(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Computes what `forward` returns as a view of (D_out, ..., N)."""
        lead = *inputs[0].shape[:-2], max(x.shape[-2] for x in inputs)  # (..., N or 1)
        total = self.bias.T  # (D_out, 1)
        for x, weight in zip(inputs, self.weights, strict=True):
            if x.shape[:-1] != lead:
                x = x.expand(*lead, x.shape[-1])
            total = torch.addmm(total, weight.squeeze(0).T, x.reshape(-1, x.shape[-1]).T)  # (D_out, rows)
        return total.view(-1, *lead).movedim(0, -1)

    def _of_agents(self, parameter: Tensor) -> Tensor:
        """Returns each agent's parameters: (P, ...) -> (N, ...)."""
        return parameter if self.sets is None else parameter.index_select(0, self.sets)
