"""Which version of an environment somebody has: that of the package it comes from."""

from __future__ import annotations

from importlib import metadata

import pettingzoo


def version_of(name: str) -> str | None:
    """Name and version of the distribution that an environment comes from; None where that is not known.

    Args:
        name: What stands after `--env`, see `find`.
    """
    top = name.partition(":")[0].partition(".")[0]
    if "/" in name:
        for kind in ("parallel", "aec"):
            try:
                entry = pettingzoo.spec(kind, name).entry_point
            except Exception:  # unknown in this registry
                continue
            top = entry.partition(".")[0] if isinstance(entry, str) else getattr(entry, "__module__", top)
            top = top.partition(".")[0]
    for distribution in metadata.packages_distributions().get(top, ()):
        return f"{distribution} {metadata.version(distribution)}"
    return None
