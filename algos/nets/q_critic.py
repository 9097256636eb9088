"""Centralised critics of deterministic policy gradients: the value of a joint action to each agent.

Axes: R sampled transitions, N agents, O observation, S global state, A actions, F features, V values (N, or 1 for a
team).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ..core import Spec
from .config import NetConfig
from .critic import CriticKind
from .layers import Dense
from .own_order import seen_from
from .sharing import parameter_sets
from .trunk import Trunk
from .vision import encoder_for


class QCritic(nn.Module):
    """A value of the joint action for each agent, or one for the team.

    "local"   Q_i(o_i, a_i)                      as independent learners have it
    "central" Q_i(o_i, a_i, o_{-i}, a_{-i})      Lowe et al. 2017, equation 6, with x = (o_1, ..., o_N)
              or Q_i(o_i, a_i, s, a_{-i})        with a state
    "team"    Q(o_1, ..., o_N, a) or Q(s, a)     one value per world: the expected return of a shared reward

    Each agent gets the other agents in its own order (`own_order.seen_from`): with one fixed order for all, the value
    of an action is learned far more slowly. A state has its own order; beside it the actions a_{-i} have N places, and
    agent i's is empty. Images are read as `Critic` reads them.

    All N critics run as one product, batched where their parameters differ (`layers.Dense`).
    """

    order: Tensor
    places: Tensor

    def __init__(
        self, spec: Spec, kind: CriticKind, net: NetConfig, *, state: bool, generator: torch.Generator
    ) -> None:
        """Builds it.

        Args:
            spec: Shapes. Discrete actions are given as one-hot vectors.
            kind: The inputs of the values, see the class.
            net: Options of the network. One value for a team has no use for `share` and `agent_id`.
            state: Whether a critic that is not local reads the global state instead of all observations.
            generator: Source of the initial weights.
        """
        super().__init__()
        n, sets, action_dim = spec.n_agents, parameter_sets(spec, net.share), spec.action_dim
        self.kind: CriticKind = kind
        self.reads_state = state and kind != "local"
        self.n_values = 1 if kind == "team" else n
        self.encoder, features = None, spec.obs_dim
        if kind != "team" or not state:
            self.encoder, features = encoder_for(spec, sets, net, generator)
        if kind == "team":
            inputs = [spec.state_dim if state else n * features, n * action_dim]
        elif self.reads_state:
            inputs = [features, action_dim, spec.state_dim, n * action_dim]
        elif kind == "local" or n == 1:
            inputs = [features, action_dim]
        else:
            inputs = [n * features, action_dim, (n - 1) * action_dim]
        order = torch.tensor(seen_from(spec.groups, n))  # (N, N)
        self.register_buffer("order", order, persistent=False)
        own = torch.eye(n, dtype=torch.float32)
        places = own.repeat_interleave(action_dim, 1)  # (N, N * A), 1 at an agent's own place
        self.register_buffer("places", places, persistent=False)
        if kind == "team":
            sets, net = (0,), replace(net, agent_id=False)
        # With the small gain of other heads `spread` is learned worse: IDDPG -10.9 for -10.2 after 400,000 steps.
        self.trunk = Trunk(inputs, 1, sets, net, generator=generator, head_gain=1.0)

    def forward(self, obs: Tensor, state: Tensor | None, action: Tensor, own: Tensor | None = None) -> Tensor:
        """Returns values in the units the critic learns in.

        Args:
            obs: (R, N, O), zeros for absent agents.
            state: (R, S); ignored by critics that read all observations instead.
            action: (R, N, A) the joint action, in [-1, 1] or one-hot; zeros for absent agents.
            own: (R, N, A) another action of each agent. Agent i's value is then that of the joint action in which i
                alone does `own` and the others do `action`. None: the joint action as it is.

        Returns:
            (R, V) for the joint action; (R, N) with `own`, where a team's value differs by the agent that deviates.
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
        out, _ = self.trunk(inputs, None)
        return out.squeeze(-1)

    def over_own_actions(self, obs: Tensor, state: Tensor | None, action: Tensor) -> Tensor:
        """Returns the team's value had one agent done each of its discrete actions, and the others what they did.

        Only the part of the first layer that reads the agent's own action changes, so the rest of that layer is
        computed once for a joint action.

        Args:
            obs: (R, N, O), see `forward`.
            state: (R, S), see `forward`.
            action: (R, N, A) the joint action, one-hot; zeros for absent agents.

        Returns:
            (R, N, A), [r, i, a]: agent i does a.
        """
        assert self.kind == "team", "only a value of the team changes with the action of each agent alone"
        rows, n, n_actions = action.shape
        if self.encoder is not None:
            obs = self.encoder(obs)
        seen = self._state(state) if self.reads_state else obs.flatten(-2).unsqueeze(-2)
        first = self.trunk.layers[0]
        assert isinstance(first, Dense)
        columns = first.weights[1].view(n, n_actions, -1)  # (N, A, H)
        whole = first(seen, action.flatten(-2).unsqueeze(-2)).unsqueeze(-2)  # (R, 1, 1, H)
        own = torch.einsum("rna,nah->rnh", action, columns).unsqueeze(-2)  # (R, N, 1, H)
        x = self.trunk.activation(whole - own + columns).reshape(rows * n * n_actions, 1, -1)
        for layer in self.trunk.layers[1:]:
            x = self.trunk.activation(layer(x))
        return self.trunk.head(x).view(rows, n, n_actions)

    @staticmethod
    def _state(state: Tensor | None) -> Tensor:
        """Returns the state as (R, 1, S)."""
        assert state is not None, "a critic of states needs the state"
        return state.unsqueeze(-2)
