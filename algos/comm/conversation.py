"""Communication as a policy has it: agents that talk in rounds, through a medium, with those that they can reach.

Axes: T time, B worlds, N agents, O observation, D features, K steps of history, R rounds, P numbers of a packet; `...`
any leading axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..core import Memory, Spec
from .config import CommConfig, graph_of
from .hearing import Hearing
from .medium import Medium
from .methods import Linear
from .reach import measures, within_reach
from .talk import Talk, Talked


class Scene(NamedTuple):
    """The facts that decide which agents could hear each other now."""

    adjacency: Tensor  # (B, N, N) bool, the environment's
    alive: Tensor  # (B, N) bool
    started: Tensor  # (B,) bool
    obs: Tensor  # (B, N, O) as the environment gives them, not normalised


class Conversation(nn.Module):
    """The part of a policy in which agents talk, between its layers and its head."""

    def __init__(
        self,
        spec: Spec,
        config: CommConfig,
        features: int,
        *,
        activation: Callable[[Tensor], Tensor],
        linear: Linear,
        generator: torch.Generator,
        raw: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Builds it.

        Args:
            spec: Shapes, and where observations hold positions.
            config: How agents talk.
            features: D.
            activation: Activation function.
            linear: Makes layers.
            generator: Source of initial weights, and of the seed of the medium's chance.
            raw: Turns observations as networks read them, (..., N, O), back into those that the environment gives;
                None: they are the same. Agents that do not share parameters normalise them each in a way of its own.

        Raises:
            ValueError: The options do not fit each other, or need positions that observations do not hold.
        """
        super().__init__()
        channel = config.channel
        self.graph, self.scale, self._where = graph_of(config.comm_graph), spec.pose_scale, list(spec.pose)
        self._pose = list(spec.pose) if config.comm_pose else []
        self._measures = measures(self.graph, channel.range)
        self._raw = raw if self._pose else None
        if self._measures and not spec.pose:
            what, mend = f"channel.range {channel.range:g}", "leave it at 0"
            if not channel.range:
                what, mend = f"comm_graph {config.comm_graph!r}", "use 'env' or 'full'"
            raise ValueError(
                f"{what} needs to know where agents are, and observations of this environment do not say: {mend}"
            )
        self.talk = Talk(
            config,
            features,
            pose=len(self._pose),
            activation=activation,
            linear=linear,
            generator=generator,
        )
        seed = int(torch.randint(2**62, (), generator=generator))
        self.medium = Medium(channel, spec.n_agents, rounds=config.comm_rounds, packet=self.talk.packet, seed=seed)

    @property
    def remembers(self) -> bool:
        """Whether messages of earlier steps are heard, so that steps must be in sequence."""
        return self.medium.config.remembers

    def pose(self, obs: Tensor) -> Tensor:
        """Returns the positions that messages carry, (..., N, 2) or (..., N, 0), in the environment's numbers.

        Args:
            obs: (..., N, O) as networks read them.
        """
        if self._raw is not None:
            obs = self._raw(obs)
        return obs[..., self._pose] if self._pose else obs[..., :0]

    def position(self, obs: Tensor) -> Tensor:
        """Returns positions in the environment's unit of length, (..., 2), as distances are measured.

        Args:
            obs: (..., O) as the environment gives them, not normalised.
        """
        return obs[..., self._where] * self.scale

    def forward(self, x: Tensor, obs: Tensor, hearing: Hearing, *, keep_weights: bool = False) -> Talked:
        """Lets agents talk; see `Talk`.

        Args:
            x: (..., N, D) features.
            obs: (..., N, O) as networks read them.
            hearing: Who hears whom.
            keep_weights: Return how much each message counted.
        """
        return self.talk(x, self.pose(obs), hearing, levels=self.medium.levels(), keep_weights=keep_weights)

    def listen(self, x: Tensor | None, obs: Tensor | None, scene: Scene, memory: Memory) -> tuple[Hearing, Memory]:
        """Carries the messages of one step; see `Medium.listen`.

        Args:
            x: (B, N, D) features; they decide who speaks where messages of earlier steps stand in for new ones.
            obs: (B, N, O) as networks read them; as `x`.
            scene: What decides who could hear whom.
            memory: After the step before.
        """
        where = self.position(scene.obs) if self._measures else None
        reach = within_reach(self.graph, scene.adjacency, scene.alive, where, self.medium.farthest())
        packet = None
        if self.medium.config.change:
            assert x is not None
            assert obs is not None
            message = self.talk.say(x, 0, self.medium.levels())[1]
            packet = torch.cat([message, self.pose(obs)], -1)
        return self.medium.listen(memory, reach, scene.alive, scene.started, packet)

    def remember(self, memory: Memory, talked: Talked) -> Memory:
        """Adds what was said in a step, packets (1, B, N, P) or (B, N, P), to the memory from `listen`."""
        shape = memory["sent"].shape  # (B, N)
        packets = torch.stack([packet.view(*shape, -1) for packet in talked.packets], -2)  # (B, N, R, P)
        speaks = None if talked.speaks is None else talked.speaks.view(shape) > 0.5
        return self.medium.remember(memory, packets, speaks)
