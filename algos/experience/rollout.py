"""Where experience waits until it is learned from.

Axes: T time, B worlds, N agents, O observation, S global state, A actions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from ..core import Array, Obs, Spec, Transition
from ..nets.vision import as_bytes


def tensor_of(array: Array, device: torch.device | str = "cpu") -> Tensor:
    """A numpy array as a tensor that shares its memory on the CPU; copied only where it is read-only."""
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)


class Rollout:
    """T steps of B worlds in preallocated CPU memory, filled in place and handed to the device once, when full.

    Rows of agents that are not alive are written as zeros (an action mask as all allowed), whatever came for them:
    nothing the environment says about the dead can reach a loss, and not even NaN survives a product with a mask.

    Observations are nearly all of it, 4 T B N O bytes: 10 MB where 64 steps of 64 worlds of 8 agents see 80 numbers
    each. Images of bytes (`Spec.pixels`) stay bytes until the network reads them: T B N O, 400 MB where they see 3 x 64
    x 64. A minibatch is a copy of its share of that.

    What to bootstrap from is kept only where it is not simply the next row:

    - worlds that met a time limit, or that ended because the last agents in them left;
    - every world at the last step;
    - the last moment of agents that left a world that goes on. Next row they are gone, and only they bootstrap from
      here: who stays goes on in a world without them.

    To leave is to be alive no more without having died: `alive` before, not after, and not `terminated`.
    """

    def __init__(self, spec: Spec, steps: int, n_worlds: int, *, state: bool, action_mask: bool) -> None:
        """Allocates.

        Args:
            spec: Shapes.
            steps: T.
            n_worlds: B.
            state: Keep the global state (only a centralised critic reads it).
            action_mask: Keep action masks.
        """
        self.steps, self.n_worlds, self.t, self._pixels = steps, n_worlds, 0, spec.pixels
        self.fields: dict[str, Tensor] = {
            name: torch.zeros((steps, n_worlds, *shape), dtype=dtype)  # (T, B, ...)
            for name, (shape, dtype) in rollout_fields(spec, state=state, action_mask=action_mask).items()
        }
        if action_mask:
            self.fields["action_mask"][:] = True
        self.finals: list[dict[str, Tensor]] = []
        self._views = {name: field.numpy() for name, field in self.fields.items()}  # the same memory, seen by numpy

    @property
    def full(self) -> bool:
        """Whether T steps are there."""
        return self.t == self.steps

    def add(self, transition: Transition, action: Tensor, log_prob: Tensor) -> None:
        """Writes one step.

        Args:
            transition: What happened; everything is copied.
            action: (B, N) int64 or (B, N, A) float32 on the CPU, as the policy drew it: a Gaussian's action before
                it was clipped to the Box.
            log_prob: (B, N) on the CPU.
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
        dead = ~obs.alive  # (B, N)
        if dead.any():
            for name in ("obs", "action", "log_prob", "reward", "terminated"):
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
        """Keeps a moment to bootstrap from.

        Args:
            worlds: (k,) which.
            final: The moment.
            left: (B, N) bool: they are not alive any more but seen as if they were.
            whose: (B, N) bool: whose next value it is.
            of_world: It is also that of the whole world, as a team sees it.
        """
        seen = (final.alive | left)[worlds]  # (k, N)
        shown = np.where(seen[..., None], final.obs[worlds], np.float32(0))  # (k, N, O)
        row = {
            "index": torch.from_numpy(self.t * self.n_worlds + worlds),  # (k,) into the flattened (T * B)
            "whose": torch.from_numpy(whose[worlds]),  # (k, N) bool; fancy indexing copied it
            "of_world": torch.full((len(worlds),), of_world),  # (k,) bool
            "seen": torch.from_numpy(seen),  # (k, N) bool
            "obs": torch.from_numpy(as_bytes(shown) if self._pixels else shown),  # (k, N, O)
        }
        if "state" in self._views:
            row["state"] = torch.from_numpy(final.state[worlds])  # (k, S)
        self.finals.append(row)

    def clear(self) -> None:
        """Begins anew in the same memory."""
        self.t = 0
        self.finals = []

    def to(self, device: torch.device | str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The fields, (T, B, ...) each, and the moments to bootstrap from, (K, ...) each, on a device."""
        assert self.full, "to() on a rollout that is not full"
        finals = {name: torch.cat([row[name] for row in self.finals]).to(device) for name in self.finals[0]}
        return {name: field.to(device) for name, field in self.fields.items()}, finals

    def state_dict(self) -> dict[str, Any]:
        """What is there so far, copied."""
        return {
            "n_worlds": self.n_worlds,
            "t": self.t,
            "fields": {name: field[: self.t].clone() for name, field in self.fields.items()},
            "finals": [{name: value.clone() for name, value in row.items()} for row in self.finals],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state_dict` of a rollout of the same shapes."""
        self.t = state["t"]
        for name, field in self.fields.items():
            field[: self.t] = state["fields"][name]
        self.finals = []
        for row in state["finals"]:
            self.finals.append({name: value.clone() for name, value in row.items()})


Fields = dict[str, tuple[tuple[int, ...], torch.dtype]]
"""By name, the shape of a field in one step of one world, and its type."""


def rollout_fields(spec: Spec, *, state: bool, action_mask: bool) -> Fields:
    """What a rollout keeps of one step of one world; see `Rollout` for the arguments."""
    n, discrete = spec.n_agents, not isinstance(spec.action_space, Box)
    fields: Fields = {
        "obs": ((n, spec.obs_dim), torch.uint8 if spec.pixels else torch.float32),  # (T, B, N, O)
        # (T, B, N) int64 or (T, B, N, A), before clipping to the Box
        "action": ((n,), torch.int64) if discrete else ((n, *_shape(spec)), torch.float32),
        "log_prob": ((n,), torch.float32),  # (T, B, N) of the action, when it was taken
        "reward": ((n,), torch.float32),  # (T, B, N)
        "team_reward": ((), torch.float32),  # (T, B)
        "alive": ((n,), torch.bool),  # (T, B, N) before the action
        "terminated": ((n,), torch.bool),  # (T, B, N)
        "survives": ((), torch.bool),  # (T, B) somebody is there to go on, before any reset
        "ended": ((), torch.bool),  # (T, B)
        "started": ((), torch.bool),  # (T, B)
    }
    if state:
        fields["state"] = ((spec.state_dim,), torch.float32)  # (T, B, S)
    if action_mask:
        assert not isinstance(spec.action_space, Box)
        fields["action_mask"] = ((n, int(spec.action_space.n)), torch.bool)  # (T, B, N, A)
    return fields


def bytes_of(fields: Fields) -> int:
    """Of one step of one world."""
    return sum(math.prod(shape) * dtype.itemsize for shape, dtype in fields.values())


def _shape(spec: Spec) -> tuple[int, ...]:
    """The trailing axes of one agent's action: (A,) for a `Box`, none for `Discrete`."""
    return tuple(spec.action_space.shape or ())
