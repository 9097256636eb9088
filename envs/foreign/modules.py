"""Imports foreign modules, also from the current folder, and turns every failure into one line that is safe to follow.

Messages never suggest installing an unknown name, because anybody may own that name on PyPI.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import os
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from .blame import explain

KNOWN = {
    "ale_py": "ale-py",
    "gymnasium_robotics": "gymnasium-robotics",
    "lbforaging": "lbforaging",
    "magent2": "magent2",
    "metadrive": "metadrive-simulator",
    "mpe2": "mpe2",
    "multigrid": "multigrid",
    "pogema": "pogema",
    "rware": "rware",
}
"""Packages of environments that messages may suggest installing: the module's name, and the package's on PyPI."""
EXTRAS = ("atari", "butterfly", "classic", "sisl")
"""PettingZoo's extras, one for each family of its environments."""
_OURS = ("algos", "coterie", "envs")
OFFERS = ("parallel_env", "env", "raw_env")
"""Names of the constructors in PettingZoo's modules, in the order of preference."""
TURNS = "is a turn-based game; Coterie trains on environments in which all agents act at once"


def imported(name: str) -> ModuleType:
    """Imports a module by its dotted name, also from the current folder or as an attribute of its package.

    Raises:
        ValueError: It does not exist, needs something that is missing, or cannot be imported; the message is one line.
    """
    if not all(name.split(".")):  # Python would read it as a relative name, or fail with an unclear error
        raise ValueError(f"{name!r} is not the name of a module; it has an empty part")
    try:
        return _import(name)
    except ModuleNotFoundError as error:
        missing, top = error.name or "", name.partition(".")[0]
        if missing == top:
            if _is_here(top):
                sys.path.append(str(Path.cwd()))  # workers get this path too
                return imported(name)
            raise ValueError(_not_found(top)) from None
        if name == missing or name.startswith(missing + "."):
            if (reached := _attribute(name)) is not None:
                return reached
            raise ValueError(_no_such_module(missing)) from None
        if _offers_turns_alone(name):
            raise ValueError(f"{name} {TURNS}") from None
        if not missing:
            raise ValueError(f"{name} cannot be imported: {explain(error)}") from error
        raise ValueError(f"{name} needs {_needed(name, missing, error)}") from error
    except ImportError as error:
        if _offers_turns_alone(name):
            raise ValueError(f"{name} {TURNS}") from None
        raise ValueError(f"{name} cannot be imported: {explain(error)}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a script that ends itself where it is imported
        raise ValueError(f"{name} cannot be imported: {explain(error)}") from error


def near(came: str, allowed: Iterable[str], n: int = 1) -> list[str]:
    """Returns the names most similar to `came`, regardless of case and version."""
    exact = {name.lower(): name for name in allowed}
    found = difflib.get_close_matches(came.lower(), exact, n=n)
    found += [name for name in sorted(exact) if re.fullmatch(re.escape(came.lower()) + r"[_-]v\d+", name)]
    return [exact[name] for name in dict.fromkeys(found)][:n]


def unknown(what: str, came: str, allowed: Iterable[str]) -> str:
    """Returns the message for a name that does not exist."""
    allowed = list(allowed)
    found = near(came, allowed)
    hint = f"; did you mean {found[0]!r}?" if found else ""
    return f"unknown {what}: {came!r}; allowed: {', '.join(allowed) or 'none'}{hint}"


def shadow(module: ModuleType) -> str:
    """Returns an end for messages if a module hides one of the same name in the current folder, else nothing."""
    top = module.__name__.partition(".")[0]
    place = getattr(sys.modules.get(top), "__file__", None)
    spec = PathFinder.find_spec(top, [str(Path.cwd())])
    origin = spec and spec.origin
    if (origin is None and top not in _OURS) or (
        origin and place and os.path.realpath(origin) == os.path.realpath(place)
    ):
        return ""
    return f"; {top} is here {place or 'a part of Python'}, not what is in the current folder"


def submodules(package: str) -> list[str]:
    """Returns the modules in an imported package; only those with a version in their names, if there are any."""
    paths = getattr(sys.modules.get(package), "__path__", ())
    inside = [found.name for found in pkgutil.iter_modules(paths)]
    return [name for name in inside if re.search(r"_v\d+$", name)] or inside


def _import(name: str) -> ModuleType:
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):  # programs may read standard output
        # PettingZoo's modules with a version in their names warn that ids are preferred; both are fine here.
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module(name)


def _is_here(top: str) -> bool:
    """Returns whether the current folder has such a module and is not in `sys.path` yet."""
    folder = Path.cwd()
    if any(Path(entry).resolve() == folder.resolve() for entry in sys.path):
        return False
    importlib.invalidate_caches()
    return PathFinder.find_spec(top, [str(folder)]) is not None


def _attribute(name: str) -> ModuleType | None:
    """Returns a module that its package offers under another name, such as `gymnasium_robotics.mamujoco_v1`."""
    parent, _, last = name.rpartition(".")
    if not parent:
        return None
    try:
        holder = _import(parent)
    except ImportError:
        holder = _attribute(parent)
    found: Any = getattr(holder, last, None)
    return found if isinstance(found, ModuleType) else None


def _not_found(top: str) -> str:
    if top in KNOWN:
        return f"package {top!r} is not installed (pip install {KNOWN[top]})"
    return (
        f"there is no module {top!r}, neither in the current folder ({Path.cwd()}) nor installed; change to the folder "
        "that holds it, or install the package as its authors say"
    )


def _no_such_module(missing: str) -> str:
    parent, _, last = missing.rpartition(".")
    holder = sys.modules[parent]
    inside = submodules(parent)
    if last in vars(holder) and callable(vars(holder)[last]):
        return f"{missing} is no module; did you mean {parent}:{last}?"
    return unknown(f"module of {parent}", last, inside) + shadow(holder)


def _needed(name: str, missing: str, error: ImportError) -> str:
    """Returns the name of a missing module, and how to install it where that is safe."""
    family = name.split(".")[1] if name.startswith("pettingzoo.") else ""
    if family in EXTRAS:
        return f"{missing!r}, which is not installed (pip install 'pettingzoo[{family}]')"
    top = missing.partition(".")[0]
    if top in KNOWN and top not in sys.modules:
        return f"{missing!r}, which is not installed (pip install {KNOWN[top]})"
    where = explain(error)
    if top in sys.modules and top != missing:
        place = getattr(sys.modules[top], "__file__", None)
        return f"{missing!r}, but {top!r} is another package here, {place}: {where}"
    return f"{missing!r}, which is not installed: {where}"


def _offers_turns_alone(name: str) -> bool:
    """Returns whether a module of PettingZoo's that could not be imported has no parallel environment."""
    if not name.startswith("pettingzoo."):
        return False
    try:
        found = importlib.util.find_spec(name)
    except ImportError:
        return False
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        return False
    text = Path(found.origin).read_text(encoding="utf-8", errors="replace")
    return "raw_env" in text and "parallel_env" not in text
