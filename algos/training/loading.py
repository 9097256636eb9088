"""Loading a trained policy from a run folder, for the agents, the worlds and the medium that it is to meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from ..core import Algorithm, Spec
from ..nets.actor import Actor
from . import checkpoint, runfolder, typed
from .identity import refuse_other
from .own_spaces import OwnSpaces
from .policy import Policy

_UNFIT = (KeyError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError)
"""The errors that are raised where options and parameters belong to different networks."""


class Buildable(Protocol):
    """An algorithm as loading needs it, see `algos.Entry`."""

    @property
    def config(self) -> type[Any]:
        """The dataclass of its options."""
        ...

    @property
    def algorithm(self) -> Callable[..., Algorithm]:
        """Builds it: `algorithm(spec, config, seed=..., device=...)`."""
        ...


def load_policy_of(
    algos: Mapping[str, Buildable],
    run_folder: str | PathLike[str],
    *,
    which: str,
    device: str,
    warn: Callable[[str], None],
    agents: Sequence[str] | None = None,
    channel: Mapping[str, Any] | None = None,
    spec: Spec | None = None,
    learner: int | None = None,
) -> Policy:
    """Loads the policy of a run that was trained by one of `algos`, by name; see `algos.load_policy`."""
    folder = Path(run_folder)
    record = runfolder.read_config(folder, unknown=warn)
    path, content = checkpoint.load_which(folder / runfolder.CHECKPOINTS, which, warn=warn)
    name = record.algo.name
    if name not in algos:
        raise ValueError(f"{folder} was trained by {name!r}, which is not known here; known: {', '.join(algos)}")
    refuse_other(path, content, record)
    names, own = record.agents, record.own_spaces
    there, spec = spec, record.spec
    entry = algos[name]
    where = folder / runfolder.CONFIG
    learned = content["algo"]["policy"]
    try:
        options = entry.config(**typed.fields(entry.config, record.algo.options, "algo.options"))
        own_spaces = None if own is None else OwnSpaces(own, names, spec)
    except ValueError as error:
        raise ValueError(f"{where} is damaged: {error}") from error
    if learner is not None:
        _refuse_other_learner(learner, options, spec)
        options, spec = replace(options, share="all"), replace(spec, n_agents=1, groups=((0,),))
        learned, names = _of_learner(learned, learner, len(names)), (names[learner],)
        if own is not None:
            own = {**own, "agents": [own["agents"][learner]]}
            own_spaces = OwnSpaces(own, names, spec)
    channel = channel or {}
    if channel:
        options = replace(options, channel=_other_channel(options, channel))
    if agents is not None and tuple(agents) != names:
        spec, names = _other_team(spec, options, tuple(agents), foreign=own is not None), tuple(agents)
    if there is not None and (there.pose, there.pose_scale) != (spec.pose, spec.pose_scale):
        spec = _other_place(spec, options, there)
    unfit = f"{path} does not fit {where}: "
    try:
        acting = entry.algorithm(spec, options, seed=0, device=device).policy
    except _UNFIT as error:
        asked = isinstance(error, ValueError) and (channel or learner is not None or spec is not record.spec)
        raise ValueError(f"{'' if asked else unfit}{' '.join(str(error).split())}") from error
    try:
        acting.load_state_dict(learned)
    except _UNFIT as error:
        raise ValueError(f"{unfit}{' '.join(str(error).split())}") from error
    if isinstance(acting, Actor) and acting.conversation is not None:
        acting.conversation.medium.tightness.finish()  # only training goes through a looser medium
    return Policy(acting, spec, names, own_spaces)


def _refuse_other_learner(learner: int, options: Any, spec: Spec) -> None:
    """Refuses a learner that a run does not have.

    Raises:
        ValueError: Its agents share parameters or need each other to act, or there are not so many.
    """
    n, why = spec.n_agents, ""
    if getattr(options, "share", "all") != "none" and n > 1:
        why = "agents of this run share parameters"
    elif getattr(options, "agent_id", False) or getattr(options, "comm", "none") != "none":
        why = "agents of this run cannot act alone: they read an agent_id, or talk"
    if why:
        raise ValueError(f"learner is {learner}, but {why}: leave it out")
    if not 0 <= learner < n:
        raise ValueError(f"learner is {learner}; allowed are 0 to {n - 1}")


def _of_learner(learned: Mapping[str, Any], learner: int, learners: int) -> dict[str, Any]:
    """Returns the part of a policy's state that is one learner's: its row of everything that has a row for each."""
    return {
        name: value[learner : learner + 1] if value.dim() and len(value) == learners else value
        for name, value in learned.items()
    }


def _other_channel(options: Any, channel: Mapping[str, Any]) -> Any:
    """Returns the medium of an algorithm's options with other values.

    Raises:
        ValueError: The policy does not talk, or an option is unknown or not allowed.
    """
    if getattr(options, "comm", "none") == "none":
        raise ValueError(
            "this policy does not talk, so no channel changes what it does: it was trained with comm 'none'"
        )
    typed.refuse_unknown(channel, [one.name for one in fields(options.channel)], "channel")
    if channel.get("curriculum"):
        raise ValueError(
            f"channel.curriculum is {channel['curriculum']}; a medium tightens in training only, and is as tight as "
            "asked for everywhere else: leave it out"
        )
    changed = replace(options.channel, **{**channel, "curriculum": 0.0})
    if bool(changed.bits) != bool(options.channel.bits):
        raise ValueError(
            f"channel.bits is {changed.bits}; networks trained with {options.channel.bits} cannot be run with it, "
            "because entries are squashed by tanh where they are rounded, and only there: choose "
            + ("1 to 16, which is nearly exact" if options.channel.bits else "0, or train with 16")
        )
    if options.channel.learned_decay and changed.decay != options.channel.decay:
        raise ValueError(
            f"channel.decay is {changed.decay}; this policy has learned its own (learned_decay), so it would change "
            "nothing"
        )
    for name in ("entries", "learned_decay"):
        if getattr(changed, name) != getattr(options.channel, name):
            raise ValueError(
                f"channel.{name} is {getattr(changed, name)}; networks trained with {getattr(options.channel, name)} "
                "cannot be run with another"
            )
    return changed


def _other_place(spec: Spec, options: Any, there: Spec) -> Spec:
    """Returns the shapes for other worlds, in which observations hold positions elsewhere or in another unit.

    Raises:
        ValueError: The policy sends positions, and observations of these worlds hold none.
    """
    talks = getattr(options, "comm", "none") != "none"
    if talks and options.comm_pose and bool(there.pose) != bool(spec.pose):
        do, did = ("do not hold", "held") if spec.pose else ("hold", "did not hold")
        raise ValueError(
            f"observations of this environment {do} the position of their agent, and those of the training {did} it; "
            "messages carry it: train with comm_pose False to do without"
        )
    return replace(spec, pose=there.pose, pose_scale=there.pose_scale)


def _other_team(spec: Spec, options: Any, agents: tuple[str, ...], *, foreign: bool) -> Spec:
    """Returns the shapes for other agents than a policy was trained with.

    Raises:
        ValueError: The policy treats agents differently, so it means nothing for others.
    """
    if foreign or getattr(options, "share", "") != "all" or getattr(options, "agent_id", True):
        raise ValueError(
            f"there are {len(agents)} agents, and the policy was trained with {spec.n_agents}; only a policy that is "
            "the same for all (share 'all', no agent_id) acts for other agents"
        )
    return replace(spec, n_agents=len(agents), groups=(tuple(range(len(agents))),))
