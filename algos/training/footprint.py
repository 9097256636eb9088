"""What a run will take of memory, counted before anything is allocated; and what there is.

A replay or a layer that does not fit would end in a traceback, or in silence where the kernel kills the process.
Counted is what grows with the options: experience, parameters with what Adam keeps of them, and the activations of one
gradient step. Not counted is what torch and the environment take, some hundred megabytes.

Axes: T time, B worlds, N agents, R sampled moments, P parameter sets, O observation, F features, A actions.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from gymnasium.spaces import Box

from ..core import Spec
from ..experience.replay import replay_fields
from ..experience.rollout import bytes_of, rollout_fields
from ..maddpg_config import MaddpgConfig
from ..mappo_config import MappoConfig
from ..nets.layers import parameter_sets
from ..nets.vision import CHANNELS, is_image, layers_for

_FLOAT = 4
_ADAM = 4 * _FLOAT
"""Of a parameter: itself, its gradient and two moments [bytes]."""


@dataclass(frozen=True)
class Part:
    """Something that takes memory."""

    name: str
    bytes: int
    device: str
    """Where: `cpu`, or the device of the networks."""
    mend: str
    """Which options make it smaller."""


def of_mappo(spec: Spec, config: MappoConfig, *, n_worlds: int, action_mask: bool, device: str) -> list[Part]:
    """What `Mappo` takes.

    Raises:
        ValueError: The options make no sense together for so many worlds.
    """
    units = n_worlds if config.gru else n_worlds * config.rollout_steps
    if config.minibatches > max(units, type(config).minibatches):  # the default gives way: there are as many as can be
        what = f"{n_worlds} worlds" + ("" if config.gru else f" x {config.rollout_steps} steps")
        raise ValueError(f"minibatches is {config.minibatches}; a rollout of {what} makes at most {units} of them")
    n, sets = spec.n_agents, max(parameter_sets(spec, config.share)) + 1
    state = config.critic == "central" and spec.state_dim > 0
    moments = n_worlds * config.rollout_steps
    rollout = moments * bytes_of(rollout_fields(spec, state=state, action_mask=action_mask))
    features, maps = _encoded(spec)
    ids = n if config.agent_id else 0
    joint = {"local": 0, "central": spec.state_dim or n * features}[config.critic]
    actor = _parameters(features + ids, action_size(spec), sets, config.hidden, config.gru)
    critic = _parameters(features + joint + ids, 1, sets, config.hidden, config.gru)
    per_row = maps + features + joint // n + 3 * sum(config.hidden) + 12 * config.gru  # of an agent at a moment
    step = 2 * _FLOAT * n * per_row * -(-moments // min(config.minibatches, units))
    values = _FLOAT * n * moments * (features + 2 * max(config.hidden) + 12 * config.gru)
    networks = "--algo.hidden, --algo.gru" if config.gru else "--algo.hidden"
    device = _place(device)
    copied = 0 if device == "cpu" else rollout  # handed over whole
    return [
        Part("the rollout", rollout, "cpu", "--algo.rollout-steps, --n-worlds"),
        Part("networks", _ADAM * (actor + critic), device, networks),
        Part("learning from it", copied + max(step, values), device, "--algo.rollout-steps, --n-worlds"),
    ]


def of_maddpg(spec: Spec, config: MaddpgConfig, *, n_worlds: int, action_mask: bool, device: str) -> list[Part]:
    """What `Maddpg` takes."""
    n, sets = spec.n_agents, max(parameter_sets(spec, config.share)) + 1
    critics, actions = 1 + config.twin, action_size(spec)
    steps = -(-config.replay_size // n_worlds) * n_worlds
    kept = replay_fields(spec, state=config.critic == "state", action_mask=action_mask)
    replay = steps * bytes_of(kept) + (16 << max(steps - 1, 1).bit_length() if config.prioritised else 0)
    features, maps = _encoded(spec)
    ids = n if config.agent_id else 0
    team = config.reward == "team" and config.critic != "local"
    if config.critic == "local":
        seen, done = features, actions
    elif config.critic == "state":
        seen, done = spec.state_dim + (0 if team else features), n * actions + (0 if team else actions)
    else:
        seen, done = n * features, n * actions
    rows = config.batch * (1 if team else n)
    parameters = _parameters(features + ids, actions, sets, config.hidden, 0)
    parameters += critics * _parameters(seen + done + ids, 1, 1 if team else sets, config.hidden, 0)
    joint = rows * (seen + done) * critics
    activations = config.batch * n * critics * (2 * spec.obs_dim + maps + 4 * sum(config.hidden))
    follow = config.batch * config.n_step * (16 + 24 * n)  # what came of a moment, see `Replay.sample`
    device = _place(device)
    store = "cpu" if config.replay_on == "memory" else device
    smaller = "--algo.batch"
    if config.critic == "central" and n > 1:
        smaller += ", or take --algo.critic local (--algo iddpg)"
    return [
        Part("the replay", replay, store, "--algo.replay-size"),
        Part("networks", (_ADAM + _FLOAT) * parameters, device, "--algo.hidden"),
        Part("a gradient step", _FLOAT * (joint + activations) + follow, device, smaller),
    ]


def refuse_too_large(parts: Sequence[Part]) -> None:
    """Raises where the parts do not fit into the memory of their devices.

    Raises:
        ValueError: What is needed, what there is, and which options help.
    """
    for device in dict.fromkeys(part.device for part in parts):
        mine = sorted((part for part in parts if part.device == device), key=lambda part: -part.bytes)
        needed, there = sum(part.bytes for part in mine), available(device)
        if there is None or needed <= there:
            continue
        large = [part for part in mine if part.bytes > 0.1 * needed]
        each = ", ".join(f"{part.name} {readable(part.bytes)}" for part in large)
        mends = "; ".join(dict.fromkeys(part.mend for part in large))
        raise ValueError(
            f"this needs {readable(needed)} of memory on {device} ({each}), {readable(there)} are available: "
            f"lower {mends}"
        )


def available(device: str = "cpu") -> int | None:
    """Bytes that could be taken on a device now; None where the system does not tell."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if torch.device(device).type != "cpu":
        return None
    found = [
        _free_of_machine(Path("/proc/meminfo")),
        *_free_of_groups(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")),
    ]
    known = [number for number in found if number is not None]
    return min(known) if known else None


def _place(device: str) -> str:
    """`device`, but all names of the processor are one."""
    return "cpu" if torch.device(device).type == "cpu" else device


def _free_of_machine(meminfo: Path) -> int | None:
    try:
        for line in meminfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _free_of_groups(membership: Path, root: Path) -> list[int]:
    """What the process's control groups, of either version, and those above them leave it; [] without limits."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    free = []
    for line in lines:
        controllers, path = line.split(":", 2)[1:]
        if controllers == "":  # version 2
            top, limit, used, cache = root, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            top, limit, used, cache = (
                root / "memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
        else:
            continue
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder == top.parent:
                break
            try:
                most = int((folder / limit).read_text(encoding="utf-8"))  # "max": no limit, a ValueError
                taken = int((folder / used).read_text(encoding="utf-8"))
                free.append(max(most - taken + _counter(folder / "memory.stat", cache), 0))
            except (OSError, ValueError):
                continue
    return free


def _counter(stat: Path, name: str) -> int:
    """Files that the kernel would drop for who needs the memory."""
    for line in stat.read_text(encoding="utf-8").splitlines():
        if line.startswith(name + " "):
            return int(line.split()[1])
    return 0


def action_size(spec: Spec) -> int:
    """A: entries of a `Box`, choices of a `Discrete`."""
    space = spec.action_space
    return int(np.prod(space.shape)) if isinstance(space, Box) else int(space.n)


def _encoded(spec: Spec) -> tuple[int, int]:
    """F, and numbers in all maps that lead from an image to its features; of what is no image O and 0."""
    if not is_image(spec.obs_shape):
        return spec.obs_dim, 0
    (_, height, width), maps, features = spec.obs_shape, spec.obs_dim, 0
    for (kernel, stride), channels in zip(layers_for(height, width), CHANNELS, strict=False):
        height, width = (height - kernel[0]) // stride[0] + 1, (width - kernel[1]) // stride[1] + 1
        features = channels * height * width
        maps += 2 * features  # before and after the activation
    return features, maps


def _parameters(inputs: int, outputs: int, sets: int, hidden: Sequence[int], gru: int) -> int:
    """Of a `Trunk`."""
    sizes, count = [inputs, *hidden], 0
    for d_in, d_out in itertools.pairwise(sizes):
        count += (d_in + 1) * d_out
    if gru:
        count += (sizes[-1] + gru + 2) * 3 * gru
    return sets * (count + ((gru or sizes[-1]) + 1) * outputs)


def readable(number: float) -> str:
    """Bytes as `1.5 GB`."""
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if number < 1000 or unit == "PB":
            return f"{number:.3g} {unit}" if number < 1000 else f"{number:.2e} {unit}"
        number /= 1000
    raise AssertionError
