"""Teachers from disk: policies of run folders that answer on the observations of the learners of another run.

A teacher may have a network of another size, and may have been trained in another task. Entries of observations are
matched by their names (`envs.core.BatchEnv.obs_names`). For an entry that the teacher reads and the learners do not
have stands the teacher's own mean of it, which is 0 after its normalisation, or 0 where it normalises nothing. Where
either side has no names, observations must have equal shapes, and are taken as they are. Actions must be the same. A
teacher that treats all of its agents alike, or one learner of a population (`runs/NAME:3`), answers for any number of
agents; another one for agents of its own names.

How good a teacher is in the learners' task is not believed, but measured, see `measured`.

Axes: B worlds, N agents, O observation of the learners, Q observation of the teacher, A actions, P learners; `...` any
leading axes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import load_policy
from ..core import Action, Array, Obs, VectorEnv
from ..maths.arrays import tensor_of
from ..nets.actor import Actor, categorical
from ..report.atomic import write_atomically
from ..training import checkpoint, runfolder
from ..training.evaluation import CHOOSING_SEED, evaluate, worlds_for
from ..training.run_record import RunRecord
from .returns import Returns

TEACHERS = "teachers"
"""The run folder's folder of copies of its teachers."""
SHOWN = 8
"""Names of entries that a note shows; the ledger has them all."""


class Match(NamedTuple):
    """Which entries of a teacher's observation are found in those of the learners."""

    entries: tuple[int, ...]  # (Q,) indices of the learners' entries; -1: they have none
    missing: tuple[str, ...]  # names of entries that the learners do not have
    unused: tuple[str, ...]  # names of entries that the teacher does not read
    named: bool  # by name; otherwise all are taken in their order

    @property
    def told(self) -> dict[str, Any]:
        """Returns it as the ledger has it."""
        n = len(self.entries)
        found = {"entries": n, "shared": n - len(self.missing), "by_name": self.named}
        return {**found, "missing": list(self.missing), "unused": list(self.unused)}


def match(theirs: Sequence[str], ours: Sequence[str], shape: Sequence[int], our_shape: Sequence[int]) -> Match:
    """Matches the entries of observations by their names.

    Args:
        theirs: (Q,) names of the teacher's; empty: they have none.
        ours: (O,) names of the learners'; empty: they have none.
        shape: Of the teacher's observations.
        our_shape: Of the learners' observations.

    Raises:
        ValueError: Nothing can be matched.
    """
    if theirs and ours:
        place = {name: index for index, name in enumerate(ours)}
        found = tuple(place.get(name, -1) for name in theirs)
        if max(found) < 0:
            raise ValueError("none of its observation entries has the name of one in this task: take another teacher")
        read = set(theirs)
        missing = tuple(name for name, index in zip(theirs, found, strict=True) if index < 0)
        return Match(found, missing, tuple(name for name in ours if name not in read), named=True)
    if tuple(shape) != tuple(our_shape):
        whose = "its own" if not theirs else "this task's"
        raise ValueError(
            f"its observations have shape {tuple(shape)}, and this task's {tuple(our_shape)}; {whose} have no names to "
            "match them by, so that shapes must be equal: take a teacher of this task"
        )
    return Match(tuple(range(int(np.prod(shape)))), (), (), named=False)


class Teacher:
    """A policy of another run, which says what it would do on observations of the learners.

    Attributes:
        name: Of its run folder.
        match: What it finds in the learners' observations.
    """

    def __init__(self, name: str, actor: Actor, record: RunRecord, env: VectorEnv) -> None:
        """Matches observations, actions and agents.

        Args:
            name: Of its run folder.
            actor: Its policy.
            record: Its run's config.json.
            env: The worlds of the learners.

        Raises:
            ValueError: It cannot teach in these worlds; the message is one line.
        """
        if actor.sequential or actor.conversation is not None:
            raise ValueError(
                "it remembers or talks, and so cannot answer on what others observe: take one without gru and comm"
            )
        spec, space = record.spec, env.action_space
        if spec.action_space != space:
            raise ValueError(f"it acts in {spec.action_space}, and this task is played in {space}: both must be equal")
        _refuse_other_spaces(record.own_spaces, getattr(env, "own_spaces", None))
        names = tuple(getattr(env, "obs_names", ()))
        self.name, self.match = name, match(record.obs_names, names, spec.obs_shape, env.observation_space.shape)
        self._actor, device = actor.requires_grad_(False), actor.device
        self._index = torch.tensor(self.match.entries, device=device).clamp(min=0)  # (Q,)
        self._missing = torch.tensor(self.match.entries, device=device) < 0  # (Q,)
        self._whole = self.match.entries == tuple(range(int(np.prod(env.observation_space.shape))))
        self._rows: Tensor | None = None  # (N,) the teacher's agent that answers for each agent; None: all are alike
        if not actor.agent_blind:
            unknown = [agent for agent in env.agents if agent not in record.agents]
            if unknown:
                raise ValueError(
                    f"its agents do not act alike, and {unknown[0]} is none of them ({', '.join(record.agents)}): take "
                    f"a teacher with share 'all' and without agent_id, or one learner of a population, as in {name}:0"
                )
            self._rows = torch.tensor([record.agents.index(agent) for agent in env.agents], device=device)

    @property
    def line(self) -> str:
        """Says what it could match, and what not, in a line."""
        found, n = self.match, len(self.match.entries)
        if not found.named:
            return f"teacher {self.name}: all {n} observation entries are taken in their order, for lack of names"
        words = f"teacher {self.name}: {n - len(found.missing)} of {n} observation entries are shared by name"
        for what, names in (("missing", found.missing), ("not used", found.unused)):
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            words += f"; {what}: {', '.join(names[:SHOWN])}{more}" if names else ""
        return words

    @torch.no_grad()
    def heads(self, obs: Tensor) -> Tensor:
        """Returns the parameters of its distributions on observations (..., N, O) of the learners, (..., N, A)."""
        seen = obs if self._whole else obs[..., self._index].masked_fill(self._missing, 0.0)  # (..., N, Q)
        actor, rows = self._actor, self._rows
        if rows is not None:
            everyone = seen.new_zeros(*seen.shape[:-2], actor.n_agents, seen.shape[-1])
            everyone[..., rows, :] = seen
            seen = everyone
        if actor.obs_norm is not None:
            seen = actor.obs_norm(seen)
            if not self._whole:
                seen = seen.masked_fill(self._missing, 0.0)
        head = actor(seen, normalized=True).head
        return head if rows is None else head[..., rows, :]

    @torch.no_grad()
    def answer(self, obs: Tensor, action_mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns its distributions over actions: probabilities and None, or means and variances, (..., N, A) each."""
        head, actor = self.heads(obs), self._actor
        if actor.discrete:
            return categorical(head, action_mask).exp(), None
        return actor.means(head), (2.0 * self._log_std()).exp().expand_as(head)

    @torch.no_grad()
    def act(self, obs: Obs, generator: torch.Generator) -> Action:
        """Draws actions for all agents of B worlds, (B, N) or (B, N, A) inside the action space."""
        actor = self._actor
        alive = tensor_of(obs.alive, actor.device).unsqueeze(-1)  # (B, N, 1)
        seen = tensor_of(obs.obs, actor.device).masked_fill(~alive, 0)
        allowed = None if obs.action_mask is None else tensor_of(obs.action_mask, actor.device) | ~alive
        head = self.heads(seen)
        if actor.discrete:
            action = actor.sample(head, allowed, generator)[0]
        else:
            noise = torch.randn(head.shape, generator=generator, dtype=head.dtype, device=head.device)
            action = torch.addcmul(actor.means(head), self._log_std().exp(), noise)
        return actor.to_space(action).cpu().numpy()

    def _log_std(self) -> Tensor:
        """Returns logarithms of the deviations of Gaussians, (N, A), or (1, A) where all agents are alike."""
        deviations = self._actor.deviations()  # (agents of its own, A)
        return deviations[:1] if self._rows is None else deviations[self._rows]

    @property
    def device(self) -> torch.device:
        """The device that it computes on."""
        return self._actor.device


def measured(
    teacher: Teacher,
    make_env: Callable[[int], VectorEnv],
    episodes: int,
    *,
    seed: int,
    learners: int,
    stop: Callable[[], bool] | None = None,
) -> tuple[Array, Array] | None:
    """Plays episodes of the learners' task with the teacher in the place of all agents.

    Its actions are drawn from its distributions, since the returns of learners are of drawn actions, too.

    Args:
        teacher: The teacher.
        make_env: Makes worlds of the learners' task, given their number.
        episodes: How many, at least 2.
        seed: Of the run; episodes have a seed that no training and no judging uses.
        learners: P, the number of agents, or 1 where they share parameters.
        stop: Asked after every step; once it returns True, measuring is given up.

    Returns:
        Mean return in the place of each learner, and its standard error, (P,) each. One learner's return is the mean
        over agents of the sums of their own rewards. None if it was given up.
    """
    seed = CHOOSING_SEED + 1 + seed % (2**30 - 1)
    generator = torch.Generator(teacher.device).manual_seed(seed)
    worlds = make_env(worlds_for(episodes))
    found = evaluate(worlds, lambda obs: teacher.act(obs, generator), episodes, seed=seed, stop=stop)
    if found is None:
        return None
    returns = Returns(learners, episodes)
    returns.add(of_learners(found.of_agents, learners))
    return returns.mean, returns.error


def of_learners(returns: Array, learners: int) -> Array:
    """Returns the returns of learners, (E, P), from those of agents, (E, N): their mean where they share parameters."""
    return returns if learners > 1 else returns.mean(axis=1, keepdims=True)


def teachers_of(named: Sequence[str], env: VectorEnv, device: torch.device, folder: Path | None) -> list[Teacher]:
    """Loads teachers.

    The run folder keeps a copy of the policy of each, from which a resumed run takes it: the other folder may have
    moved, or learned more, since.

    Args:
        named: Their run folders; `runs/NAME:K` is learner K of a run whose agents share no parameters.
        env: The worlds of the learners.
        device: Where to compute.
        folder: The learners' run folder; None: nothing is copied.

    Raises:
        ValueError: A folder is no run, or what it has learned cannot teach in these worlds; the message is one line.
    """
    sources = [_source(one) for one in named]
    names = [where.resolve().name + ("" if learner is None else f"-learner-{learner}") for where, learner in sources]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"teacher holds two run folders named {twice[0]!r}: rename one, as the ledger tells them by it"
        )
    found = []
    for one, name, (source, learner) in zip(named, names, sources, strict=True):
        try:
            where = _kept(source, None if folder is None else folder / TEACHERS / name)
            actor = load_policy(where, device=str(device), warn=_nothing, learner=learner).acting
            assert isinstance(actor, Actor)
            found.append(Teacher(name, actor, runfolder.read_config(where, unknown=_nothing), env))
        except ValueError as error:
            raise ValueError(f"teacher is {one!r}, and cannot teach here: {error}") from None
    return found


def _source(named: str) -> tuple[Path, int | None]:
    """Returns the run folder that a teacher's name stands for, and the index of its learner; None: all of them."""
    folder, colon, learner = named.rpartition(":")
    if colon and learner.isdecimal() and not Path(named).is_dir():
        return Path(folder), int(learner)
    return Path(named), None


def _kept(source: Path, copy: Path | None) -> Path:
    """Returns the copy of a run folder's policy, made if it is missing; the folder itself where none is wanted."""
    if copy is None:
        return source
    if not (copy / runfolder.CONFIG).is_file():  # it is written last
        runfolder.read_config(source, unknown=_nothing)
        path, content = checkpoint.load_latest(source / runfolder.CHECKPOINTS, warn=_nothing)
        part = {name: content[name] for name in ("run", "whose") if name in content}
        (copy / runfolder.CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        policy = {"algo": {"policy": content["algo"]["policy"]}}
        checkpoint.save(copy / runfolder.CHECKPOINTS / path.name, {**part, **policy})
        write_atomically(copy / runfolder.CONFIG, (source / runfolder.CONFIG).read_bytes())
    return copy


def _refuse_other_spaces(theirs: Mapping[str, Any] | None, ours: Mapping[str, Any] | None) -> None:
    """Refuses agents of somebody else's environment whose own spaces become rows in another way.

    Raises:
        ValueError: Both are known, and they differ.
    """
    kinds = [json.dumps(one["kinds"], sort_keys=True) for one in (theirs, ours) if one]
    if len(set(kinds)) > 1:
        raise ValueError(
            "its agents observe or act in other spaces than those of this task: take a teacher of this task"
        )


def _nothing(_: str) -> None:
    pass
