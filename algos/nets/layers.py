"""The networks' parts: layers with one set of parameters, one per group or one per agent; memory; actor and critic.

Axes: P parameter sets, N agents, T time, B worlds, O observation, S global state, A actions, D features, H hidden.
`...` stands for any number of leading axes, (T, B) or (rows,). Everything takes and returns (..., N, D): how
parameters are shared shows in `Dense` and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core import Spec
from .vision import Encoder, is_image


class _Tanh(torch.autograd.Function):
    """tanh(x) = 2 sigmoid(2 x) - 1, to 2e-7: `torch.tanh` takes five times as long on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = (2.0 * x).sigmoid_().mul_(2.0).sub_(1.0)  # in one piece of memory, which is what bounds it
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (y,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(grad, y)


Activation = Literal["tanh", "relu", "elu", "gelu", "silu"]
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "tanh": _Tanh.apply,
    "relu": F.relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
}

Share = Literal["all", "group", "none"]
"""Who shares parameters: all agents, the agents of a group, or nobody."""


def parameter_sets(spec: Spec, share: Share) -> tuple[int, ...]:
    """The parameter set of each agent, (N,): all 0 for "all", the group's number for "group", 0..N-1 for "none"."""
    if share == "all":
        return (0,) * spec.n_agents
    if share == "none":
        return tuple(range(spec.n_agents))
    if share != "group":
        raise ValueError(f"share is {share!r}; allowed are 'all', 'group' and 'none'")
    group_of = {agent: group for group, agents in enumerate(spec.groups) for agent in agents}
    if sorted(group_of) != list(range(spec.n_agents)):
        raise ValueError(
            f"groups {spec.groups} do not partition agents 0..{spec.n_agents - 1}: "
            "name every agent in exactly one group, or use share='all' or 'none'"
        )
    return tuple(group_of[agent] for agent in range(spec.n_agents))


class Dense(nn.Module):
    """An affine layer over the concatenation of its inputs, with P parameter sets among N agents.

    y_i = [x_1i, x_2i, ...] W_p(i) + b_p(i)

    The concatenation is never made: [u, v] [U; V] = u U + v V, so an input that is the same for all agents (the global
    state, with an agent axis of length 1) is multiplied once per world instead of N times.

    With one set it is one matrix product over all rows, with several one batched product (`torch.baddbmm`) over the
    agents, whatever the sizes of the groups.

    A narrow layer, such as the head of a policy, is computed and laid out in memory as (D_out, rows): products with a
    few columns are slow where those with a few rows are not (four times slower for 4,096 rows of 64 by 7, both ways),
    and so is what follows over a short last axis, a softmax for one.
    """

    bias: Tensor
    sets: Tensor | None

    def __init__(
        self, inputs: Sequence[int], outputs: int, sets: Sequence[int], *, gain: float, generator: torch.Generator
    ) -> None:
        """Initialises orthogonally, each set on its own, and zero biases.

        Args:
            inputs: D of each input.
            outputs: D of the output.
            sets: (N,) the parameter set of each agent, see `parameter_sets`.
            gain: Of the orthogonal matrices.
            generator: Where the initial weights come from.
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

    def forward(self, *inputs: Tensor) -> Tensor:
        """(..., N or 1, D_in) each -> (..., N, D_out).

        An agent axis of length 1 counts for all agents; leading axes of length 1 may be so in all but the first input.
        """
        if self.narrow:
            return self._transposed(inputs)
        if self.n_sets == 1:
            total = None
            for x, weight in zip(inputs, self.weights, strict=True):
                if total is None:
                    total = F.linear(x, weight.squeeze(0).T, self.bias.squeeze(0))
                else:
                    total = total + F.linear(x, weight.squeeze(0).T)
            assert total is not None
            return total
        lead = inputs[0].shape[:-2]
        total = self._of_agents(self.bias).unsqueeze(1)  # (N, 1, D_out)
        for k, (x, weight) in enumerate(zip(inputs, self.weights, strict=True)):
            x = x.expand(*x.shape[:-2], self.n_agents, x.shape[-1]).reshape(-1, self.n_agents, x.shape[-1])
            x, weight = x.transpose(0, 1), self._of_agents(weight)  # (N, rows or 1, D_in), (N, D_in, D_out)
            total = total + torch.bmm(x, weight) if k else torch.baddbmm(total, x, weight)  # (N, rows, D_out)
        return total.transpose(0, 1).unflatten(0, lead)  # (..., N, D_out), a view

    def _transposed(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """What `forward` returns, as a view of (D_out, ..., N)."""
        lead = *inputs[0].shape[:-2], max(x.shape[-2] for x in inputs)  # (..., N or 1)
        total = self.bias.T  # (D_out, 1)
        for x, weight in zip(inputs, self.weights, strict=True):
            if x.shape[:-1] != lead:
                x = x.expand(*lead, x.shape[-1])
            total = torch.addmm(total, weight.squeeze(0).T, x.reshape(-1, x.shape[-1]).T)  # (D_out, rows)
        return total.view(-1, *lead).movedim(0, -1)

    def _of_agents(self, parameter: Tensor) -> Tensor:
        """(P, ...) -> (N, ...)."""
        return parameter if self.sets is None else parameter.index_select(0, self.sets)


class Memory(NamedTuple):
    """What a recurrent network needs beside its input."""

    hidden: Tensor  # (B, N, H) before the first step of the sequence
    started: Tensor  # (T, B) bool, an episode begins at this step: forget first
    alive: Tensor  # (T, B, N) bool; the dead remember nothing (N may be 1)


class Gru(nn.Module):
    """A gated recurrent unit per agent, over sequences in which episodes begin and agents die.

    r, z = sigmoid(x W_rz + h U_rz), n = tanh(x W_n + b_n + r * (h U_n + c_n)), h' = (1 - z) * n + z * h

    Source: Cho et al. 2014, equations 5-8, with the reset gate after the product as in cuDNN and `torch.nn.GRU`.
    """

    def __init__(self, inputs: int, hidden: int, sets: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.input = Dense([inputs], 3 * hidden, sets, gain=1.0, generator=generator)
        self.recurrent = Dense([hidden], 3 * hidden, sets, gain=1.0, generator=generator)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        """(T, B, N, D) -> (T, B, N, H), zero for the dead; the last step is the next sequence's `hidden`."""
        size = memory.hidden.shape[-1]
        gates = self.input(x)  # (T, B, N, 3 H)
        started = memory.started[:, :, None, None]  # (T, B, 1, 1)
        alive = memory.alive.unsqueeze(-1)  # (T, B, N, 1)
        # What a step may remember: nothing at a start, nothing of a time it was not alive; (T, B, N, 1)
        keep = torch.cat([~started[:1].expand_as(alive[:1]), alive[:-1] & ~started[1:]]).to(x.dtype)
        hidden, steps = memory.hidden, []
        # unbind, not an index: the gradient of T indices would fill T tensors of T steps each
        x_rz, x_n = (part.unbind(0) for part in gates.split([2 * size, size], -1))  # T of (B, N, 2 H), (B, N, H)
        for t, keep_t in enumerate(keep.unbind(0)):
            hidden = hidden * keep_t
            h_rz, h_n = self.recurrent(hidden).split([2 * size, size], -1)
            r, z = torch.sigmoid(x_rz[t] + h_rz).chunk(2, -1)
            hidden = torch.lerp(torch.tanh(torch.addcmul(x_n[t], r, h_n)), hidden, z)  # (B, N, H)
            steps.append(hidden)
        return torch.stack(steps).masked_fill(~alive, 0.0)  # not a product: the dead may have seen NaN


class Trunk(nn.Module):
    """Hidden layers, an optional GRU on top of them, and a linear head."""

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: int,
        sets: Sequence[int],
        *,
        hidden: Sequence[int],
        activation: Activation,
        gru: int,
        head_gain: float,
        generator: torch.Generator,
    ) -> None:
        """Builds it.

        Args:
            inputs: D of each input, see `Dense`.
            outputs: D of the head.
            sets: (N,) the parameter set of each agent.
            hidden: Sizes of the hidden layers, at least one.
            activation: Between layers.
            gru: H of the recurrent layer, 0 for none.
            head_gain: Of the head's first weights; 0.01: a first policy near uniform, first values near 0.
            generator: Where the initial weights come from.
        """
        super().__init__()
        layers, d_in = [], list(inputs)
        for d_out in hidden:
            layers.append(Dense(d_in, d_out, sets, gain=math.sqrt(2.0), generator=generator))
            d_in = [d_out]
        self.layers = nn.ModuleList(layers)
        self.activation = ACTIVATIONS[activation]
        self.gru = Gru(d_in[0], gru, sets, generator) if gru else None
        self.head = Dense([gru or d_in[0]], outputs, sets, gain=head_gain, generator=generator)

    @property
    def alike(self) -> bool:
        """Whether all agents share its parameters and it has no memory."""
        return self.gru is None and self.head.n_sets == 1

    def forward(self, inputs: Sequence[Tensor], memory: Memory | None) -> tuple[Tensor, Tensor | None]:
        """(..., N, D) each -> the head's output (..., N, D_out) and the hidden states (T, B, N, H) if recurrent."""
        x = self.activation(self.layers[0](*inputs))
        for layer in self.layers[1:]:
            x = self.activation(layer(x))
        states = None
        if self.gru is not None:
            assert memory is not None, "a recurrent network needs its memory"
            x = states = self.gru(x, memory)
        return self.head(x), states


class Critic(nn.Module):
    """A value for each agent, or one for the team.

    "local"   V_i(o_i)       what independent learners have
    "central" V_i(s, o_i)    Yu et al. 2022, section 4 "agent-specific global state"
    "team"    V(s)           one value per world: the expected return of a shared reward

    Where the environment has no state, s is the joint observation. Images are not read as they are: each agent's passes
    through the critic's own convolutions (`vision`), with the agent's parameter set, and its features stand for it, as
    o_i and, side by side, as s.
    """

    ids: Tensor | None

    def __init__(
        self,
        spec: Spec,
        kind: Literal["local", "central", "team"],
        *,
        share: Share,
        agent_id: bool,
        hidden: Sequence[int],
        activation: Activation,
        gru: int,
        generator: torch.Generator,
    ) -> None:
        """Builds it; the arguments are those of `Trunk` and of `Actor`."""
        super().__init__()
        n, sets = spec.n_agents, parameter_sets(spec, share)
        self.kind = kind
        self.n_values = 1 if kind == "team" else n
        self.reads_state = kind != "local" and spec.state_dim > 0
        self.encoder, features = None, spec.obs_dim
        reads_obs = kind != "team" or not spec.state_dim
        if is_image(spec.obs_shape) and reads_obs:
            self.encoder = Encoder(spec.obs_shape, sets, activation=ACTIVATIONS[activation], generator=generator)
            features = self.encoder.n_features
        state_dim = spec.state_dim or n * features
        inputs = {"local": [features], "central": [features, state_dim], "team": [state_dim]}[kind]
        ids = agent_id and kind != "team"
        self.register_buffer("ids", torch.eye(n, dtype=torch.float32) if ids else None, persistent=False)  # (N, N)
        self.trunk = Trunk(
            [*inputs, n] if ids else inputs,
            1,
            (0,) if kind == "team" else sets,
            hidden=hidden,
            activation=activation,
            gru=gru,
            head_gain=0.01,
            generator=generator,
        )

    @property
    def alike(self) -> bool:
        """Whether it takes no notice of who an agent is, nor needs the observations of all."""
        alone = self.kind == "local" or (self.kind == "central" and self.reads_state)
        return alone and self.trunk.alike and self.ids is None

    def forward(self, obs: Tensor, state: Tensor | None, memory: Memory | None = None) -> tuple[Tensor, Tensor | None]:
        """Values in the units the critic learns in, and hidden states.

        Args:
            obs: (..., N, O).
            state: (..., S); None where the joint observation serves, or nothing but `obs` is read.
            memory: For a recurrent critic; `...` is then (T, B).

        Returns:
            (..., V) values, V = N or 1 for "team", and (T, B, V, H) hidden states or None.
        """
        if self.encoder is not None:
            obs = self.encoder(obs)  # (..., N, F)
        inputs = []
        if self.kind != "team":
            inputs.append(obs)
        if self.kind != "local":
            inputs.append((obs.flatten(-2) if state is None else state).unsqueeze(-2))  # (..., 1, S)
        if self.ids is not None:
            inputs.append(with_leading(self.ids, obs))
        out, states = self.trunk(inputs, memory)
        return out.squeeze(-1), states


def with_leading(ids: Tensor, obs: Tensor) -> Tensor:
    """One-hot agent ids (N, N) as an input beside observations (..., N, O): (1, ..., 1, N, N)."""
    return ids.view(*(1,) * (obs.dim() - 2), *ids.shape)


class ValueNorm(nn.Module):
    """Running mean and standard deviation of value targets, so that the critic learns in units of about one.

    Exponential moving averages of x and x^2 without bias towards their zero start (as in Adam). The newest rollout
    weighs at least 1 - `decay`, the first one everything. Before the first one, values lie about the constant that was
    given to `begin_at`. The averages and all that is computed with them are float64: in float32 a reward that is
    always 10,000 and a bit would lose the bit.

    Source: Yu et al. 2022, section 5.1, "value normalization"; no rescaling of the last layer (no PopArt).
    """

    mean_sum: Tensor
    square_sum: Tensor
    weight_sum: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        for name in ("mean_sum", "square_sum", "weight_sum", "mean"):  # (), float64: x^2 - mean^2 cancels
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))
        self.register_buffer("std", torch.ones((), dtype=torch.float64))

    @property
    def begun(self) -> bool:
        """Whether it has taken in any targets."""
        return bool(self.weight_sum > 0)

    def begin_at(self, value: Tensor) -> None:
        """Sets the () constant that values lie about until the first `update`; see `returns.constant_value`."""
        self.mean.copy_(value)

    def update(self, target: Tensor, weight: Tensor) -> None:
        """Takes in one rollout's targets, any shape; entries of weight 0 are left out."""
        target, weight = target.double(), weight.double()
        count = weight.sum()
        if count == 0:
            return
        for name, value in (
            ("mean_sum", (target * weight).sum() / count),
            ("square_sum", (target.square() * weight).sum() / count),
            ("weight_sum", torch.ones_like(count)),
        ):
            getattr(self, name).mul_(self.decay).add_((1.0 - self.decay) * value)
        self.mean.copy_(self.mean_sum / self.weight_sum)
        self.std.copy_((self.square_sum / self.weight_sum - self.mean.square()).clamp(min=1e-4).sqrt())

    def normalize(self, value: Tensor) -> Tensor:
        """From the reward's units to about unit scale, any shape, float32."""
        return ((value.double() - self.mean) / self.std).float()

    def denormalize(self, value: Tensor) -> Tensor:
        """From about unit scale to the reward's units, any shape, float64."""
        return value.double() * self.std + self.mean
