"""Named generators of random numbers, seeded from one seed and saved together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


class Generators:
    """The only sources of chance of an algorithm: one generator for each purpose, on the device that draws there.

    Independent seeds come from `SeedSequence(seed)`, in the order of the names.
    """

    def __init__(self, seed: int, **devices: torch.device | str) -> None:
        """Seeds the generators.

        Args:
            seed: Seed of all of them.
            **devices: By name, the device that a generator draws on.
        """
        seeds = np.random.SeedSequence(seed).generate_state(len(devices), np.uint64)
        self._generators = {
            name: torch.Generator(device).manual_seed(int(own))
            for (name, device), own in zip(devices.items(), seeds, strict=True)
        }

    def __getitem__(self, name: str) -> torch.Generator:
        """Returns the generator of that name."""
        return self._generators[name]

    def state_dict(self) -> dict[str, Any]:
        """Returns the type of its device and the state, by name."""
        return {name: (one.device.type, one.get_state()) for name, one in self._generators.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`; not bit for bit where a generator was on a device of another type.

        The generators of a CPU and of a GPU have nothing in common. A generator that moves begins anew, with a seed
        that depends on its state, so that it does not repeat its first draws.
        """
        for name, one in self._generators.items():
            device, bits = state[name]
            if device == one.device.type:
                one.set_state(bits.cpu())
            else:
                one.manual_seed((one.initial_seed() + int(bits.long().sum())) % 2**63)
