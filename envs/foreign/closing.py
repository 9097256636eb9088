"""Closing foreign environments, whose `close()` may be missing, may raise, and may end the process."""

from __future__ import annotations

from typing import Any

from .blame import explain


def close(env: Any) -> str:
    """Closes an environment, and raises nothing but `KeyboardInterrupt`.

    Returns:
        What went wrong, in one line; empty if nothing did.
    """
    try:
        closes = env.close
    except AttributeError:
        return "there is no close()"
    try:
        closes()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: some environments end their process when they close their window
        return f"close() raises {explain(error)}"
    return ""
