"""The version of an environment, which is that of the package it comes from."""

from __future__ import annotations

from importlib import metadata

import pettingzoo


def version_of(name: str) -> str | None:
    """Returns name and version of the distribution that an environment comes from; None if that is unknown.

    Args:
        name: The environment's name, as after `--env`; see `find`.
    """
    top = name.partition(":")[0].partition(".")[0]
    if "/" in name:
        for kind in ("parallel", "aec"):
            try:
                entry = pettingzoo.spec(kind, name).entry_point
            except Exception:  # not in this registry
                continue
            top = entry.partition(".")[0] if isinstance(entry, str) else getattr(entry, "__module__", top)
            top = top.partition(".")[0]
    for distribution in metadata.packages_distributions().get(top, ()):
        return f"{distribution} {metadata.version(distribution)}"
    return None
