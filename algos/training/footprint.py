"""Memory that a run will take, counted before anything is allocated, and memory that is available.

A replay or a layer that does not fit would end in a traceback, or without a word where the kernel kills the process.
Each algorithm counts its own parts, from the helpers here: experience, parameters with their gradients and Adam's
moments, and the activations of one gradient step. Torch itself and the environment, some hundred megabytes, are not
counted.

Axes: O observation, F features.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..comm.config import graph_of
from ..comm.methods import LISTED
from ..core import Spec
from ..nets.config import NetConfig
from ..nets.sharing import parameter_sets
from ..nets.vision import CHANNELS, is_image, layers_for

FLOAT = 4
"""Size of a number [bytes]."""
ADAM = 4 * FLOAT
"""Size of a parameter with its gradient and two moments [bytes]."""


FEW = 16
"""Agents that an agent is taken to hear where that is not known."""


@dataclass(frozen=True)
class Part:
    """A part of a run that takes memory."""

    name: str
    bytes: int
    device: str
    """Device whose memory it takes: `cpu`, or that of the networks."""
    mend: str
    """Options that make it smaller."""


def refuse_too_large(parts: Sequence[Part]) -> None:
    """Refuses parts that do not fit into the memory of their devices.

    Raises:
        ValueError: Says how much is needed, how much is available, and which options help.
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
    """Returns the bytes that are available on a device now; None where the system does not tell."""
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


def place_of(device: str) -> str:
    """Returns `device`, with one name for the processor however it is spelled."""
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
    """Returns the bytes that each control group of the process, and each above it, leaves; [] without limits."""
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
    """Returns a number from a group's statistics, 0 if it is missing; cached files count as free memory."""
    for line in stat.read_text(encoding="utf-8").splitlines():
        if line.startswith(name + " "):
            return int(line.split()[1])
    return 0


def encoded(spec: Spec) -> tuple[int, int]:
    """Returns F and the numbers in all maps between an image and its features; O and 0 for other observations."""
    if not is_image(spec.obs_shape):
        return spec.obs_dim, 0
    (_, height, width), maps, features = spec.obs_shape, spec.obs_dim, 0
    for (kernel, stride), channels in zip(layers_for(height, width), CHANNELS, strict=False):
        height, width = (height - kernel[0]) // stride[0] + 1, (width - kernel[1]) // stride[1] + 1
        features = channels * height * width
        maps += 2 * features  # before and after the activation
    return features, maps


def parameters(spec: Spec, net: NetConfig, inputs: int, outputs: int, *, team: bool = False) -> int:
    """Returns the number of parameters of a `Trunk`.

    Args:
        spec: Agents and their groups.
        net: Options of the network.
        inputs: Numbers that it reads, without agent ids.
        outputs: Numbers that it puts out.
        team: It has one output for all agents: one parameter set and no ids.
    """
    sets = 1 if team else max(parameter_sets(spec, net.share)) + 1
    sizes, count = [inputs + (spec.n_agents if net.agent_id and not team else 0), *net.hidden], 0
    for d_in, d_out in itertools.pairwise(sizes):
        count += (d_in + 1) * d_out
    if net.gru:
        count += (sizes[-1] + net.gru + 2) * 3 * net.gru
    return sets * (count + ((net.gru or sizes[-1]) + 1) * outputs)


def talking(net: NetConfig, n_agents: int) -> int:
    """Returns the numbers that a gradient step keeps of one agent in the rounds of communication in one step.

    Measured per agent, per pair of agents in whole matrices, and per link in lists. How many an agent hears in the
    environment's graph is not known before it runs: where lists of links are taken, it counts as `FEW`.
    """
    if net.comm == "none":
        return 0
    kind, number = graph_of(net.comm_graph)
    listed = net.channel.remembers or (n_agents >= LISTED[net.comm][0] and kind in ("env", "knn"))
    most = {"env": FEW if listed else n_agents, "knn": int(number) if listed else n_agents}.get(kind, n_agents)
    pair = 13 * net.comm_heads + net.channel.entries * (4 if listed else 3 if net.comm == "graph" else 0)
    features = net.gru or net.hidden[-1]
    return net.comm_rounds * (3 * features + 2 * net.channel.entries + min(most, n_agents) * pair)


def remembered(spec: Spec, net: NetConfig, n_worlds: int, place: str) -> list[Part]:
    """Counts the medium's memory (`comm.medium`): messages of earlier steps, and what is on its way on every link.

    Three of them are there at once while agents act: before the step, after it, and before the rollout or its copy.

    Args:
        spec: Shapes.
        net: Options of the networks.
        n_worlds: B.
        place: Device of the networks.

    Returns:
        One part; none where nothing is remembered.
    """
    channel, n = net.channel, spec.n_agents
    if net.comm == "none" or not channel.remembers:
        return []
    packet = channel.entries + (len(spec.pose) if net.comm_pose else 0)
    said = FLOAT * n * channel.history * net.comm_rounds * packet
    links = n * n * (channel.latest + 3)
    mend = "--channel.memory, --channel.delay, --n-worlds"
    return [Part("messages of earlier steps", 3 * n_worlds * (said + links), place, mend)]


def readable(number: float) -> str:
    """Returns bytes in words, such as `1.5 GB`."""
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if number < 1000 or unit == "PB":
            return f"{number:.3g} {unit}" if number < 1000 else f"{number:.2e} {unit}"
        number /= 1000
    raise AssertionError
