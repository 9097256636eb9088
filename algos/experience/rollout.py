"""A rollout: the steps between two updates of an on-policy algorithm.

Axes: T time, B worlds, N agents, O observation, S global state, A actions, K steps to bootstrap from.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from ..core import Array, Obs, Spec, Transition
from ..maths.arrays import as_bytes
from .fields import Fields, between, counterfactual_of, optional_fields
from .heard import packed


class Rollout:
    """T steps of B worlds in preallocated CPU memory, filled in place and handed to the device once, when full.

    Rows of agents that are not alive are written as zeros (an action mask as all allowed), whatever came for them:
    nothing the environment says about the dead can reach a loss. Zeros, because a product with a mask would let NaN
    through.

    Observations take up most of it, 4 T B N O bytes: 10 MB for 64 steps of 64 worlds of 8 agents, of 80 numbers each.
    Images of bytes (`Spec.pixels`) stay bytes until the network reads them: T B N O, 400 MB for images of 3 x 64 x 64.
    A minibatch is a copy of its share of that.

    The observations to bootstrap from are stored only where they are not those of the next row:

    - in worlds that met a time limit, or that ended because the last agents in them left;
    - in every world at the last step;
    - for agents that left a world that goes on. They are absent from the next row, and they alone bootstrap from here;
      the agents that stay bootstrap from a world without them.

    An agent has left if it was `alive` before the step, is not alive after it, and is not `terminated`.
    """

    def __init__(self, spec: Spec, steps: int, n_worlds: int, *, keep: Collection[str] = ()) -> None:
        """Allocates the memory.

        Args:
            spec: Shapes.
            steps: T.
            n_worlds: B.
            keep: Fields to store besides the usual ones, see `fields.optional_fields`.
        """
        self.steps, self.n_worlds, self.t, self._pixels = steps, n_worlds, 0, spec.pixels
        self.fields: dict[str, Tensor] = {
            name: torch.zeros((steps, n_worlds, *shape), dtype=dtype)  # (T, B, ...)
            for name, (shape, dtype) in rollout_fields(spec, keep).items()
        }
        if "action_mask" in self.fields:
            self.fields["action_mask"][:] = True
        self.finals: list[dict[str, Tensor]] = []
        self._views = {name: field.numpy() for name, field in self.fields.items()}  # the same memory, seen by numpy

    @property
    def full(self) -> bool:
        """Whether all T steps are there."""
        return self.t == self.steps

    def add(
        self,
        transition: Transition,
        action: Tensor,
        log_prob: Tensor,
        heard: Tensor | None = None,
        sent: Tensor | None = None,
    ) -> None:
        """Writes one step.

        Args:
            transition: The step; everything is copied.
            action: (B, N) int64 or (B, N, A) float32 on the CPU, as the policy drew it: a Gaussian's action before
                it was clipped to the Box.
            log_prob: (B, N) on the CPU.
            heard: (B, N, N) uint8 on the CPU, the age of every message that was heard; needed where it is kept.
            sent: (B, N) bool on the CPU, agents that spoke; needed where it is kept.

        Raises:
            ValueError: The counterfactual is to be kept, and the environment gives none.
        """
        t, views, obs, final = self.t, self._views, transition.obs, transition.final
        assert not self.full, "add() on a full rollout"
        for name, array in (
            ("obs", as_bytes(obs.obs) if self._pixels else obs.obs),
            ("action", action.numpy()),
            ("log_prob", log_prob.numpy()),
            ("reward", transition.reward),
            ("team_reward", transition.team_reward),
            ("alive", obs.alive),
            ("terminated", transition.terminated),
            ("survives", ((obs.alive & ~transition.terminated) | final.alive).any(axis=1)),
            ("ended", transition.ended),
            ("started", obs.started),
        ):
            views[name][t] = array
        if "state" in views:
            views["state"][t] = obs.state
        if "action_mask" in views and obs.action_mask is not None:
            views["action_mask"][t] = obs.action_mask
        if "adjacency" in views:
            views["adjacency"][t] = between(obs.adjacency, obs.alive)
        if "heard" in views:
            assert heard is not None
            views["heard"][t] = heard.numpy()
        if "heard_bits" in views:
            assert heard is not None
            views["heard_bits"][t] = packed(heard)
        if "sent" in views:
            assert sent is not None
            views["sent"][t] = sent.numpy()
        if "cost" in views:
            views["cost"][t] = transition.cost
        if "counterfactual" in views:
            views["counterfactual"][t] = counterfactual_of(transition)
        dead = ~obs.alive  # (B, N)
        if dead.any():
            for name in ("obs", "action", "log_prob", "reward", "terminated", "cost", "counterfactual"):
                if name in views:
                    views[name][t][dead] = 0
            if "action_mask" in views:
                views["action_mask"][t][dead] = True

        left = obs.alive & ~transition.terminated & ~final.alive  # (B, N)
        leaving = left.any(axis=1)  # (B,)
        over = transition.truncated | transition.ended  # (B,)
        last = t + 1 == self.steps
        worlds = np.arange(self.n_worlds) if last else np.flatnonzero(transition.truncated | (over & leaving))
        if worlds.size:
            self._keep(worlds, final, over[:, None] & left, ~left | over[:, None], of_world=True)
        worlds = np.flatnonzero(leaving & ~over)
        if worlds.size:
            self._keep(worlds, final, left, left, of_world=False)
        self.t += 1

    def _keep(self, worlds: Array, final: Obs, left: Array, whose: Array, *, of_world: bool) -> None:
        """Stores observations to bootstrap from.

        Args:
            worlds: (k,) indices of the worlds to store.
            final: All worlds after the step, before any reset.
            left: (B, N) bool, agents that are not alive any more and are treated as present.
            whose: (B, N) bool, agents whose value bootstraps from here.
            of_world: The value of the whole world, as a team sees it, bootstraps from here too.
        """
        present = (final.alive | left)[worlds]  # (k, N)
        shown = np.where(present[..., None], final.obs[worlds], np.float32(0))  # (k, N, O)
        row = {
            "index": torch.from_numpy(self.t * self.n_worlds + worlds),  # (k,) into the flattened (T * B)
            "whose": torch.from_numpy(whose[worlds]),  # (k, N) bool; fancy indexing copied it
            "of_world": torch.full((len(worlds),), of_world),  # (k,) bool
            "present": torch.from_numpy(present),  # (k, N) bool
            "obs": torch.from_numpy(as_bytes(shown) if self._pixels else shown),  # (k, N, O)
        }
        if "state" in self._views:
            row["state"] = torch.from_numpy(final.state[worlds])  # (k, S)
        if "adjacency" in self._views:
            row["adjacency"] = torch.from_numpy(between(final.adjacency[worlds], present))  # (k, N, N)
        self.finals.append(row)

    def clear(self) -> None:
        """Empties the rollout; the memory is used again."""
        self.t = 0
        self.finals = []

    def to(self, device: torch.device | str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Returns the fields, (T, B, ...) each, and the steps to bootstrap from, (K, ...) each, on a device."""
        assert self.full, "to() on a rollout that is not full"
        finals = {name: torch.cat([row[name] for row in self.finals]).to(device) for name in self.finals[0]}
        return {name: field.to(device) for name, field in self.fields.items()}, finals

    def state_dict(self) -> dict[str, Any]:
        """Returns a copy of the steps so far."""
        return {
            "n_worlds": self.n_worlds,
            "t": self.t,
            "fields": {name: field[: self.t].clone() for name, field in self.fields.items()},
            "finals": [{name: value.clone() for name, value in row.items()} for row in self.finals],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the `state_dict` of a rollout of the same shapes."""
        self.t = state["t"]
        for name, field in self.fields.items():
            field[: self.t] = state["fields"][name]
        self.finals = []
        for row in state["finals"]:
            self.finals.append({name: value.clone() for name, value in row.items()})


def rollout_fields(spec: Spec, keep: Collection[str] = ()) -> Fields:
    """Returns the fields of a rollout in one step of one world; see `Rollout` for the arguments."""
    n, space = spec.n_agents, spec.action_space
    return {
        "obs": ((n, spec.obs_dim), torch.uint8 if spec.pixels else torch.float32),  # (T, B, N, O)
        # (T, B, N) int64 or (T, B, N, A), before clipping to the Box
        "action": ((n, *space.shape), torch.float32) if isinstance(space, Box) else ((n,), torch.int64),
        "log_prob": ((n,), torch.float32),  # (T, B, N) of the action, when it was drawn
        "reward": ((n,), torch.float32),  # (T, B, N)
        "team_reward": ((), torch.float32),  # (T, B)
        "alive": ((n,), torch.bool),  # (T, B, N) before the action
        "terminated": ((n,), torch.bool),  # (T, B, N)
        "survives": ((), torch.bool),  # (T, B) an agent is left in the world, before any reset
        "ended": ((), torch.bool),  # (T, B)
        "started": ((), torch.bool),  # (T, B)
        **optional_fields(spec, keep),
    }
