"""The centralised critic of deterministic policy gradients: what a joint action is worth to each agent.

Axes: R sampled rows, N agents, O observation, S global state, A actions, F features, V values (N, or 1 for a team).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from .core import Spec
from .nets import ACTIVATIONS, Activation, Share, Trunk, parameter_sets, with_leading
from .vision import Encoder, is_image


class QCritic(nn.Module):
    """A value of what all agents do for each agent, or one for the team.

    "local"   Q_i(o_i, a_i)              what independent learners have
    "central" Q_i(s, o_i, a_i, a_{-i})   Lowe et al. 2017, equation 6
    "team"    Q(s, a)                    one value per world: the expected return of a shared reward

    Where the environment has no state, s is the joint observation. a_{-i} has N places with agent i's left empty, so
    with shared parameters the same network still knows the others apart. Images are read as `nets.Critic` reads them.

    All N critics run as one product, batched where their parameters differ (`nets.Dense`).
    """

    ids: Tensor | None
    others: Tensor

    def __init__(
        self,
        spec: Spec,
        kind: Literal["local", "central", "team"],
        action_dim: int,
        *,
        share: Share,
        agent_id: bool,
        hidden: Sequence[int],
        activation: Activation,
        generator: torch.Generator,
    ) -> None:
        """Builds it.

        Args:
            spec: Shapes.
            kind: See the class.
            action_dim: A, the number of actions where they are discrete: they are given as one-hot vectors.
            share: Who shares parameters.
            agent_id: Append the agent's one-hot index to what is known of it.
            hidden: Sizes of the hidden layers.
            activation: Between layers.
            generator: Where the initial weights come from.
        """
        super().__init__()
        n, sets = spec.n_agents, parameter_sets(spec, share)
        self.kind = kind
        self.n_values = 1 if kind == "team" else n
        self.encoder, features = None, spec.obs_dim
        if is_image(spec.obs_shape) and (kind != "team" or not spec.state_dim):
            self.encoder = Encoder(spec.obs_shape, sets, activation=ACTIVATIONS[activation], generator=generator)
            features = self.encoder.n_features
        joint = [spec.state_dim or n * features, n * action_dim]
        inputs = {"local": [features, action_dim], "central": [features, action_dim, *joint], "team": joint}[kind]
        ids = agent_id and kind != "team"
        self.register_buffer("ids", torch.eye(n) if ids else None, persistent=False)  # (N, N)
        others = 1.0 - torch.eye(n).repeat_interleave(action_dim, 1)  # (N, N * A), 0 at an agent's own place
        self.register_buffer("others", others, persistent=False)
        self.trunk = Trunk(
            [*inputs, n] if ids else inputs,
            1,
            (0,) if kind == "team" else sets,
            hidden=hidden,
            activation=activation,
            gru=0,
            head_gain=1.0,
            generator=generator,
        )

    def forward(self, obs: Tensor, state: Tensor | None, action: Tensor, own: Tensor | None = None) -> Tensor:
        """Values, in the units the critic learns in.

        Args:
            obs: (R, N, O), zeros for agents that are not there.
            state: (R, S); None where the joint observation serves, or nothing but `obs` is read.
            action: (R, N, A) what all do, in [-1, 1] or one-hot; zeros for agents that are not there.
            own: (R, N, A) what each agent does instead, the others doing as `action` says; None: nothing else.

        Returns:
            (R, V) for the joint action; (R, N) with `own`, the team's value too for each agent's change alone.
        """
        if self.encoder is not None:
            obs = self.encoder(obs)  # (R, N, F)
        inputs = []
        if self.kind != "team":
            inputs += [obs, action if own is None else own]
        if self.kind != "local":
            together = action.flatten(-2).unsqueeze(-2)  # (R, 1, N * A)
            if self.kind == "central" or own is not None:
                together = together * self.others  # (R, N, N * A)
            if self.kind == "team" and own is not None:
                together = together + own.repeat(1, 1, own.shape[1]) * (1.0 - self.others)
            inputs += [(obs.flatten(-2) if state is None else state).unsqueeze(-2), together]
        if self.ids is not None:
            inputs.append(with_leading(self.ids, obs))
        out, _ = self.trunk(inputs, None)
        return out.squeeze(-1)
