"""Where networks compute: the device, and torch's threads on the CPU."""

from __future__ import annotations

import os

import torch

from .run_config import ConfigError


def best_threads() -> int:
    """Returns how many threads torch should have: `OMP_NUM_THREADS` if set, else two, if there are two cores."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        return int(given)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 2)


def set_threads(count: int) -> None:
    """Gives torch a number of threads on the CPU.

    Raises:
        ConfigError: Torch refuses the number.
    """
    try:
        torch.set_num_threads(count)
    except (RuntimeError, OverflowError, TypeError, ValueError) as error:
        raise ConfigError("run", f"threads is {count}: {str(error).splitlines()[0]}") from None


def check_device(name: str) -> str:
    """Returns a device's name if torch can compute and draw random numbers there.

    Raises:
        ConfigError: It cannot; the message says why.
    """
    try:
        torch.ones(1, device=name).add(1.0).item()
        torch.Generator(name)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0].split(". ", 1)[0]  # the rest is for people who build torch
        words = " ".join(name.split())
        raise ConfigError("run", f"device {words}: {reason}; allowed are cpu and, with a GPU, cuda") from None
    return name
