"""One agent that acts by itself: it sees its own observation, hears what is brought to it, and says what to send.

    agent = policy.alone("car_0")
    packet = agent.see(observation)                      # what it says in the first round; None: nothing
    packet = agent.hear({"car_1": Message(theirs, 0)})   # once for each round; what it says in the next one, or None
    action = agent.act()

It acts as the agent does in the batch, to rounding. `comm.air.Air` is the medium that carries the packets.

Axes: N agents, O observation, R rounds, P numbers of a packet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..comm.air import Message
from ..comm.hearing import Links
from ..comm.quantise import on_levels
from ..core import Obs
from ..maths.arrays import tensor_of
from ..nets.actor import Actor
from ..nets.recurrent import Recurrence

Packet = NDArray[np.float32]
Read = Callable[[Any, Any], Obs]
"""Turns an observation and a mask into a batch of one world, in which the agent's row is filled."""


class Heard(NamedTuple):
    """A message in an agent's inbox."""

    message: Message
    left: int
    """Steps for which it stays heard after this one, unless a newer one comes."""


class Alone:
    """An agent with a memory of its own.

    Attributes:
        scores: (A,) logits or means from which it chose its last action.
    """

    scores: NDArray[np.float32]

    def __init__(
        self,
        actor: Actor,
        index: int,
        agents: tuple[str, ...],
        read: Read,
        act: Callable[[Any], Any],
        generator: torch.Generator | None = None,
    ) -> None:
        """Begins an episode.

        Args:
            actor: The policy; it is shared, not copied.
            index: The agent's row.
            agents: (N,) names by row.
            read: See `Read`.
            act: Turns an action of the batch into one of the agent's own space.
            generator: Source of sampled actions; None: one of its own.
        """
        self._actor, self._index, self._read, self._act = actor, index, read, act
        self._rows = {name: row for row, name in enumerate(agents)}
        self._generator = torch.Generator(actor.device) if generator is None else generator
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Forgets the episode. With a seed, sampled actions begin anew as well."""
        self._memory = self._actor.first_memory(1)
        talks = self._actor.conversation
        self._inbox: list[dict[str, Heard]] = [{} for _ in range(0 if talks is None else len(talks.talk.rounds))]
        self._round = 0
        self._x: Tensor | None = None
        if seed is not None:
            self._generator.manual_seed(seed)

    @torch.inference_mode()
    def see(self, obs: Any, action_mask: Any = None) -> Packet | None:
        """Begins a step.

        Args:
            obs: The agent's observation, see `Policy.act`.
            action_mask: An entry for each of its choices, 1 where allowed; or None.

        Returns:
            (P,) what it says in the first round; None if it keeps silent.

        Raises:
            ValueError: The observation or mask does not fit.
        """
        batch, actor = self._read(obs, action_mask), self._actor
        x, alive = tensor_of(batch.obs, actor.device), tensor_of(batch.alive, actor.device)
        self._mask = None
        if batch.action_mask is not None:
            self._mask = tensor_of(batch.action_mask, actor.device) | ~alive.unsqueeze(-1)
        recurrence = None
        if actor.hidden_size:
            going_on = torch.zeros(1, 1, dtype=torch.bool, device=actor.device)
            x, recurrence = x[None], Recurrence(self._memory["hidden"], going_on, alive[None])
        seen, features, states = actor.features(x, recurrence)
        if states is not None:
            self._memory["hidden"] = states[0]
        self._x, self._round = features.view(1, len(self._rows), -1), 0
        talks = actor.conversation
        if talks is None:
            return None
        self._pose = talks.pose(seen.view(1, len(self._rows), -1))
        speaks = talks.talk.speaks(self._x)
        self._open = speaks is None or bool(speaks[0, self._index] > 0.5)
        if talks.medium.config.change:
            with talks.medium.as_configured():
                self._open = bool(talks.medium.speaks(self._memory, self._packets(), alive)[0, self._index])
        return self._packet()

    @torch.inference_mode()
    def hear(self, messages: Mapping[str, Message]) -> Packet | None:
        """Takes the messages of a round; to be called once for each round, also if nothing arrives.

        Args:
            messages: What arrives in this step, by sender.

        Returns:
            (P,) what it says in the next round; None after the last, or if it keeps silent.

        Raises:
            ValueError: It has seen nothing in this step, all rounds are over, or a sender or a message is none that the
                medium could bring.
        """
        talks = self._actor.conversation
        if talks is None or self._x is None or self._round >= len(self._inbox):
            raise ValueError("hear() comes after see(), once for each round of a policy that talks")
        for name, message in messages.items():
            self._check(name, message)
        inbox, memory = self._inbox[self._round], talks.medium.config.memory
        for name, message in messages.items():
            if name not in inbox or message.age <= inbox[name].message.age:
                inbox[name] = Heard(message, memory)
        heard = sorted(inbox.items(), key=lambda item: self._rows[item[0]])
        width = talks.talk.packet
        sent = torch.from_numpy(np.array([one.message.packet for _, one in heard], np.float32).reshape(-1, width))
        which = torch.tensor([self._rows[name] for name, _ in heard], dtype=torch.int64)
        age = torch.tensor([float(one.message.age) for _, one in heard])
        me = torch.full_like(which, self._index)
        links = Links(*(part.to(self._actor.device) for part in (me, which, which, age)))
        self._x = talks.talk.take(self._x, self._pose, sent.to(self._actor.device), links, self._round)
        self._round += 1
        return self._packet() if self._round < len(self._inbox) else None

    @torch.inference_mode()
    def act(self, *, greedy: bool = True) -> Any:
        """Ends the step.

        Args:
            greedy: Take the most likely action; otherwise sample from the policy.

        Returns:
            An action of the agent's own space.

        Raises:
            ValueError: It has not seen or not heard all of this step.
        """
        if self._x is None or self._round < len(self._inbox):
            raise ValueError("act() comes after see(), and after hear() of every round")
        head = self._actor.trunk.head(self._x)  # (1, N, A)
        self.scores = head[0, self._index].cpu().numpy()
        action, _ = self._actor.sample(head, self._mask, None if greedy else self._generator)
        chosen = self._actor.to_space(action).cpu().numpy()[0]
        self._x = None
        self._grow_old()
        return self._act(chosen.tolist()[self._index] if chosen.ndim == 1 else chosen[self._index])

    def _packet(self) -> Packet | None:
        """Returns what the agent says in the present round."""
        return self._packets()[0, self._index].cpu().numpy() if self._open else None

    def _packets(self) -> Tensor:
        """Returns what all would say in the present round, (1, N, P), of which only the agent's own row means much."""
        talks = self._actor.conversation
        assert talks is not None
        assert self._x is not None
        with talks.medium.as_configured():
            _, message = talks.talk.say(self._x, self._round, talks.medium.levels())
        return torch.cat([message, self._pose], -1)

    def _check(self, name: str, message: Message) -> None:
        """Refuses what no medium brings to the agent.

        Raises:
            ValueError: Says what came and what is allowed.
        """
        talks = self._actor.conversation
        assert talks is not None
        config, width = talks.medium.config, talks.talk.packet
        if name not in self._rows:
            raise ValueError(f"unknown agent {name!r}; the policy was trained for {', '.join(self._rows)}")
        if self._rows[name] == self._index:
            raise ValueError(f"message of {name} to itself; agents hear the others only")
        if not isinstance(message, Message):
            raise ValueError(f"message of {name} is a {type(message).__name__}; give a Message(packet, age)")
        if np.shape(message.packet) != (width,):
            raise ValueError(f"packet of {name} has shape {np.shape(message.packet)}; ({width},) is sent")
        if not np.isfinite(message.packet).all():
            raise ValueError(f"packet of {name} holds numbers that are not finite")
        age, most = message.age, config.history
        if isinstance(age, bool) or not isinstance(age, (int, np.integer)) or not 0 <= age <= most:
            raise ValueError(f"message of {name} has age {age!r}; allowed are whole steps from 0 to {most}")
        if config.bits and not on_levels(np.asarray(message.packet)[: talks.talk.entries], 2**config.bits):
            raise ValueError(
                f"packet of {name} holds numbers between the {2**config.bits} levels of {config.bits} bits from -1 to 1"
            )

    def _grow_old(self) -> None:
        """Lets a step pass: what was heard is a step older, and forgotten once it has stayed for long enough."""
        talks = self._actor.conversation
        history = 0 if talks is None else talks.medium.config.history
        self._inbox = [
            {
                name: Heard(one.message._replace(age=one.message.age + 1), one.left - 1)
                for name, one in inbox.items()
                if one.left > 0 and one.message.age < history
            }
            for inbox in self._inbox
        ]
