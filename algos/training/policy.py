"""A trained policy without its training: on batches of worlds, and on the dictionaries that PettingZoo speaks.

    policy = load_policy("runs/NAME")
    observations, infos = env.reset(seed=1)
    policy.reset(seed=1)
    while env.agents:
        observations, rewards, terminations, truncations, infos = env.step(policy.act(observations, infos))

A run folder's config.json and its latest checkpoint are all it needs; no environment is imported. Somebody else's
environment is played in its own words: observations as it shows them, actions of each agent's own space (`own_spaces`).

Axes: B worlds, N agents, O observation, A actions, H hidden.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core import Action, Array, Obs, Spec
from ..nets.actor import Actor
from ..nets.layers import Memory
from . import checkpoint, runfolder, typed
from .identity import refuse_other
from .own_spaces import OwnSpaces


class Player:
    """An actor with a memory of its own: acts in B worlds without disturbing whoever trains it."""

    def __init__(self, actor: Actor, *, generator: torch.Generator | None = None) -> None:
        """Starts with nothing remembered.

        Args:
            actor: The networks; they are shared, not copied.
            generator: Source of sampled actions; None acts greedily.
        """
        self._actor = actor
        self._generator = generator
        self._hidden: torch.Tensor | None = None  # (B, N, H)

    @torch.inference_mode()
    def __call__(self, obs: Obs) -> Action:
        """Actions of all worlds: (B, N) int64 or (B, N, A) float32."""
        if self._hidden is None or len(self._hidden) != len(obs.alive):
            self._hidden = self._actor.first_hidden(len(obs.alive))
        device = self._hidden.device

        def tensor(array: Array) -> torch.Tensor:
            return torch.as_tensor(array, device=device)

        alive = tensor(obs.alive)
        action, self._hidden = choose(
            self._actor,
            tensor(obs.obs),
            Memory(self._hidden, tensor(obs.started)[None], alive[None]),
            None if obs.action_mask is None else tensor(obs.action_mask) | ~alive[..., None],
            self._generator,
        )
        return action


def choose(
    actor: Actor, obs: torch.Tensor, memory: Memory, action_mask: torch.Tensor | None, generator: torch.Generator | None
) -> tuple[Action, torch.Tensor]:
    """One step of an actor: obs (B, N, O) -> actions, (B, N) or (B, N, A), and the memory after it (B, N, H)."""
    hidden = memory.hidden
    if actor.hidden_size:
        heads, states = actor(obs[None], memory)  # (1, B, N, A), (1, B, N, H)
        assert states is not None
        head, hidden = heads[0], states[0]
    else:
        head, _ = actor(obs)
    sampled, _ = actor.sample(head, action_mask, generator)
    return actor.to_space(sampled).cpu().numpy(), hidden


class Policy:
    """A trained policy that acts on PettingZoo's dictionaries, remembering each agent's past where it is recurrent."""

    def __init__(self, actor: Actor, spec: Spec, agents: tuple[str, ...], own: OwnSpaces | None = None) -> None:
        """Starts a first episode.

        Args:
            actor: The networks, with their trained parameters.
            spec: What they were built for.
            agents: Names by index.
            own: What agents see and do in spaces of their own; None: what `spec` says.
        """
        self.agents = agents
        self.spec = spec
        self._own = own
        self._actor = actor
        self._index = {agent: index for index, agent in enumerate(agents)}
        self._generator = torch.Generator(next(actor.parameters()).device)
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Forgets the episode. With a seed, sampled actions begin anew as well; without one they go on."""
        self._hidden = self._actor.first_hidden(1)  # (1, N, H)
        if self._own is not None:
            self._own.reset()
        if seed is not None:
            self._generator.manual_seed(seed)

    def act(
        self,
        observations: Mapping[Any, Any],
        infos: Mapping[Any, Mapping[str, Any]] | None = None,
        *,
        greedy: bool = True,
    ) -> dict[Any, Any]:
        """Actions of all agents at once, once a step.

        Args:
            observations: By agent, whose name need not be text. Of an environment of Coterie (O,), or as it was before
                it was flattened, (C, H, W) for an image; of any other what it shows: a `Dict`, pictures of its own
                size, and so on. Agents that are not there are taken for dead.
            infos: By agent; `action_mask`, with 1 where allowed and an entry for each of the agent's own choices, is
                heeded where there is one. One inside an observation is heeded, too.
            greedy: The most likely action; otherwise one drawn from the policy.

        Returns:
            By agent, an action of its own space: an int for `Discrete`, an array otherwise.

        Raises:
            ValueError: An agent is unknown, or an observation or mask does not fit its spaces.
        """
        told = infos or {}
        masks = {agent: told[agent]["action_mask"] for agent in observations if "action_mask" in told.get(agent, ())}
        return self._act(observations, masks, greedy)

    def act_one(self, agent: Any, obs: Any, action_mask: Any = None, *, greedy: bool = True) -> Any:
        """The action of one agent from what it alone sees; the memories of the others stay as they are.

        Args:
            agent: Its name.
            obs: See `act`.
            action_mask: An entry for each of its choices, 1 where allowed; or None.
            greedy: See `act`.

        Returns:
            An action of its own space: an int for `Discrete`, an array otherwise.

        Raises:
            ValueError: See `act`.
        """
        return self._act({agent: obs}, {} if action_mask is None else {agent: action_mask}, greedy)[agent]

    def player(self, *, generator: torch.Generator | None = None, agents: Sequence[str] | None = None) -> Player:
        """The same policy for batches of worlds, with a memory of its own.

        Args:
            generator: See `Player`.
            agents: (N,) the worlds' agents by row, to be sure that they are the policy's; None: not looked at.

        Raises:
            ValueError: They are others, or in another order.
        """
        if agents is not None and tuple(agents) != self.agents:
            raise ValueError(
                f"the worlds' agents are {', '.join(agents)}; the policy's rows are {', '.join(self.agents)}: give the "
                "worlds in that order"
            )
        return Player(self._actor, generator=generator)

    @torch.inference_mode()
    def _act(self, observations: Mapping[Any, Any], masks: Mapping[Any, Any], greedy: bool) -> dict[Any, Any]:
        n_agents = len(self.agents)
        obs = np.zeros((1, n_agents, self.spec.obs_dim), dtype=np.float32)
        alive = np.zeros((1, n_agents), dtype=bool)
        for agent, seen in observations.items():
            index = self._index_of(agent)
            row = self._row(index, seen)
            obs[0, index, : row.size] = row
            alive[0, index] = True
        mask = self._masks(observations, masks)

        device = self._hidden.device
        memory = Memory(
            self._hidden,
            torch.zeros(1, 1, dtype=torch.bool, device=device),
            torch.from_numpy(alive)[None].to(device),
        )
        generator = None if greedy else self._generator
        action, hidden = choose(self._actor, torch.from_numpy(obs).to(device), memory, mask, generator)
        here = torch.from_numpy(alive)[..., None].to(device)  # (1, N, 1)
        self._hidden = torch.where(here, hidden, self._hidden)
        plain = action[0].tolist() if action.ndim == 2 else action[0]
        found = {agent: (index, plain[index]) for agent in observations for index in [self._index_of(agent)]}
        own = self._own
        return {agent: chosen if own is None else own.action(index, chosen) for agent, (index, chosen) in found.items()}

    def _row(self, index: int, seen: Any) -> Array:
        """What an agent sees, as the first numbers of its row."""
        agent, length = self.agents[index], self.spec.obs_dim
        if self._own is not None:
            row = self._own.row(index, seen)
            if row.size > length:
                raise ValueError(f"observation of {agent} has {row.size} numbers; the policy was trained on {length}")
            return row
        seen = np.asarray(seen, dtype=np.float32)
        shape = self.spec.obs_shape
        if seen.size != length or (seen.ndim == len(shape) and seen.shape != shape):  # (H, W, C), say
            raise ValueError(f"observation of {agent} has shape {seen.shape}; the policy was trained on {shape}")
        return seen.reshape(-1)

    def _masks(self, observations: Mapping[Any, Any], masks: Mapping[Any, Any]) -> torch.Tensor | None:
        """(1, N, A) bool, all that an agent has allowed where nothing was said; None where all is allowed to all."""
        n_actions = int(getattr(self.spec.action_space, "n", 0))
        if not n_actions or (self._own is None and not masks):
            return None
        mask = np.ones((1, len(self.agents), n_actions), dtype=bool)
        for agent, seen in observations.items():
            index, told = self._index_of(agent), masks.get(agent)
            if self._own is not None:
                mask[0, index] = self._own.mask(index, seen, told)
            elif told is not None:
                allowed = np.asarray(told, dtype=bool)
                if allowed.shape != (n_actions,):
                    raise ValueError(f"action mask of {agent} has shape {allowed.shape}; ({n_actions},) is expected")
                mask[0, index] = allowed
        return torch.from_numpy(mask).to(self._hidden.device)

    def _index_of(self, agent: Any) -> int:
        index = self._index.get(str(agent))  # some environments count their agents
        if index is None:
            raise ValueError(f"unknown agent {agent!r}; the policy was trained for {', '.join(self.agents)}")
        return index


def load_policy(
    run_folder: str | PathLike[str],
    *,
    which: str = "latest",
    device: str = "cpu",
    warn: Callable[[str], None] = warnings.warn,
) -> Policy:
    """The policy of a run.

    Args:
        run_folder: Such as runs/NAME.
        which: "latest", or "best" by the evaluations during training.
        device: Where to compute.
        warn: Told in one line when a newer checkpoint is damaged and an older one is taken, and of each key in
            config.json that is not known.

    Raises:
        ValueError: The folder is not a run, or its config.json is damaged, or no checkpoint in it can be read, or that
            belongs to another run; the message is one line.
    """
    from .. import ALGOS  # here: the table's module imports this one

    folder = Path(run_folder)
    record = runfolder.read_config(folder, unknown=warn)
    checkpoints = folder / runfolder.CHECKPOINTS
    if which == "latest":
        path, content = checkpoint.load_latest(checkpoints, warn=warn)
    elif which == "best":
        path = checkpoints / "best.pt"
        if not path.exists() and not path.is_symlink():
            raise ValueError(f"{folder} has no best checkpoint; train with evaluations (--eval-every) to get one")
        content = checkpoint.load(path)
    else:
        raise ValueError(f"which is {which!r}; allowed: 'latest', 'best'")
    name = record.algo.name
    if name not in ALGOS:
        raise ValueError(f"{folder} was trained by {name!r}, which is not known here; known: {', '.join(ALGOS)}")
    refuse_other(path, content, record)
    spec, agents, own = record.spec, record.agents, record.own_spaces
    entry = ALGOS[name]
    where = folder / runfolder.CONFIG
    try:
        options = entry.config(**typed.fields(entry.config, record.algo.options, "algo.options"))
        own_spaces = None if own is None else OwnSpaces(own, agents, spec)
    except ValueError as error:
        raise ValueError(f"{where} is damaged: {error}") from error
    try:
        actor = entry.algorithm(spec, options, seed=0, device=device).policy
        actor.load_state_dict(content["algo"]["policy"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError) as error:
        raise ValueError(f"{path} does not fit {where}: {' '.join(str(error).split())}") from error
    return Policy(actor, spec, agents, own_spaces)
