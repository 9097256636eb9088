"""The centralised critic of deterministic policy gradients: what a joint action is worth to each agent.

Axes: R sampled rows, N agents, O observation, S global state, A actions, F features, V values (N, or 1 for a team).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..core import Spec
from .layers import ACTIVATIONS, Activation, Share, Trunk, parameter_sets, with_leading
from .vision import Encoder, is_image


class QCritic(nn.Module):
    """A value of what all agents do for each agent, or one for the team.

    "local"   Q_i(o_i, a_i)                      what independent learners have
    "central" Q_i(o_i, a_i, o_{-i}, a_{-i})      Lowe et al. 2017, equation 6, with x = (o_1, ..., o_N)
              or Q_i(o_i, a_i, s, a_{-i})        with a state
    "team"    Q(o_1, ..., o_N, a) or Q(s, a)     one value per world: the expected return of a shared reward

    The others come in the order that agent i sees them in (`seen_from`), so that what one agent learned of its next one
    holds for all that share its parameters; in one order for all, what an action is worth is learned far slower. A
    state has its own order, and beside it a_{-i} has N places with agent i's left empty. Images are read as
    `nets.Critic` reads them.

    All N critics run as one product, batched where their parameters differ (`nets.Dense`).
    """

    ids: Tensor | None
    order: Tensor
    places: Tensor

    def __init__(
        self,
        spec: Spec,
        kind: Literal["local", "central", "team"],
        action_dim: int,
        *,
        state: bool,
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
            state: Whether a critic that is not local reads the global state, instead of all observations.
            share: Who shares parameters.
            agent_id: Append the agent's one-hot index to what is known of it.
            hidden: Sizes of the hidden layers.
            activation: Between layers.
            generator: Where the initial weights come from.
        """
        super().__init__()
        n, sets = spec.n_agents, parameter_sets(spec, share)
        self.kind, self.reads_state = kind, state and kind != "local"
        self.n_values = 1 if kind == "team" else n
        self.encoder, features = None, spec.obs_dim
        if is_image(spec.obs_shape) and not (kind == "team" and state):
            self.encoder = Encoder(spec.obs_shape, sets, activation=ACTIVATIONS[activation], generator=generator)
            features = self.encoder.n_features
        if kind == "team":
            inputs = [spec.state_dim if state else n * features, n * action_dim]
        elif self.reads_state:
            inputs = [features, action_dim, spec.state_dim, n * action_dim]
        elif kind == "local" or n == 1:
            inputs = [features, action_dim]
        else:
            inputs = [n * features, action_dim, (n - 1) * action_dim]
        ids = agent_id and kind != "team"
        self.register_buffer("ids", torch.eye(n, dtype=torch.float32) if ids else None, persistent=False)  # (N, N)
        order = torch.tensor(seen_from(spec.groups, n))  # (N, N)
        self.register_buffer("order", order, persistent=False)
        own = torch.eye(n, dtype=torch.float32)
        places = own.repeat_interleave(action_dim, 1)  # (N, N * A), 1 at an agent's own place
        self.register_buffer("places", places, persistent=False)
        self.trunk = Trunk(
            [*inputs, n] if ids else inputs,
            1,
            (0,) if kind == "team" else sets,
            hidden=hidden,
            activation=activation,
            gru=0,
            head_gain=0.01,
            generator=generator,
        )

    def forward(self, obs: Tensor, state: Tensor | None, action: Tensor, own: Tensor | None = None) -> Tensor:
        """Values, in the units the critic learns in.

        Args:
            obs: (R, N, O), zeros for agents that are not there.
            state: (R, S); not looked at where all observations serve.
            action: (R, N, A) what all do, in [-1, 1] or one-hot; zeros for agents that are not there.
            own: (R, N, A) what each agent does instead, the others doing as `action` says; None: nothing else.

        Returns:
            (R, V) for the joint action; (R, N) with `own`, the team's value too for each agent's change alone.
        """
        if self.encoder is not None:
            obs = self.encoder(obs)  # (R, N, F)
        if self.kind == "team":
            together = action.flatten(-2).unsqueeze(-2)  # (R, 1, N * A)
            if own is not None:
                together = torch.lerp(together, own.repeat(1, 1, own.shape[1]), self.places)  # (R, N, N * A)
            inputs = [self._state(state) if self.reads_state else obs.flatten(-2).unsqueeze(-2), together]
        else:
            inputs = [obs, action if own is None else own]
            if self.reads_state:
                inputs += [self._state(state), action.flatten(-2).unsqueeze(-2) * (1.0 - self.places)]
            elif self.kind == "central" and len(self.order) > 1:
                inputs[0] = obs[:, self.order].flatten(-2)  # (R, N, N * F)
                inputs.append(action[:, self.order[:, 1:]].flatten(-2))  # (R, N, (N - 1) * A)
        if self.ids is not None:
            inputs.append(with_leading(self.ids, obs))
        out, _ = self.trunk(inputs, None)
        return out.squeeze(-1)

    @staticmethod
    def _state(state: Tensor | None) -> Tensor:
        """(R, 1, S)."""
        assert state is not None, "a critic of states needs the state"
        return state.unsqueeze(-2)


def seen_from(groups: Sequence[Sequence[int]], n_agents: int) -> list[list[int]]:
    """All agents in the order in which each of them sees them, (N, N).

    First itself, then those of its own group, the next one first and round to the one before it; then the other groups,
    each as it stands. So every agent of a group has its likes at the same places, and the same others. Agents of no
    group are one.
    """
    of_none = [agent for agent in range(n_agents) if not any(agent in group for group in groups)]
    groups, order = [*groups, of_none], {}
    for mine, group in enumerate(groups):
        rest = [agent for other, agents in enumerate(groups) if other != mine for agent in agents]
        for place, agent in enumerate(group):
            order[agent] = [*group[place:], *group[:place], *rest]
    return [order[agent] for agent in range(n_agents)]
