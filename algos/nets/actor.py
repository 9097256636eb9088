"""The policies of all agents, with all that execution needs: no critic, no optimiser.

Axes: P parameter sets, N agents, T time, B worlds, O observation, A actions, F features, H hidden; `...` any leading
axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from ..comm.conversation import Conversation, Scene
from ..comm.hearing import Hearing
from ..comm.talk import Talked
from ..core import Action, Memory, Obs, Spec
from ..maths.arrays import tensor_of
from ..maths.live import back_to_agents, between_agents, live_first, of_agents
from .config import NetConfig
from .layers import ACTIVATIONS, Dense
from .lesson import divergence_of_discrete, divergence_of_gaussians
from .obs_norm import RunningNorm
from .recurrent import Recurrence
from .sharing import parameter_sets
from .trunk import Trunk
from .vision import encoder_for

SMALLEST = 2.0**-25
"""Replaces a uniform number of exactly 0, which `torch.rand` gives once in 2^24 draws: half its smallest step."""


class Out(NamedTuple):
    """The outputs of a policy for what agents see."""

    head: Tensor  # (..., N, A) logits or means
    states: Tensor | None  # (T, B, N, H) hidden states; None if it is not recurrent
    talked: Talked | None  # what was said; None where agents do not talk


class Actor(nn.Module):
    """Observations to distributions over actions: categorical for `Discrete`, diagonal Gaussian for `Box`.

    A Gaussian is expressed in units in which the Box is [-1, 1]; its deviation is a free parameter, not a function of
    the observation. Its actions are clipped at the border on their way to the environment, and their log-probability is
    that of the action before clipping: seen from the policy, clipping is part of the environment, so the gradient
    stays exact, and the entropy has a closed form, which a squashed Gaussian's has not.

    With `bounded` the means pass through tanh and the deviation is a constant, not learned: a deterministic policy and
    the noise it explores with. Its gradient comes through the action itself, which must not leave the Box.

    Images (`Spec.obs_shape`) pass through convolutions first, see `vision`.

    Where agents talk (`comm`), they do so between the last layer, or the GRU, and the head.

    It fulfils `core.Acting`: training, evaluation and saved policies all act by `choose`, which is `heads` and
    `sample`. Its memory is `hidden`, (B, N, H), if it is recurrent, and that of the medium if agents talk
    (`Medium.first_memory`); `age` in it, (B, N, N), says what was heard.
    """

    low: Tensor
    high: Tensor
    sets: Tensor
    log_std: Tensor

    def __init__(
        self,
        spec: Spec,
        net: NetConfig,
        *,
        init_std: float = 0.6,
        bounded: bool = False,
        obs_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        """Builds it.

        Args:
            spec: Shapes and the action space.
            net: Options of the network.
            init_std: Initial standard deviation of a Gaussian policy, in units of half the Box.
            bounded: Keep the means of a Gaussian policy inside the Box, and its deviation constant.
            obs_norm: Normalise observations by their running statistics (`RunningNorm`); images never are.
            generator: Source of the initial weights; None when they are about to be loaded.

        Raises:
            ValueError: The action space is a Box that is not one-dimensional and bounded, or a Discrete that does not
                start at 0.
        """
        super().__init__()
        space = spec.action_space
        self.discrete = not isinstance(space, Box)
        self.hidden_size = net.gru
        self.bounded = bounded and not self.discrete
        self.n_agents = spec.n_agents
        sets = parameter_sets(spec, net.share)
        self.n_sets = max(sets) + 1
        generator = generator or torch.Generator().manual_seed(0)
        if isinstance(space, Box):
            if len(space.shape) != 1 or not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
                raise ValueError(
                    f"action space is {space}; a Box must be one-dimensional with finite bounds: "
                    "flatten and rescale it (gymnasium.wrappers.RescaleAction)"
                )
            low, high = torch.from_numpy(space.low).float(), torch.from_numpy(space.high).float()  # (A,)
            self.register_buffer("low", low, persistent=False)
            self.register_buffer("high", high, persistent=False)
            log_std = torch.full((max(sets) + 1, spec.action_dim), math.log(init_std), dtype=torch.float32)  # (P, A)
            if bounded:
                self.register_buffer("log_std", log_std)
            else:
                self.log_std = nn.Parameter(log_std)
            self.register_buffer("sets", torch.tensor(sets), persistent=False)  # (N,)
        elif space.start != 0:
            raise ValueError(f"action space is {space}; Discrete must start at 0: shift it in the environment")
        self.encoder, features = encoder_for(spec, sets, net, generator)
        self.obs_norm = RunningNorm(features, sets) if obs_norm and self.encoder is None else None
        self.trunk = Trunk([features], spec.action_dim, sets, net, generator=generator)
        self.conversation: Conversation | None = None
        if net.comm != "none":

            def linear(inputs: Sequence[int], outputs: int, gain: float) -> Dense:
                return Dense(inputs, outputs, sets, gain=gain, generator=generator)

            activation, size = ACTIVATIONS[net.activation], self.trunk.features
            self.conversation = Conversation(
                spec,
                net,
                size,
                activation=activation,
                linear=linear,
                generator=generator,
                raw=None if self.obs_norm is None else self.obs_norm.raw,
            )

    @property
    def device(self) -> torch.device:
        """The device that it computes on."""
        return self.trunk.head.bias.device

    def first_memory(self, n_worlds: int, seed: int | None = None) -> Memory:
        """Returns zeros and a medium in which nothing has been said; see `Acting.first_memory`."""
        memory = {} if self.conversation is None else self.conversation.medium.first_memory(n_worlds, seed)
        if self.hidden_size:
            memory["hidden"] = self.trunk.head.bias.new_zeros(n_worlds, self.n_agents, self.hidden_size)
        return memory

    @torch.inference_mode()
    def act(self, obs: Obs, memory: Memory, generator: torch.Generator | None = None) -> tuple[Action, Memory]:
        """Chooses actions inside the action space, through the medium as it was asked for; see `Acting.act`.

        Training acts by `choose` or `heads`, through a medium that its curriculum may not have tightened yet.
        """
        with self._as_configured():
            action, _, memory = self.choose(obs, memory, generator)
        return self.to_space(action).cpu().numpy(), memory

    def choose(self, obs: Obs, memory: Memory, generator: torch.Generator | None) -> tuple[Tensor, Tensor, Memory]:
        """Draws actions, or takes the most likely ones.

        Args:
            obs: All worlds before the step.
            memory: After the step before.
            generator: Source of chance; None takes the most likely actions.

        Returns:
            Actions and log-probabilities as `sample` gives them, and the memory for the next step.
        """
        head, action_mask, memory = self.heads(obs, memory)
        action, log_prob = self.sample(head, action_mask, generator)
        return action, log_prob, memory

    def heads(self, obs: Obs, memory: Memory) -> tuple[Tensor, Tensor | None, Memory]:
        """Reads what agents see and remember; nothing else reads an `Obs` in order to act.

        Args:
            obs: All worlds before the step.
            memory: After the step before. A world that has `started` begins with none, and so does an agent that was
                not alive in the step before.

        Returns:
            Logits or means (B, N, A), the action mask (B, N, A) or None, and the memory for the next step.
        """
        x, alive = tensor_of(obs.obs, self.device), tensor_of(obs.alive, self.device)  # (B, N, O), (B, N)
        action_mask = None
        if obs.action_mask is not None:  # agents that are not alive are allowed all: a distribution needs an action
            action_mask = tensor_of(obs.action_mask, self.device) | ~alive.unsqueeze(-1)  # (B, N, A)
        if not alive.all():  # what absent agents observe, NaN too, must reach no action and no message
            x = x.masked_fill(~alive.unsqueeze(-1), 0)
        started = tensor_of(obs.started, self.device)  # (B,)
        recurrence = None
        if self.hidden_size:
            x, recurrence = x[None], Recurrence(memory["hidden"], started[None], alive[None])  # (1, B, N, O)
        if self.agent_blind and not alive.all():  # of agents that are absent nothing is computed
            head = self(x[alive].unsqueeze(1)).head.squeeze(1)  # (M, A)
            everyone = head.new_zeros(*alive.shape, head.shape[-1])
            return everyone.masked_scatter(alive.unsqueeze(-1), head), action_mask, {}
        if self.conversation is None:
            out = self(x, recurrence)
            if out.states is None:
                return out.head, action_mask, {}
            return out.head[0], action_mask, {"hidden": out.states[0]}
        scene = Scene(tensor_of(obs.adjacency, self.device), alive, started, x.view(alive.shape + x.shape[-1:]))
        head, memory, _ = self._in_company(x, recurrence, scene, memory)
        return head, action_mask, memory

    def hears(self, obs: Obs, memory: Memory) -> Tensor:
        """Returns the age of every message that would be heard, (B, N, N), with as little work as that takes.

        Args:
            obs: See `heads`.
            memory: See `heads`; it is not changed.
        """
        talks = self.conversation
        assert talks is not None
        if talks.medium.config.change:  # who speaks depends on what there is to say
            return self.heads(obs, memory)[2]["age"]
        fields = (obs.adjacency, obs.alive, obs.started, obs.obs)
        scene = Scene(*(tensor_of(field, self.device) for field in fields))
        medium = {name: value for name, value in memory.items() if name != "hidden"}
        return talks.listen(None, None, scene, medium)[1]["age"]

    @torch.inference_mode()
    def attention(self, obs: Obs, memory: Memory) -> Tensor | None:
        """Returns how much each message counts that is heard now, in the first round; None where agents do not talk.

        Args:
            obs: See `heads`.
            memory: See `heads`; it is not changed.

        Returns:
            (B, N, N) from 0 to 1, the mean over heads; [i, j] for j's message to i.
        """
        if self.conversation is None:
            return None
        x, alive = tensor_of(obs.obs, self.device), tensor_of(obs.alive, self.device)
        x = x.masked_fill(~alive.unsqueeze(-1), 0)
        started, recurrence, seen = tensor_of(obs.started, self.device), None, x
        if self.hidden_size:
            x, recurrence = x[None], Recurrence(memory["hidden"], started[None], alive[None])
        scene = Scene(tensor_of(obs.adjacency, self.device), alive, started, seen)
        with self._as_configured():
            _, _, weights = self._in_company(x, recurrence, scene, memory, keep_weights=True)
        assert weights is not None
        return weights

    def _as_configured(self) -> AbstractContextManager[None]:
        return nullcontext() if self.conversation is None else self.conversation.medium.as_configured()

    def _in_company(
        self,
        x: Tensor,
        recurrence: Recurrence | None,
        scene: Scene,
        memory: Memory,
        *,
        keep_weights: bool = False,
    ) -> tuple[Tensor, Memory, Tensor | None]:
        """Acts where agents talk; see `heads` for the arguments.

        Returns:
            (B, N, A), the memory for the next step, and if asked for (B, N, N) weights of messages.
        """
        assert self.conversation is not None
        medium = {name: value for name, value in memory.items() if name != "hidden"}
        if self.gathers and not scene.alive.all():  # of agents that are absent nothing is computed
            hearing, medium = self.conversation.listen(None, None, scene, medium)
            index = live_first(scene.alive)
            hearing = Hearing(between_agents(hearing.age, index))
            out = self(of_agents(x, index), None, hearing, keep_weights=keep_weights)
            assert out.talked is not None
            if out.talked.speaks is not None:
                speaks = back_to_agents(out.talked.speaks, index, self.n_agents) > 0.5  # (B, N)
                medium = {**medium, "sent": medium["sent"] & speaks}
            weights = None
            if keep_weights:
                among = out.talked.weights[0].mean(-3)  # (B, L, L)
                among = back_to_agents(among, index, self.n_agents).transpose(1, 2)  # (B, L, N)
                weights = back_to_agents(among, index, self.n_agents).transpose(1, 2)  # (B, N, N)
            return back_to_agents(out.head, index, self.n_agents), medium, weights
        obs, features, states = self.features(x, recurrence)
        shape = scene.alive.shape  # (B, N)
        obs, features = obs.view(*shape, -1), features.view(*shape, -1)  # (B, N, O), (B, N, D)
        hearing, medium = self.conversation.listen(features, obs, scene, medium)
        if hearing.before is not None:
            obs, features = obs[None], features[None]  # a sequence of one step
        talked = self.conversation(features, obs, hearing, keep_weights=keep_weights)
        medium = self.conversation.remember(medium, talked)
        head = self.trunk.head(talked.features).view(*shape, -1)
        weights = talked.weights[0].mean(-3).view(*shape, -1) if keep_weights else None
        return head, medium if states is None else {**medium, "hidden": states[0]}, weights

    def forward(
        self,
        obs: Tensor,
        recurrence: Recurrence | None = None,
        hearing: Hearing | None = None,
        *,
        normalized: bool = False,
        keep_weights: bool = False,
    ) -> Out:
        """Returns the parameters of the distributions.

        Args:
            obs: (..., N, O); (T, B, N, O) when recurrent, or where messages of earlier steps are heard.
            recurrence: Needed when recurrent, ignored otherwise.
            hearing: What agents hear; needed where they talk, ignored otherwise.
            normalized: `obs` has been normalised already (`InputNorm`). Training does that once for all networks.
            keep_weights: Return how much each message counted.
        """
        obs, features, states = self.features(obs, recurrence, normalized=normalized)
        talked = None
        if self.conversation is not None:
            assert hearing is not None, "agents that talk need to know whom they hear"
            talked = self.conversation(features, obs, hearing, keep_weights=keep_weights)
            features = talked.features
        return Out(self.trunk.head(features), states, talked)

    def features(
        self, obs: Tensor, recurrence: Recurrence | None, *, normalized: bool = False
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Returns observations as networks read them, features (..., N, D), and hidden states."""
        if self.obs_norm is not None and not normalized:
            obs = self.obs_norm(obs)
        seen = obs if self.encoder is None else self.encoder(obs)  # (..., N, O or F)
        features, states = self.trunk.body([seen], recurrence)
        return obs, features, states

    @property
    def agent_blind(self) -> bool:
        """Whether each agent's head can be computed by itself, in the same way for all agents (see `Trunk`)."""
        return self.trunk.agent_blind and self.conversation is None

    @property
    def gathers(self) -> bool:
        """Whether agents that are absent can be left out: all are treated alike, and nothing is remembered."""
        talks = self.conversation
        return self.trunk.agent_blind and talks is not None and not (talks.remembers or talks.medium.config.change)

    @property
    def sequential(self) -> bool:
        """Whether a step depends on those before, so that it learns from whole sequences."""
        return self.hidden_size > 0 or (self.conversation is not None and self.conversation.remembers)

    def sample(
        self, head: Tensor, action_mask: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draws actions from distributions, or takes the most likely ones.

        Args:
            head: (..., N, A) from `forward`.
            action_mask: (..., N, A) bool, True where allowed, or None.
            generator: Source of chance; None takes the most likely action.

        Returns:
            Actions as `log_prob` takes them, (..., N) int64 or (..., N, A) float32 not yet clipped (see `to_space`),
            and their log-probabilities (..., N).
        """
        if self.discrete:
            log_p = categorical(head, action_mask)
            if generator is None:
                action = log_p.argmax(-1)
            else:  # the first of exponential clocks of rates p, as torch.multinomial does, but without its checks
                uniform = torch.rand(log_p.shape, generator=generator, dtype=log_p.dtype, device=log_p.device)
                clocks = uniform.clamp_(min=SMALLEST).log_()  # negative and finite: rand may give 0
                action = torch.div(log_p.exp(), clocks, out=clocks).argmin(-1)
            return action, log_p.gather(-1, action.unsqueeze(-1)).squeeze(-1)
        log_std = self._log_std()  # (N or 1, A)
        mean = action = self._mean(head)
        if generator is not None:
            # Not as `mean` lies in memory: that depends on sizes, and on whether agents are absent.
            noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
            action = torch.addcmul(mean, log_std.exp(), noise)
        return action, gaussian_log_prob(mean, log_std, action)

    def log_prob(self, head: Tensor, action: Tensor, action_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns log-probabilities of given actions, and entropies of their distributions, (..., N) each."""
        if self.discrete:
            log_p = categorical(head, action_mask)
            entropy = -(log_p.exp() * log_p).sum(-1)
            return log_p.gather(-1, action.unsqueeze(-1)).squeeze(-1), entropy
        log_std = self._log_std()  # (N or 1, A)
        entropy = (log_std + 0.5 * math.log(2.0 * math.pi * math.e)).sum(-1)  # (N or 1,)
        return gaussian_log_prob(self._mean(head), log_std, action), entropy.expand(head.shape[:-1])

    def divergence(self, head: Tensor, other: Tensor, action_mask: Tensor | None = None) -> Tensor:
        """Returns the Kullback-Leibler divergence of distributions from others, (..., N) [nats]."""
        if self.discrete:
            log_p, log_q = categorical(head, action_mask), categorical(other, action_mask)
            return (log_p.exp() * (log_p - log_q)).sum(-1)
        return 0.5 * ((self._mean(head) - self._mean(other)) * torch.exp(-self._log_std())).square().sum(-1)

    def divergence_from(
        self, target: Tensor, spread: Tensor | None, head: Tensor, action_mask: Tensor | None = None
    ) -> Tensor:
        """Returns KL(lesson || policy), (..., N) [nats].

        Args:
            target: (..., N, A) probabilities or means, see `lesson.Lesson`.
            spread: (..., N, A) variances of Gaussians.
            head: (..., N, A) from `forward`.
            action_mask: (..., N, A) bool, True where allowed, or None.
        """
        if spread is None:
            return divergence_of_discrete(target, categorical(head, action_mask))
        return divergence_of_gaussians(target, spread, self._mean(head), self._log_std())

    def means(self, head: Tensor) -> Tensor:
        """Returns the means of Gaussians, (..., N, A) in units of half the Box."""
        return self._mean(head)

    def deviations(self) -> Tensor:
        """Returns the logarithms of their deviations, (N, A)."""
        return self._log_std().expand(self.n_agents, -1)

    def _log_std(self) -> Tensor:
        """Returns (N, A), or (1, A) where all agents share it."""
        return self.log_std if len(self.log_std) == 1 else self.log_std[self.sets]

    def _mean(self, head: Tensor) -> Tensor:
        return torch.tanh(head) if self.bounded else head

    def to_space(self, action: Tensor) -> Tensor:
        """Maps actions into the action space: int64 as they are, floats from [-1, 1] to the Box and clipped to it."""
        if self.discrete:
            return action
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        return torch.clamp(middle + half * action, self.low, self.high)


def categorical(logits: Tensor, action_mask: Tensor | None) -> Tensor:
    """Returns log-probabilities, (..., A). Forbidden actions get the smallest float, not -inf, so that p log p is 0."""
    if action_mask is not None:
        logits = logits.masked_fill(~action_mask, torch.finfo(logits.dtype).min)
    # Over the first axis: over a last axis as short as this, torch is several times slower.
    return logits.movedim(-1, 0).log_softmax(0).movedim(0, -1)


def gaussian_log_prob(mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """Computes log N(action; mean, std) of a diagonal Gaussian, summed over A: (..., A) each -> (...)."""
    z = (action - mean) * torch.exp(-log_std)
    return -(0.5 * z.square() + log_std + 0.5 * math.log(2.0 * math.pi)).sum(-1)
