"""Pictures of an environment: how it is asked for one, and whether it gives any."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ..core import Array

MODE = "rgb_array"
"""The `render_mode` that gives pictures."""


def draw(env: Any) -> Any:
    """Asks the environment for a picture of this moment.

    Older environments take the mode where they draw, `render(mode="rgb_array")`. Wrappers do not hand that on, so the
    environment behind them is asked; our own ask here for what they hold.
    """
    if type(env).__module__.startswith(__name__.rpartition(".")[0]):
        return env.render()
    bare = getattr(env, "unwrapped", env)
    render = getattr(bare, "render", None)
    if render is not None and "mode" in _keywords(render):
        return render(mode=MODE)
    return env.render()


def picture(env: Any) -> Array:
    """(height, width, 3) uint8.

    Raises:
        ValueError: The environment gives no picture.
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
    """Whether an environment's `metadata` name the mode, or none at all; the older gym's key has a dot."""
    metadata = metadata or {}
    modes = metadata.get("render_modes") or metadata.get("render.modes") or ()
    return not modes or MODE in modes


def _keywords(function: Any) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return set()
