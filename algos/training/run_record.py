"""The content of config.json: the run's config, its shapes and agents, and the code that ran it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..core import Spec
from .plain_spec import spec_from_plain, spec_to_plain
from .run_config import (
    AlgorithmConfig,
    EnvironmentConfig,
    PeersPart,
    RunConfig,
    RunOptions,
    options_of,
    with_tuples,
)
from .typed import fields, refuse_unknown, typed

FORMAT = "coterie-run"
VERSION = 1

_NEEDED = {
    "env": ("name", "task", "options"),
    "algo": ("name", "options"),
    "run": ("seed", "n_worlds", "total_steps", "device", "threads"),
    "spec": ("n_agents", "obs_dim", "state_dim", "action_space", "groups"),
    "agents": ("",),
}
"""Keys that config.json must have, by part; an empty key is the part itself."""

_TYPES: dict[str, Any] = {
    "format": str,
    "version": int,
    "created": str,
    "code": dict[str, Any],
    "resumed": list[dict[str, Any]],
    "env": {"name": str, "task": str | None, "options": dict[str, Any], "version": str | None},
    "algo": {"name": str, "options": dict[str, Any]},
    "run": dict[str, Any],
    "peers": {"options": dict[str, Any]},
    "spec": {
        "n_agents": int,
        "obs_dim": int,
        "state_dim": int,
        "action_space": dict[str, Any],
        "groups": list[list[int]],
        "obs_shape": list[int],
        "pixels": bool,
        "pose": list[int],
        "pose_scale": float,
    },
    "agents": list[str],
    "own_spaces": dict[str, Any] | None,
    "obs_names": list[str],
}
"""Keys that config.json may have, and the types of their values."""


@dataclass(frozen=True)
class RunRecord:
    """A run as config.json describes it."""

    env: EnvironmentConfig
    algo: AlgorithmConfig
    run: dict[str, Any]
    """Options of the run as plain data, unchecked: a policy is loaded without them. See `config`."""
    spec: Spec
    """The shapes that the algorithm was built for."""
    agents: tuple[str, ...]
    """(N,) names of the agents."""
    peers: PeersPart = field(default_factory=PeersPart)
    """How learners learn from each other."""
    own_spaces: dict[str, Any] | None = None
    """Spaces of the agents' own in an environment of others, see `own_spaces`; None: what `spec` says."""
    obs_names: tuple[str, ...] = ()
    """(O,) names of the entries of an observation, by which a teacher's are found in other tasks; (): none."""
    created: str = ""
    """Time at which the run folder was made."""
    code: dict[str, Any] = field(default_factory=dict)
    """Commit, packages, interpreter and machine."""
    resumed: tuple[dict[str, Any], ...] = ()
    """Steps and code of each resume, in their order."""

    @classmethod
    def of(
        cls,
        config: RunConfig,
        spec: Spec,
        agents: Sequence[str],
        own_spaces: dict[str, Any] | None,
        obs_names: Sequence[str] = (),
    ) -> RunRecord:
        """Makes the record of a new run."""
        run = options_of(config.run)
        return cls(config.env, config.algo, run, spec, tuple(agents), config.peers, own_spaces, tuple(obs_names))

    def config(self, unknown: Callable[[str], None] | None = None) -> RunConfig:
        """Returns the config of the run, its options checked; those that older folders lack get their defaults.

        Args:
            unknown: Called with one line for each option that is not known; None: it is an error.

        Raises:
            ValueError: An option has a wrong type or value; the message is one line.
        """
        run = RunOptions(**fields(RunOptions, self.run, "run", unknown=unknown))
        return RunConfig(self.env, self.algo, run, self.peers)

    def with_config(self, config: RunConfig) -> RunRecord:
        """Returns the record with another config for the same shapes and agents."""
        return replace(self, env=config.env, algo=config.algo, run=options_of(config.run), peers=config.peers)

    def for_worlds(self, spec: Spec, agents: Sequence[str]) -> RunRecord:
        """Returns the record for other worlds of the same environment.

        Positions in observations are theirs, and there may be more or fewer agents, in one group.

        Args:
            spec: Their shapes.
            agents: (N,) names of their agents.
        """
        ours = replace(self.spec, pose=spec.pose, pose_scale=spec.pose_scale)
        if tuple(agents) != self.agents:
            ours = replace(ours, n_agents=len(agents), groups=(tuple(range(len(agents))),))
        return replace(self, agents=tuple(agents), spec=ours)

    def to_plain(self) -> dict[str, Any]:
        """Returns the record as plain data for JSON."""
        plain: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "env": options_of(self.env),
            "algo": options_of(self.algo),
            "run": self.run,
            "peers": options_of(self.peers),
            "spec": spec_to_plain(self.spec),
            "agents": list(self.agents),
            "own_spaces": self.own_spaces,
            "created": self.created,
            "code": self.code,
        }
        plain |= {"obs_names": list(self.obs_names)} if self.obs_names else {}
        return plain | ({"resumed": list(self.resumed)} if self.resumed else {})

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], *, unknown: Callable[[str], None] | None = None) -> RunRecord:
        """Undoes `to_plain`.

        The options of environment, algorithm, run and peers are not looked into: their own dataclasses know them.

        Args:
            plain: From JSON.
            unknown: Called with one line for each key that is not known, as folders of a newer version may have; None:
                it is an error.

        Raises:
            ValueError: A key is missing or has a wrong type or value; the message is one line.
        """
        missing = [
            f"{part}.{key}" if key else part
            for part, keys in _NEEDED.items()
            for key in keys
            if not (isinstance(plain.get(part), dict) and key in plain[part] if key else part in plain)
        ]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        _check_types(plain, unknown)
        spec, agents = spec_from_plain(plain["spec"]), tuple(plain["agents"])
        if len(agents) != spec.n_agents:
            raise ValueError(f"there are {len(agents)} names in agents, and spec.n_agents is {spec.n_agents}")
        if len(set(agents)) < len(agents):
            raise ValueError("agents holds a name twice")
        names = tuple(plain.get("obs_names", ()))
        if names and (len(names) != spec.obs_dim or len(set(names)) < len(names)):
            raise ValueError(
                f"obs_names holds {len(names)} names, {len(set(names))} different; {spec.obs_dim} are needed"
            )
        env, algo = plain["env"], plain["algo"]
        return cls(
            EnvironmentConfig(env["name"], env["task"], with_tuples(env["options"]), env.get("version")),
            AlgorithmConfig(algo["name"], with_tuples(algo["options"])),
            plain["run"],
            spec,
            agents,
            PeersPart(with_tuples(plain.get("peers", {}).get("options", {}))),
            plain.get("own_spaces"),
            names,
            plain.get("created", ""),
            plain.get("code", {}),
            tuple(plain.get("resumed", ())),
        )


def misfit(record: RunRecord, spec: Spec, agents: Sequence[str]) -> str:
    """Says how an environment differs from the one that a run was trained in; "" if it does not.

    The length of the global state does not count: no policy reads it. Where positions stand in observations, and in
    what unit, counts for agents that talk.
    """
    if tuple(agents) != record.agents:
        return f"its agents are {_some(agents)}; the run was trained with {_some(record.agents)}"
    talks = record.algo.options.get("comm", "none") != "none"
    ours, theirs = (f"{one.pose} in units of {one.pose_scale:g}" for one in (record.spec, spec))
    for what, now, then in (
        ("its observations have shape", spec.obs_shape, record.spec.obs_shape),
        ("its action space is", spec.action_space, record.spec.action_space),
        ("its groups of agents are", spec.groups, record.spec.groups),
        ("its observations hold positions at", *((theirs, ours) if talks else ("", ""))),
    ):
        if now != then:
            return f"{what} {now}; the run was trained with {then}"
    return ""


def _check_types(plain: Mapping[str, Any], unknown: Callable[[str], None] | None) -> None:
    refuse_unknown(plain, _TYPES, "", unknown)
    for part, types in _TYPES.items():
        if not isinstance(types, dict):
            if part in plain:
                typed(plain[part], types, part)
            continue
        if part not in plain:
            continue
        typed(plain[part], dict[str, Any], part)
        refuse_unknown(plain[part], types, part, unknown)
        for key, hint in types.items():
            if key in plain[part]:
                typed(plain[part][key], hint, f"{part}.{key}")


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:8], *(["..."] if len(names) > 8 else [])])
