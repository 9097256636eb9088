"""Closing environments of others, whose `close()` may be missing, may raise, and may end the process."""

from __future__ import annotations

from typing import Any

from .blame import told


def close(env: Any) -> str:
    """Closes an environment as far as it lets itself be closed.

    Returns:
        What went wrong, in one line; empty where nothing did. Nothing but Ctrl-C gets out.
    """
    try:
        closes = env.close
    except AttributeError:
        return "there is no close()"
    try:
        closes()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: some end their process along with their window
        return f"close() raises {told(error)}"
    return ""
