"""Pictures that an environment draws: how it is asked for one, and whether it may draw any."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ..core import Array

MODE = "rgb_array"
"""The `render_mode` in which `render` returns pictures."""


def draw(env: Any) -> Any:
    """Returns what the environment's `render` returns.

    Older environments take the mode as an argument, `render(mode="rgb_array")`. Wrappers do not pass it on, so the
    environment behind them is called; this package's own wrappers call this function for the environment they wrap.
    """
    if type(env).__module__.startswith(__name__.rpartition(".")[0]):
        return env.render()
    bare = getattr(env, "unwrapped", env)
    render = getattr(bare, "render", None)
    if render is not None and "mode" in _keywords(render):
        return render(mode=MODE)
    return env.render()


def picture(env: Any) -> Array:
    """Returns a picture, (height, width, 3) uint8.

    Raises:
        ValueError: `render` returned something else.
    """
    frame = draw(env)
    if isinstance(frame, list) and frame:  # render modes that keep all frames
        frame = frame[-1]
    found = np.asarray(frame)
    if found.ndim != 3 or found.shape[2] not in (3, 4):
        came = f"an array of shape {found.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ValueError(f"render() gave {came}, not an RGB picture")
    if found.dtype.kind in "bf" and found.max(initial=0) <= 1:  # colours from 0 to 1
        found = found * 255.0
    return found[:, :, :3].astype(np.uint8)


def may_give_pictures(metadata: Any) -> bool:
    """Returns whether an environment's `metadata` list the mode, or no modes at all. The older gym's key has a dot."""
    metadata = metadata or {}
    modes = metadata.get("render_modes") or metadata.get("render.modes") or ()
    return not modes or MODE in modes


def _keywords(function: Any) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return set()
