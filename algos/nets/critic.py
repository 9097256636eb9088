"""Critics of states: the expected return of each agent, or of the team.

Axes: N agents, T time, B worlds, O observation, S global state, F features, H hidden, V values (N, or 1 for a team), K
steps to bootstrap from; `...` any leading axes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from ..core import Spec
from .config import NetConfig
from .own_order import seen_from
from .recurrent import Recurrence
from .sharing import parameter_sets
from .trunk import Trunk
from .vision import encoder_for

CriticKind = Literal["local", "central", "team"]


class Critic(nn.Module):
    """A value for each agent, or one for the team.

    "local"   V_i(o_i)       as independent learners have it
    "central" V_i(s, o_i)    Yu et al. 2022, section 4 "agent-specific global state"
              or V_i(o_i, o_-i)    without a state: all observations, in each agent's own order (`own_order`)
    "team"    V(s)           one value per world: the expected return of a shared reward
              or V(o_1, ..., o_N)

    Images pass through the critic's own convolutions (`vision`) with each agent's parameter set; their features take
    the place of the images.
    """

    order: Tensor

    def __init__(
        self, spec: Spec, kind: CriticKind, net: NetConfig, *, state: bool, generator: torch.Generator
    ) -> None:
        """Builds it.

        Args:
            spec: Shapes.
            kind: The inputs of the values, see the class.
            net: Options of the network. One value for a team has no use for `share` and `agent_id`.
            state: Whether a critic that is not local reads the global state instead of all observations.
            generator: Source of the initial weights.
        """
        super().__init__()
        n, sets = spec.n_agents, parameter_sets(spec, net.share)
        self.kind: CriticKind = kind
        self.n_values = 1 if kind == "team" else n
        self.reads_state = state and kind != "local"
        self.encoder, features = None, spec.obs_dim
        if kind != "team" or not self.reads_state:
            self.encoder, features = encoder_for(spec, sets, net, generator)
        if kind == "local":
            inputs = [features]
        elif self.reads_state:
            inputs = [spec.state_dim] if kind == "team" else [features, spec.state_dim]
        else:
            inputs = [n * features]
        self.register_buffer("order", torch.tensor(seen_from(spec.groups, n)), persistent=False)  # (N, N)
        if kind == "team":
            sets, net = (0,), replace(net, agent_id=False)
        self.trunk = Trunk(inputs, 1, sets, net, generator=generator)

    @property
    def agent_blind(self) -> bool:
        """Whether each agent's value can be computed by itself, in the same way for all agents (see `Trunk`)."""
        alone = self.kind == "local" or (self.kind == "central" and self.reads_state)
        return alone and self.trunk.agent_blind

    def forward(
        self,
        obs: Tensor,
        state: Tensor | None,
        recurrence: Recurrence | None = None,
        *,
        state_of: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Returns values in the units the critic learns in, and hidden states.

        Args:
            obs: (..., N, O).
            state: (..., S); ignored by critics that do not read it.
            recurrence: For a recurrent critic; `...` is then (T, B).
            state_of: (M,) where `obs` is (M, 1, O), of single agents, and `state` (R, S): the state of each. Only for
                critics that are `agent_blind`.

        Returns:
            (..., V) values, V = N or 1 for "team", and (T, B, V, H) hidden states or None.
        """
        if self.encoder is not None:
            obs = self.encoder(obs)  # (..., N, F)
        if self.reads_state:
            assert state is not None, "a critic of states needs the state"
            inputs = [state.unsqueeze(-2)] if self.kind == "team" else [obs, state.unsqueeze(-2)]  # (..., 1, S)
        elif self.kind == "team":
            inputs = [obs.flatten(-2).unsqueeze(-2)]  # (..., 1, N F)
        else:
            inputs = [obs if self.kind == "local" else obs[..., self.order, :].flatten(-2)]  # (..., N, F or N F)
        out, states = self.trunk(inputs, recurrence, last_of=state_of if self.reads_state else None)
        return out.squeeze(-1), states

    def over_rollout(
        self, fields: dict[str, Tensor], finals: dict[str, Tensor], hidden: Tensor | None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor] | None]:
        """Returns the values of all steps of a rollout and of the observations to bootstrap from (`Rollout.to`).

        Args:
            fields: `obs` (T, B, N, O), `alive` (T, B, N), `started` (T, B) and, where it is read, `state` (T, B, S).
            finals: `obs` (K, N, O) and `state` (K, S) after some steps, and the `index` (K,) of these steps in (T * B).
            hidden: (B, V, H) of a recurrent critic before the rollout; None, or one of other worlds: zeros.

        Returns:
            (T, B, V) and (K, V) in the units the critic learns in, where absent agents may have any value; and the
            hidden states of a recurrent critic, (B, V, H), before and after the rollout.
        """
        obs, state = fields["obs"], fields.get("state")
        if self.trunk.gru is None:
            return self._values(obs, state, fields["alive"]), self(finals["obs"], finals.get("state"))[0], None
        n_worlds = obs.shape[1]
        if hidden is None or len(hidden) != n_worlds:
            hidden = self.trunk.head.bias.new_zeros(n_worlds, self.n_values, self.trunk.gru.size)
        alive = fields["alive"] if self.kind != "team" else fields["alive"].any(-1, keepdim=True)  # (T, B, V)
        values, states = self(obs, state, Recurrence(hidden, fields["started"], alive))
        before = states.flatten(0, 1)[finals["index"]]  # (K, V, H)
        going_on = torch.zeros(1, len(before), dtype=torch.bool, device=before.device)
        recurrence = Recurrence(before, going_on, ~going_on.unsqueeze(-1))
        final_state = finals["state"][None] if "state" in finals else None  # (1, K, S)
        final_values, _ = self(finals["obs"][None], final_state, recurrence)  # (1, K, V)
        return values, final_values[0], (hidden, states[-1])

    def _values(self, obs: Tensor, state: Tensor | None, alive: Tensor) -> Tensor:
        """Returns (T, B, V) without recurrence; of absent agents nothing is computed where that is possible."""
        if not self.agent_blind or alive.all():
            return self(obs, state)[0]
        step, _ = alive.flatten(0, 1).nonzero(as_tuple=True)  # (M,) into (T * B)
        state = None if state is None else state.flatten(0, 1)
        found, _ = self(obs[alive].unsqueeze(1), state, state_of=step)  # (M, 1)
        return found.new_zeros(alive.shape).masked_scatter(alive, found)
