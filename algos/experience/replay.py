"""A replay: a ring buffer of the steps of all worlds, from which an off-policy algorithm samples.

Axes: T rows of the ring, B worlds, N agents, O observation, S global state, A actions; R sampled transitions, K steps.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from ..core import Array, Spec, Transition
from ..maths.arrays import as_bytes, tensor_of
from .fields import Fields, between, counterfactual_of, optional_fields
from .heard import packed, unpacked
from .priorities import Priorities
from .recall import recall

PAIRED = ("obs", "state", "action_mask", "adjacency", "heard", "heard_bits")
"""Fields that are kept both before a step and after it, there as `next_...`."""


class Replay:
    """T steps of B worlds in one contiguous store per field, float32 but for flags and discrete actions.

    Both the observation acted on and the one it led to, before any reset, are kept. That is twice the memory of keeping
    only what is not simply the next row. In exchange a transition is complete as soon as it is written, wherever in the
    ring it lies and whichever agents died, left or ran out of time in it. 8 N O bytes a step, 432 for `spread`, and the
    same again for states; `nbytes` has the sum. Images of bytes (`Spec.pixels`) stay bytes until the network reads
    them.

    Rows of absent agents are written as zeros (an action mask as all allowed), whatever came for them. An agent has
    left if it is no longer alive and has not died; it is still present in the observation that its last step led to.
    """

    def __init__(
        self,
        spec: Spec,
        size: int,
        n_worlds: int,
        *,
        keep: Collection[str] = (),
        prioritised: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        """Allocates the store.

        Args:
            spec: Shapes.
            size: Steps of one world to hold at most, all worlds together; rounded up to whole rows.
            n_worlds: B.
            keep: Fields to store besides the usual ones, see `fields.optional_fields`.
            prioritised: Exponent of `Priorities`; 0 draws uniformly.
            device: Where the store lies, and where samples are drawn.
        """
        t, b = -(-size // n_worlds), n_worlds
        self._pixels = spec.pixels
        self.steps, self.n_worlds, self.device = t, b, torch.device(device)
        self.next, self.rows = 0, 0  # where the next step is written, and how many rows are filled
        self.departures = False  # whether any agent ever left a world that went on
        self.fields = {
            name: torch.zeros((t, b, *shape), dtype=dtype, device=self.device)  # (T, B, ...)
            for name, (shape, dtype) in replay_fields(spec, keep).items()
        }
        self.priorities = Priorities(t * b, alpha=prioritised, device=self.device) if prioritised else None

    def __len__(self) -> int:
        """Returns the number of stored steps, summed over worlds."""
        return self.rows * self.n_worlds

    @property
    def nbytes(self) -> int:
        """Bytes of the whole store, which never grows."""
        stores = [*self.fields.values(), *([] if self.priorities is None else [self.priorities.tree])]
        return sum(store.numel() * store.element_size() for store in stores)

    def add(
        self, transition: Transition, action: Tensor, heard: Tensor | None = None, next_heard: Tensor | None = None
    ) -> None:
        """Writes one step of all worlds, over the oldest one where the ring is full.

        Args:
            transition: The step; everything is copied.
            action: (B, N) int64 or (B, N, A) float32 in [-1, 1], as the policy chose it.
            heard: (B, N, N) uint8, ages of the messages that were heard; needed where they are kept.
            next_heard: The same of the observation that the step led to.

        Raises:
            ValueError: The counterfactual is to be kept, and the environment gives none.
        """
        obs, final = transition.obs, transition.final
        alive = obs.alive  # (B, N)
        present = final.alive | (alive & ~transition.terminated)  # (B, N): an agent that leaves is still there
        over = transition.truncated | transition.ended  # (B,)
        # Sticky: from the first departure on, every target takes a second pass of the target critics; see `sample`.
        self.departures |= bool(((present & ~final.alive) & ~over[:, None]).any())
        self._write("obs", np.where(alive[..., None], obs.obs, np.float32(0)))
        self._write("next_obs", np.where(present[..., None], final.obs, np.float32(0)))
        dead = ~tensor_of(alive)
        self._write("action", action.cpu().masked_fill(dead if action.dim() == 2 else dead.unsqueeze(-1), 0))
        self._write("reward", np.where(alive, transition.reward, np.float32(0)))
        self._write("team_reward", transition.team_reward)
        self._write("alive", alive)
        self._write("terminated", transition.terminated & alive)
        self._write("next_alive", final.alive)
        self._write("over", over)
        if "state" in self.fields:
            self._write("state", obs.state)
            self._write("next_state", final.state)
        if "action_mask" in self.fields:
            assert obs.action_mask is not None
            assert final.action_mask is not None
            self._write("action_mask", obs.action_mask | ~alive[..., None])
            allowed = final.action_mask | ~present[..., None]  # (B, N, A)
            # The environment often allows nothing to an agent that leaves; its target action needs a choice.
            self._write("next_action_mask", allowed | ~allowed.any(-1, keepdims=True))
        if "adjacency" in self.fields:
            self._write("adjacency", between(obs.adjacency, alive))
            self._write("next_adjacency", between(final.adjacency, present))
        if "heard" in self.fields:
            assert heard is not None
            assert next_heard is not None
            self._write("heard", heard)
            self._write("next_heard", next_heard)
        if "heard_bits" in self.fields:
            assert heard is not None
            assert next_heard is not None
            self._write("heard_bits", packed(heard.cpu()))
            self._write("next_heard_bits", packed(next_heard.cpu()))
        if "cost" in self.fields:
            self._write("cost", np.where(alive, transition.cost, np.float32(0)))
        if "counterfactual" in self.fields:
            self._write("counterfactual", np.where(alive, counterfactual_of(transition), np.float32(0)))
        if self.priorities is not None:
            self.priorities.add(self.next * self.n_worlds + torch.arange(self.n_worlds, device=self.device))
        self.next = (self.next + 1) % self.steps
        self.rows = min(self.rows + 1, self.steps)

    def _write(self, name: str, value: Array | Tensor) -> None:
        if self._pixels and name in ("obs", "next_obs"):
            value = as_bytes(np.asarray(value))
        self.fields[name][self.next] = tensor_of(np.asarray(value)) if not isinstance(value, Tensor) else value

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws (R,) indices into (T * B): uniformly over the stored steps, or by priority."""
        if self.priorities is not None:
            return self.priorities.draw(count, generator)
        return torch.randint(len(self), (count,), generator=generator, device=self.device)

    def sample(self, index: Tensor, n_steps: int, *, recall_rounds: int = 0) -> dict[str, Tensor]:
        """Returns transitions, with the K steps that followed each of them.

        The sum of rewards over these steps must `stop` at the end of an episode, at the newest stored step, and where
        any agent leaves: an agent that leaves bootstraps from there, and a shorter sum is right for the others too.

        Args:
            index: (R,) into (T * B), on the store's device.
            n_steps: K.
            recall_rounds: Rounds of communication, where messages of earlier steps are heard; 0: they are not.

        Returns:
            Of the transition itself: `obs` (R, N, O), `action` (R, N) or (R, N, A), `alive` (R, N), and where they are
            kept `state` (R, S), `action_mask` (R, N, A) and `adjacency` (R, N, N).
            Of its K steps: `reward`, `terminated` (R, K, N), and where they are kept `cost` and `counterfactual`
            (R, K, N); `team_reward`, `team_over`, `stop` (R, K), where `team_over` says that no agent is left.
            Of the observation that the last of these steps led to: `next_obs`, `next_state`, `next_action_mask`,
            `next_adjacency`; `next_present` (R, N), the agents that are in it; and `left` (R, N), those among them that
            leave a world that goes on.
            With `recall_rounds`, the M earlier steps in which something was said that is heard: `earlier_obs` (M, N, O)
            and `earlier_alive` (M, N). Then `heard` (H, N, N) has the ages of the transitions and of the first of the
            earlier steps, and `said_in` (H, N, N) the row of transitions and earlier steps together in which each
            message was said, see `recall`. The same for the observation that the steps led to, as `next_...`.
        """
        fields = {name: field.flatten(0, 1) for name, field in self.fields.items()}  # (T * B, ...)
        row, world = index // self.n_worlds, index % self.n_worlds  # (R,)
        age = (self.next - 1 - row) % self.steps  # (R,) 0 is the newest
        steps = torch.arange(n_steps, device=self.device)
        rows = ((row.unsqueeze(1) + steps) % self.steps) * self.n_worlds + world.unsqueeze(1)  # (R, K) into (T * B)
        summed = [name for name in ("reward", "team_reward", "terminated", "cost", "counterfactual") if name in fields]
        follow = {name: fields[name][rows] for name in (*summed, "alive", "next_alive", "over")}  # (R, K, ...)
        survives = follow["alive"] & ~follow["terminated"]  # (R, K, N)
        leaves = survives & ~follow["next_alive"] & ~follow["over"].unsqueeze(-1)  # (R, K, N)
        stop = follow["over"] | leaves.any(-1) | (steps >= age.unsqueeze(1))  # (R, K)
        stop[:, -1] = True
        last = stop.to(torch.uint8).argmax(1)  # (R,) the first step that stops
        ends = rows.gather(1, last.unsqueeze(1)).squeeze(1)  # (R,) into (T * B)
        before = [name for name in ("action", "alive", *PAIRED) if name in fields]
        after = [f"next_{name}" for name in PAIRED if name in fields]
        found = {name: fields[name].index_select(0, index) for name in before}
        found |= {name: fields[name].index_select(0, ends) for name in after}
        found |= {name: follow[name] for name in summed}
        for lead in ("", "next_"):
            if (bits := found.pop(f"{lead}heard_bits", None)) is not None:
                found[f"{lead}heard"] = unpacked(bits)
        found["team_over"] = follow["over"] & ~(survives | follow["next_alive"]).any(-1)
        found["stop"] = stop
        of_last = last.view(-1, 1, 1).expand(-1, 1, leaves.shape[-1])  # (R, 1, N)
        found["next_present"] = (survives | follow["next_alive"]).gather(1, of_last).squeeze(1)
        found["left"] = leaves.gather(1, of_last).squeeze(1)
        if recall_rounds:
            moment = (self.rows - 1 - age) * self.n_worlds + world  # (R,) counted from the oldest step on
            found |= self._recalled(moment, found["heard"], recall_rounds)
            moment = moment + (last + 1) * self.n_worlds
            after = self._recalled(moment, found["next_heard"], recall_rounds)
            found |= {f"next_{name}": field for name, field in after.items()}
        return found

    def _recalled(self, moment: Tensor, age: Tensor, rounds: int) -> dict[str, Tensor]:
        """Returns what `sample` does with the earlier steps, by name; see `recall` for the arguments."""
        obs, alive, heard = (self.fields[name].flatten(0, 1) for name in ("obs", "alive", "heard"))  # (T * B, ...)
        oldest = (self.next - self.rows) % self.steps * self.n_worlds
        recalled = recall(moment, age, heard, oldest=oldest, n_worlds=self.n_worlds, rounds=rounds)
        return {
            "heard": recalled.age,
            "said_in": recalled.said_in,
            "earlier_obs": obs.index_select(0, recalled.earlier),
            "earlier_alive": alive.index_select(0, recalled.earlier),
        }

    def rewards(self, newest: int | None = None) -> dict[str, Tensor]:
        """Returns `reward`, `terminated`, `alive` (rows, B, N), `team_reward` and `team_over` (rows, B).

        Where it is kept, `counterfactual` (rows, B, N) too.

        Args:
            newest: Rows to return, from the newest one back; None: all, in the order of the store.
        """
        rows = slice(0, self.rows)
        if newest is not None:
            rows = (self.next - 1 - torch.arange(min(newest, self.rows), device=self.device)) % self.steps
        names = ("reward", "team_reward", "terminated", "alive", "counterfactual")
        found = {name: self.fields[name][rows] for name in names if name in self.fields}
        survives = (found["alive"] & ~found["terminated"]) | self.fields["next_alive"][rows]
        found["team_over"] = self.fields["over"][rows] & ~survives.any(-1)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Returns a copy of the stored steps, in the machine's memory."""
        return {
            "steps": self.steps,
            "next": self.next,
            "rows": self.rows,
            "departures": self.departures,
            "priorities": None if self.priorities is None else self.priorities.state_dict(),
            "fields": {name: field[: self.rows].to("cpu", copy=True) for name, field in self.fields.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the `state_dict` of a replay of the same shapes.

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


def replay_fields(spec: Spec, keep: Collection[str] = ()) -> Fields:
    """Returns the fields of a replay in one step of one world; see `Replay` for the arguments."""
    n, space = spec.n_agents, spec.action_space
    fields: Fields = {
        "obs": ((n, spec.obs_dim), torch.uint8 if spec.pixels else torch.float32),  # acted on
        "action": ((n, *space.shape), torch.float32) if isinstance(space, Box) else ((n,), torch.int64),
        "reward": ((n,), torch.float32),
        "team_reward": ((), torch.float32),
        "alive": ((n,), torch.bool),  # before the action
        "terminated": ((n,), torch.bool),
        "next_alive": ((n,), torch.bool),  # after it, before any reset
        "over": ((), torch.bool),  # the world was reset, or met its time limit
        **optional_fields(spec, keep),
    }
    return fields | {f"next_{name}": fields[name] for name in PAIRED if name in fields}
