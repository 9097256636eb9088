"""The identity of a checkpoint: the algorithm, the network and the spaces that its parameters belong to.

Parameters of one run often have the shapes of another's. Loaded there, they make a policy that acts, and acts wrongly.
So each checkpoint repeats, under `whose`, what `config.json` said when it was written:

    algorithm    its name
    network      the options that decide what is computed from the parameters, by name
    spaces       a digest of the shapes, the action space, the groups and the agents' own spaces
    agents       a digest of the agents' names in their order
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..nets.config import NetConfig
from .checkpoint import MisfitError
from .finite import first_not_finite
from .plain_spec import spec_to_plain
from .run_record import RunRecord

WHOSE = "whose"
"""Name of the identity in a checkpoint's content."""
NETWORK = (
    *(field.name for field in dataclasses.fields(NetConfig)),
    *("obs_norm", "critic", "twin", "credit", "value_norm"),
)
"""Options that decide what is computed from parameters: those of networks, and of algorithms, which may lack some."""


def identity_of(record: RunRecord) -> dict[str, Any]:
    """Returns the identity that a `config.json` describes, see the module."""
    options = record.algo.options
    spaces = {"spec": spec_to_plain(record.spec), "own_spaces": record.own_spaces}
    return {
        "algorithm": record.algo.name,
        "network": {name: _plain(options[name]) for name in NETWORK if name in options},
        "spaces": _digest(spaces),
        "agents": _digest(list(record.agents)),
    }


def refuse_other(path: Path, content: Mapping[str, Any], record: RunRecord) -> None:
    """Refuses a checkpoint of another run than the one that a record describes, and one with NaN or infinity.

    A checkpoint without an identity is accepted; its shapes must fit.

    Raises:
        MisfitError: Says what differs.
    """
    if not isinstance(content, Mapping):
        raise MisfitError(f"{path} holds a {type(content).__name__}, not the content of a run")
    if name := first_not_finite(content.get("algo")):
        raise MisfitError(f"{path} holds numbers that are not finite: {name}; learning had diverged, or it is damaged")
    found, expected = content.get(WHOSE), identity_of(record)
    if found is None:
        return
    if not isinstance(found, Mapping) or set(found) != set(expected) or not isinstance(found["network"], Mapping):
        raise MisfitError(f"{path} does not say whose it is in a way known here; it is of another version")
    differences = []
    if found["algorithm"] != expected["algorithm"]:
        differences.append(f"algorithm {found['algorithm']}, not {expected['algorithm']}")
    else:  # another algorithm has different options
        theirs, ours = found["network"], expected["network"]
        names = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
        differences += [f"{name} {_shown(theirs, name)}, not {_shown(ours, name)}" for name in names]
    if found["spaces"] != expected["spaces"]:
        differences.append("other observations or actions")
    if found["agents"] != expected["agents"]:
        differences.append("other agents, or agents in another order")
    if differences:
        raise MisfitError(
            f"{path} does not belong to the config.json of its run: it was made with {'; '.join(differences)}"
        )


def progress_of(path: Path, content: Mapping[str, Any]) -> tuple[int, int]:
    """Returns the steps made and the number of worlds of the run that wrote a checkpoint.

    Raises:
        MisfitError: The checkpoint lacks them.
    """
    try:
        return int(content["run"]["steps"]), int(content["env"]["n_worlds"])
    except (KeyError, TypeError, ValueError) as error:
        raise MisfitError(f"{path} is no checkpoint of a run: {type(error).__name__} {error}") from error


def _shown(network: Mapping[str, Any], name: str) -> str:
    return repr(network[name]) if name in network else "nothing"


def _plain(value: Any) -> Any:
    """Returns a value as JSON reads it back: lists for tuples."""
    return json.loads(json.dumps(value))


def _digest(value: Any) -> str:
    """Returns 64 hexadecimal digits that differ where plain data differ."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
