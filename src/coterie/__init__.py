"""PettingZoo environments and CTDE multi-agent reinforcement learning.

    import coterie

    env = coterie.envs.parallel_env("warehouse")
    policy = coterie.algos.load_policy("runs/NAME")

`coterie.envs` never needs torch, `coterie.algos` never an environment; each is loaded when it is first asked for, so
that importing `coterie` costs nothing. In a clone that is not installed they are plain `envs` and `algos`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import algos, envs

__version__ = "0.1.0"
"""Written here only: pyproject.toml and the wheel take it from this line."""

__all__ = ["__version__", "algos", "envs"]


def __getattr__(name: str) -> Any:
    if name in ("algos", "envs"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
