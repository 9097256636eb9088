"""Hints at what was meant by a name that `find` does not know."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import gymnasium
import pettingzoo

from .modules import KNOWN, near, submodules

FAMILIES = (
    (r"Foraging-", "lbforaging"),
    (r"rware-", "rware"),
    (r"ALE/", "ale_py"),
    (r"MultiGrid-", "multigrid.envs"),
)
"""Beginnings of ids that Gymnasium knows only after a package was imported, and that package."""
EXAMPLES = {
    "lbforaging": "lbforaging:Foraging-8x8-2p-3f-v3",
    "rware": "rware:rware-tiny-2ag-v2",
    "gymnasium": "gymnasium:CartPole-v1",
    "mpe2": "mpe2.simple_spread_v3",
    "multigrid": "multigrid.envs:MultiGrid-Empty-8x8-v0",
    "pettingzoo": "pettingzoo.sisl.pursuit_v5",
}
"""A complete name, by package."""


def hint(name: str) -> str:
    """Returns what to write in place of a name without dot, slash or colon; empty where no known name is near."""
    if found := of_gymnasium(name) or _of_pettingzoo(name) or of_mpe(name):
        return f"did you mean {found}?"
    if name in EXAMPLES:
        return f"{name} is a package with many environments; name one, such as {EXAMPLES[name]}{_how_to_get(name)}"
    if name in KNOWN:
        return f"{name} is a package with many environments; name one as {name}:ID or {name}.MODULE{_how_to_get(name)}"
    for place in (Path(f"{name}.py"), Path(name, "__init__.py")):
        if name.isidentifier() and place.is_file():
            return f"to use what is in {place.absolute()}, name a class or function in it as {name}:NAME"
    return ""


def example(package: str) -> list[str]:
    """Returns a complete name of an environment in a package, if one is known."""
    return [EXAMPLES[package]] if package in EXAMPLES else []


def of_gymnasium(name: str) -> str:
    """Returns an id of Gymnasium's in the right form; empty where none is near."""
    for begin, package in FAMILIES:
        if re.match(begin, name, re.IGNORECASE):
            return f"{package}:{name}"
    found = near(name, gymnasium.registry) if re.search(r"-v\d+$", name) else _versions(name, gymnasium.registry)
    return f"gymnasium:{found[0]}" if found else ""


def of_path(path: str, rest: str) -> str:
    """Returns what to write in place of a file: the name of its module."""
    module = re.sub(r"^(\./|\.\\)+", "", path).removesuffix(".py").replace("/", ".").replace("\\", ".").strip(".")
    return f"{module}:{rest or 'NAME'}"


def instead_of_module(name: str, module: ModuleType) -> str:
    """Returns what to name in place of a module that offers no environment."""
    parent, _, last = name.rpartition(".")
    versions = sorted(found for found in submodules(parent) if re.fullmatch(rf"{re.escape(last)}_v\d+", found))
    if versions:
        return f"did you mean {parent}.{versions[-1]}?"
    if name in EXAMPLES:
        return f"name one of its environments, such as {EXAMPLES[name]}"
    inside = [found for found in submodules(name) if re.search(r"_v\d+$", found)]
    if inside:
        return f"name a module in it, such as {name}.{inside[0]}"
    built = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and callable(getattr(value, "step", None))
    ]
    if built:
        return f"did you mean {name}:{built[0]}?"
    return f"name a class or function as {name}:NAME"


def _of_pettingzoo(name: str) -> str:
    ids = {
        known.rpartition("/")[2].replace("-v", "_v"): known.replace("-v", "_v")
        for known in pettingzoo.parallel_registry
        if not known.startswith("coterie/")
    }
    found = near(name, ids) if re.search(r"_v\d+$", name) else _versions(name, ids)
    return ids[found[0]] if found else ""


def _versions(name: str, ids: Iterable[str]) -> list[str]:
    """Returns the ids that are `name` with a version, the highest first."""
    found = [one for one in ids if re.fullmatch(re.escape(name) + r"[-_]v\d+", one, re.IGNORECASE)]
    return sorted(found, key=lambda one: -int(one.rpartition("v")[2]))


def of_mpe(name: str) -> str:
    """Returns a module of MPE, whose package registers no ids; empty where none is near."""
    if not name.startswith("simple_") or importlib.util.find_spec("mpe2") is None:
        return ""
    import mpe2

    found = near(name, submodules(mpe2.__name__))
    return f"mpe2.{found[0]}" if found else ""


def _how_to_get(package: str) -> str:
    there = importlib.util.find_spec(package) is not None
    return "" if there or package not in KNOWN else f" (after pip install {KNOWN[package]})"
