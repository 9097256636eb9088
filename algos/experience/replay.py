"""Where off-policy experience waits: a ring of steps of all worlds, sampled by index.

Axes: T rows of the ring, B worlds, N agents, O observation, S global state, A actions; R sampled moments, K steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from ..core import Array, Spec, Transition
from ..nets.vision import as_bytes
from .priorities import Priorities
from .rollout import Fields, tensor_of


class Replay:
    """T steps of B worlds in one contiguous store per field, float32 but for flags and discrete actions.

    Both the observation acted on and the one it led to, before any reset, are kept. That is twice the memory of keeping
    only what is not simply the next row, and in exchange a moment is complete as soon as it is written, wherever in the
    ring it lies and whoever died, left or ran out of time in it. 8 N O bytes a step, 432 for `spread`, and as much
    again for states; `nbytes` has the sum. Images of bytes (`Spec.pixels`) stay bytes until the network reads them.

    Rows of agents that are not there are written as zeros (an action mask as all allowed), whatever came for them.
    To leave is to be alive no more without having died; who leaves is still seen in the moment it led to.
    """

    def __init__(
        self,
        spec: Spec,
        size: int,
        n_worlds: int,
        *,
        state: bool,
        action_mask: bool,
        prioritised: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        """Allocates.

        Args:
            spec: Shapes.
            size: Steps of one world to hold at most, all worlds together; rounded up to whole rows.
            n_worlds: B.
            state: Keep the global state.
            action_mask: Keep action masks.
            prioritised: Exponent of `Priorities`; 0 draws all alike.
            device: Where the store lies, and where samples are drawn.
        """
        t, b = -(-size // n_worlds), n_worlds
        self._pixels = spec.pixels
        self.steps, self.n_worlds, self.device = t, b, torch.device(device)
        self.next, self.rows = 0, 0  # where the next step is written, how many there are
        self.departures = False  # whether anybody ever left a world that went on
        self.fields = {
            name: torch.zeros((t, b, *shape), dtype=dtype, device=self.device)  # (T, B, ...)
            for name, (shape, dtype) in replay_fields(spec, state=state, action_mask=action_mask).items()
        }
        self.priorities = Priorities(t * b, alpha=prioritised, device=self.device) if prioritised else None

    def __len__(self) -> int:
        """Steps of one world that are there, all worlds together."""
        return self.rows * self.n_worlds

    @property
    def nbytes(self) -> int:
        """Of the whole store, which never grows."""
        stores = [*self.fields.values(), *([] if self.priorities is None else [self.priorities.tree])]
        return sum(store.numel() * store.element_size() for store in stores)

    def add(self, transition: Transition, action: Tensor) -> None:
        """Writes one step of all worlds, over the oldest one where the ring is full.

        Args:
            transition: What happened; everything is copied.
            action: (B, N) int64 or (B, N, A) float32 in [-1, 1], as the policy chose it.
        """
        obs, final = transition.obs, transition.final
        here = obs.alive  # (B, N)
        seen = final.alive | (here & ~transition.terminated)  # (B, N): who leaves still sees
        over = transition.truncated | transition.ended  # (B,)
        # Once true it stays, and costs a second look at every target; see `sample`.
        self.departures |= bool(((seen & ~final.alive) & ~over[:, None]).any())
        self._write("obs", np.where(here[..., None], obs.obs, np.float32(0)))
        self._write("next_obs", np.where(seen[..., None], final.obs, np.float32(0)))
        gone = ~tensor_of(here)
        self._write("action", action.cpu().masked_fill(gone if action.dim() == 2 else gone.unsqueeze(-1), 0))
        self._write("reward", np.where(here, transition.reward, np.float32(0)))
        self._write("team_reward", transition.team_reward)
        self._write("alive", here)
        self._write("terminated", transition.terminated & here)
        self._write("next_alive", final.alive)
        self._write("over", over)
        if "state" in self.fields:
            self._write("state", obs.state)
            self._write("next_state", final.state)
        if "action_mask" in self.fields:
            assert obs.action_mask is not None
            assert final.action_mask is not None
            self._write("action_mask", obs.action_mask | ~here[..., None])
            allowed = final.action_mask | ~seen[..., None]  # (B, N, A)
            self._write("next_action_mask", allowed | ~allowed.any(-1, keepdims=True))  # of who leaves, often nothing
        if self.priorities is not None:
            self.priorities.add(self.next * self.n_worlds + torch.arange(self.n_worlds, device=self.device))
        self.next = (self.next + 1) % self.steps
        self.rows = min(self.rows + 1, self.steps)

    def _write(self, name: str, value: Array | Tensor) -> None:
        if self._pixels and name in ("obs", "next_obs"):
            value = as_bytes(np.asarray(value))
        self.fields[name][self.next] = tensor_of(np.asarray(value)) if not isinstance(value, Tensor) else value

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(R,) indices into (T * B): each step that is there as likely as any other, or by priority."""
        if self.priorities is not None:
            return self.priorities.draw(count, generator)
        return torch.randint(len(self), (count,), generator=generator, device=self.device)

    def sample(self, index: Tensor, n_steps: int) -> dict[str, Tensor]:
        """Moments, and what came of each in the K steps from it on.

        The sum of rewards over these steps must `stop` at the end of an episode, at the newest step there is, and where
        anybody leaves: who leaves bootstraps from there, and a shorter sum is right for those who stay too.

        Args:
            index: (R,) into (T * B), on the store's device.
            n_steps: K.

        Returns:
            The moment's own `obs` (R, N, O), `action` (R, N) or (R, N, A), `alive` (R, N), and where they are kept
            `state` (R, S) and `action_mask` (R, N, A);
            `reward`, `terminated` (R, K, N) and `team_reward`, `team_over`, `stop` (R, K) of its steps, where
            `team_over` is that nobody is left to go on;
            `next_obs`, `next_state`, `next_action_mask` of the moment that the last of these steps led to, `next_here`
            (R, N) who is seen in it, and `left` (R, N) who of them leaves a world that goes on.
        """
        fields = {name: field.flatten(0, 1) for name, field in self.fields.items()}  # (T * B, ...)
        row, world = index // self.n_worlds, index % self.n_worlds  # (R,)
        age = (self.next - 1 - row) % self.steps  # (R,) 0 is the newest
        steps = torch.arange(n_steps, device=self.device)
        rows = ((row.unsqueeze(1) + steps) % self.steps) * self.n_worlds + world.unsqueeze(1)  # (R, K) into (T * B)
        follow = {
            name: fields[name][rows]  # (R, K, ...)
            for name in ("reward", "team_reward", "terminated", "alive", "next_alive", "over")
        }
        survives = follow["alive"] & ~follow["terminated"]  # (R, K, N)
        leaves = survives & ~follow["next_alive"] & ~follow["over"].unsqueeze(-1)  # (R, K, N)
        stop = follow["over"] | leaves.any(-1) | (steps >= age.unsqueeze(1))  # (R, K)
        stop[:, -1] = True
        last = stop.to(torch.uint8).argmax(1)  # (R,) the first step that stops
        ends = rows.gather(1, last.unsqueeze(1)).squeeze(1)  # (R,) into (T * B)
        kept = [name for name in ("obs", "action", "alive", "state", "action_mask") if name in fields]
        led_to = [name for name in ("next_obs", "next_state", "next_action_mask") if name in fields]
        found = {name: fields[name].index_select(0, index) for name in kept}
        found |= {name: fields[name].index_select(0, ends) for name in led_to}
        found |= {name: follow[name] for name in ("reward", "team_reward", "terminated")}
        found["team_over"] = follow["over"] & ~(survives | follow["next_alive"]).any(-1)
        found["stop"] = stop
        of_last = last.view(-1, 1, 1).expand(-1, 1, leaves.shape[-1])  # (R, 1, N)
        found["next_here"] = (survives | follow["next_alive"]).gather(1, of_last).squeeze(1)
        found["left"] = leaves.gather(1, of_last).squeeze(1)
        return found

    def rewards(self) -> dict[str, Tensor]:
        """All there are: `reward`, `terminated`, `alive` (rows, B, N) and `team_reward`, `team_over` (rows, B)."""
        found = {name: self.fields[name][: self.rows] for name in ("reward", "team_reward", "terminated", "alive")}
        survives = (found["alive"] & ~found["terminated"]) | self.fields["next_alive"][: self.rows]
        found["team_over"] = self.fields["over"][: self.rows] & ~survives.any(-1)
        return found

    def state_dict(self) -> dict[str, Any]:
        """What is there so far, copied into the machine's memory."""
        return {
            "steps": self.steps,
            "next": self.next,
            "rows": self.rows,
            "departures": self.departures,
            "priorities": None if self.priorities is None else self.priorities.state_dict(),
            "fields": {name: field[: self.rows].to("cpu", copy=True) for name, field in self.fields.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state_dict` of a replay of the same shapes.

        Raises:
            ValueError: It held another number of steps.
        """
        if state["steps"] != self.steps:
            raise ValueError(f"a replay of {state['steps']} steps of every world, not {self.steps}")
        self.next, self.rows, self.departures = state["next"], state["rows"], state["departures"]
        if self.priorities is not None:
            self.priorities.load_state_dict(state["priorities"])
        for name, field in self.fields.items():
            field[: self.rows] = state["fields"][name]


def replay_fields(spec: Spec, *, state: bool, action_mask: bool) -> Fields:
    """What a replay keeps of one step of one world; see `Replay` for the arguments."""
    n, space = spec.n_agents, spec.action_space
    seen = torch.uint8 if spec.pixels else torch.float32
    fields: Fields = {
        "obs": ((n, spec.obs_dim), seen),  # acted on
        "next_obs": ((n, spec.obs_dim), seen),  # what it led to, before any reset
        "action": ((n, *space.shape), torch.float32) if isinstance(space, Box) else ((n,), torch.int64),
        "reward": ((n,), torch.float32),
        "team_reward": ((), torch.float32),
        "alive": ((n,), torch.bool),  # before the action
        "terminated": ((n,), torch.bool),
        "next_alive": ((n,), torch.bool),  # after it, before any reset
        "over": ((), torch.bool),  # the world was reset, or met its time limit
    }
    if state:
        fields |= {"state": ((spec.state_dim,), torch.float32), "next_state": ((spec.state_dim,), torch.float32)}
    if action_mask:
        assert not isinstance(space, Box)
        fields |= {name: ((n, int(space.n)), torch.bool) for name in ("action_mask", "next_action_mask")}
    return fields
