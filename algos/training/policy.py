"""A trained policy without its training: on batches of worlds, and on PettingZoo's dictionaries.

    policy = algos.load_policy("runs/NAME")
    observations, infos = env.reset(seed=1)
    policy.reset(seed=1)
    while env.agents:
        observations, rewards, terminations, truncations, infos = env.step(policy.act(observations, infos))

A run folder's config.json and its latest checkpoint are all it needs; no environment is imported. In somebody else's
environment it takes observations as that environment gives them, and acts in each agent's own space (`own_spaces`).

Axes: B worlds, N agents, O observation, S global state, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..comm.air import Air, Message
from ..core import Acting, Array, Obs, Player, Spec
from ..nets.actor import Actor
from .alone import Alone, Packet
from .own_spaces import OwnSpaces

Exchange = Callable[[Packet | None], Mapping[str, Message]]
"""Sends what an agent says in a round, (P,) or None for silence, and returns what it hears in that round, by sender."""


class Policy:
    """A trained policy that acts on PettingZoo's dictionaries and keeps each agent's memory.

    Attributes:
        agents: (N,) names of the agents, by row.
        spec: Shapes that the policy was built for.
    """

    def __init__(self, acting: Acting, spec: Spec, agents: tuple[str, ...], own: OwnSpaces | None = None) -> None:
        """Starts a first episode.

        Args:
            acting: The networks, with their trained parameters.
            spec: Shapes that they were built for.
            agents: Names by index.
            own: Agents' own observation and action spaces; None: those of `spec`.
        """
        self.agents = agents
        self.spec = spec
        self._own = own
        self._acting = acting
        talks = acting.conversation if isinstance(acting, Actor) else None
        self._rounds = 0 if talks is None else len(talks.talk.rounds)
        self._of_medium = frozenset(() if talks is None else talks.medium.first_memory(1))
        self._index = {agent: index for index, agent in enumerate(agents)}
        self._generator = torch.Generator(acting.device)
        self._memory = acting.first_memory(1, 0)
        self.reset()

    @property
    def acting(self) -> Acting:
        """The networks, with their trained parameters."""
        return self._acting

    def reset(self, seed: int | None = None) -> None:
        """Forgets the episode.

        Args:
            seed: With one, sampled actions begin anew, and so does the chance of the medium between agents that talk;
                without one both go on where they were.
        """
        counter = None if seed is not None else self._memory.get("counter")
        self._memory = self._acting.first_memory(1, seed)
        if counter is not None:
            self._memory["counter"] = counter
        self._starts = True
        self._alone: dict[str, Alone] = {}  # agents of `act_one` that talk
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
        """Returns the actions of all agents; to be called once per step.

        Args:
            observations: By agent, whose name need not be text. In an environment of Coterie (O,), or as before
                flattening, (C, H, W) for an image; in any other as that environment gives them: dictionaries, pictures
                of its own size, and so on. Agents that are missing are taken as dead.
            infos: By agent. An `action_mask` in them is obeyed: 1 where allowed, an entry for each of the agent's own
                choices. A mask inside an observation is obeyed, too. Where agents talk, `neighbors` in them are the
                agents that an agent can hear; without them it can hear all that are there.
            greedy: Take the most likely actions; otherwise sample from the policy.

        Returns:
            By agent, an action of its own space: an int for `Discrete`, an array otherwise.

        Raises:
            ValueError: An agent is unknown, or an observation or mask does not fit its spaces.
        """
        infos = infos or {}
        masks = {agent: infos[agent]["action_mask"] for agent in observations if "action_mask" in infos.get(agent, ())}
        neighbors = {agent: infos[agent]["neighbors"] for agent in observations if "neighbors" in infos.get(agent, ())}
        return self._act(observations, masks, greedy, neighbors)

    def act_one(
        self, agent: Any, obs: Any, action_mask: Any = None, *, exchange: Exchange | None = None, greedy: bool = True
    ) -> Any:
        """Returns the action of one agent from what it sees and hears; the memories of the others stay as they are.

        Args:
            agent: Name of the agent.
            obs: Its observation, see `act`.
            action_mask: An entry for each of its choices, 1 where allowed; or None.
            exchange: Carries its messages, where the policy talks: called once for each round, see `Exchange`.
            greedy: See `act`.

        Returns:
            An action of its own space: an int for `Discrete`, an array otherwise.

        Raises:
            ValueError: See `act`; or the policy talks and nothing carries its messages.
        """
        if not self._rounds:
            return self._act({agent: obs}, {} if action_mask is None else {agent: action_mask}, greedy, {})[agent]
        if exchange is None:
            raise ValueError(
                "this policy talks: give exchange=, a function that sends what the agent says and returns what it hears"
            )
        if str(agent) not in self._alone:
            self._alone[str(agent)] = self.alone(agent, generator=self._generator)
        alone = self._alone[str(agent)]
        packet = alone.see(obs, action_mask)
        for _ in range(self._rounds):
            packet = alone.hear(exchange(packet))
        return alone.act(greedy=greedy)

    def alone(self, agent: Any, *, generator: torch.Generator | None = None) -> Alone:
        """Returns an agent that acts by itself, with a memory of its own, and talks through what carries its packets.

        Args:
            agent: Name of the agent.
            generator: Source of sampled actions; None: one of its own.

        Raises:
            ValueError: The agent is unknown, or the policy is none of Coterie's networks.
        """
        index = self._index_of(agent)
        if not isinstance(self._acting, Actor):
            raise ValueError(f"agents of {type(self._acting).__name__} cannot act alone; those of Actor can")

        def read(obs: Any, action_mask: Any) -> Obs:
            return self._batch({agent: obs}, {} if action_mask is None else {agent: action_mask}, {})

        def act(chosen: Any) -> Any:
            return chosen if self._own is None else self._own.action(index, chosen)

        return Alone(self._acting, index, self.agents, read, act, generator)

    def air(self) -> Air:
        """Returns the medium that carries the packets of agents that act alone.

        Raises:
            ValueError: The policy does not talk.
        """
        if not isinstance(self._acting, Actor) or self._acting.conversation is None:
            raise ValueError("this policy does not talk: it was trained with comm 'none'")
        talks = self._acting.conversation
        return Air(talks.medium, self.agents, talks.graph)

    def position(self, agent: Any, obs: Any) -> Array:
        """Returns where an agent is, (2,) x and y in the environment's unit of length, for `Air.step`.

        Args:
            agent: Name of the agent.
            obs: Its observation, see `act`.

        Raises:
            ValueError: The agent is unknown, its observation does not fit, or observations hold no position.
        """
        if not self.spec.pose:
            raise ValueError("observations of this environment do not say where their agent is")
        row = self._row(self._index_of(agent), obs)
        return row[list(self.spec.pose)] * np.float32(self.spec.pose_scale)

    def player(self, *, generator: torch.Generator | None = None, agents: Sequence[str] | None = None) -> Player:
        """Returns the same policy for batches of worlds, with a memory of its own.

        Args:
            generator: Source of sampled actions; None acts greedily.
            agents: (N,) the worlds' agents by row, to check that they are the policy's; None: no check.

        Raises:
            ValueError: The worlds have other agents, or have them in another order.
        """
        if agents is not None and tuple(agents) != self.agents:
            raise ValueError(
                f"the worlds' agents are {', '.join(agents)}; the policy's rows are {', '.join(self.agents)}: give the "
                "worlds in that order"
            )
        player = Player(self._acting, generator=generator)
        player.reset(0)  # not through the medium's chance in training
        return player

    def _act(
        self,
        observations: Mapping[Any, Any],
        masks: Mapping[Any, Any],
        greedy: bool,
        neighbors: Mapping[Any, Collection[Any]],
    ) -> dict[Any, Any]:
        batch = self._batch(observations, masks, neighbors)
        batch = batch._replace(started=np.array([self._starts]))
        self._starts = False
        action, memory = self._acting.act(batch, self._memory, None if greedy else self._generator)
        present = torch.from_numpy(batch.alive).to(self._acting.device)  # (1, N)
        self._memory = {  # agents that were not asked keep their memory; the medium goes on without them
            name: torch.where(present.view(1, -1, *(1,) * (new.dim() - 2)), new, self._memory[name])
            if name not in self._of_medium
            else new
            for name, new in memory.items()
        }
        plain = action[0].tolist() if action.ndim == 2 else action[0]
        found = {agent: (index, plain[index]) for agent in observations for index in [self._index_of(agent)]}
        own = self._own
        return {agent: chosen if own is None else own.action(index, chosen) for agent, (index, chosen) in found.items()}

    def _batch(
        self, observations: Mapping[Any, Any], masks: Mapping[Any, Any], neighbors: Mapping[Any, Collection[Any]]
    ) -> Obs:
        """Returns a batch of one world in which the agents that observe something are alive."""
        n_agents = len(self.agents)
        rows = np.zeros((1, n_agents, self.spec.obs_dim), dtype=np.float32)
        alive = np.zeros((1, n_agents), dtype=bool)
        for agent, seen in observations.items():
            index = self._index_of(agent)
            row = self._row(index, seen)
            rows[0, index, : row.size] = row
            alive[0, index] = True
        adjacency = alive[:, :, None] & alive[:, None, :] & ~np.eye(n_agents, dtype=bool)
        for agent, others in neighbors.items():
            adjacency[0, self._index_of(agent)] &= np.isin(self.agents, [str(other) for other in others])
        return Obs(  # of one world
            obs=rows,
            state=np.zeros((1, 0), dtype=np.float32),  # no policy reads it
            adjacency=adjacency,
            alive=alive,
            action_mask=self._masks(observations, masks),
            started=np.zeros(1, dtype=bool),
        )

    def _row(self, index: int, seen: Any) -> Array:
        """Returns an agent's observation as the first numbers of its row."""
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

    def _masks(self, observations: Mapping[Any, Any], masks: Mapping[Any, Any]) -> Array | None:
        """Returns (1, N, A) bool, with all of an agent's choices where it has no mask; None if no agent has one."""
        n_actions = int(getattr(self.spec.action_space, "n", 0))
        if not n_actions or (self._own is None and not masks):
            return None
        mask = np.ones((1, len(self.agents), n_actions), dtype=bool)
        for agent, seen in observations.items():
            index, given = self._index_of(agent), masks.get(agent)
            if self._own is not None:
                mask[0, index] = self._own.mask(index, seen, given)
            elif given is not None:
                allowed = np.asarray(given, dtype=bool)
                if allowed.shape != (n_actions,):
                    raise ValueError(f"action mask of {agent} has shape {allowed.shape}; ({n_actions},) is expected")
                mask[0, index] = allowed
        return mask

    def _index_of(self, agent: Any) -> int:
        index = self._index.get(str(agent))  # some environments count their agents
        if index is None:
            raise ValueError(f"unknown agent {agent!r}; the policy was trained for {', '.join(self.agents)}")
        return index
