"""Imports: two packages that do not know each other, arrows that point down, and no circle.

An import counts wherever it stands: in a function, or for type checking only.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {"envs": {"torch", "algos", "coterie"}, "algos": {"envs", "coterie"}}
LEVELS: dict[str, int] = {
    "core": 0,
    "maths": 0,
    "comm": 1,
    "experience": 1,
    "report": 1,
    "nets": 2,
    "credit": 3,
    "training": 4,  # an algorithm may use it: what a run takes of memory is counted there
    "(an algorithm)": 5,
    "(the table)": 6,
    "consensus": 6,
    "peers": 7,
    "federated": 7,
    "cli": 8,
}
"""Rooms of algos/ from the ground up: what lies in one imports from lower levels and from its own room only."""
MOST_ENTRIES = 15
"""In algos/, for somebody who opens it for the first time."""

Graph = dict[str, set[str]]
"""Modules by name, and what each of them imports."""


def imported(path: Path) -> set[str]:
    """First parts of the absolute imports of a file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def import_graph(root: Path, package: str) -> Graph:
    """Returns the modules of a package that each of its modules imports.

    `from .. import name` is an import of the module `name` where there is one, else of the package that has the name.
    """
    paths = sorted((root / package).rglob("*.py"))
    files = {".".join(path.relative_to(root).with_suffix("").parts): path for path in paths}
    modules = {name.removesuffix(".__init__"): path for name, path in files.items()}
    return {name: _targets(name, path, set(modules)) for name, path in modules.items()}


def _targets(name: str, path: Path, modules: set[str]) -> set[str]:
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue  # inside a package imports are relative, see below
        start = package[: len(package) - node.level + 1]
        base = ".".join([*start, *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            found.add(inner if inner in modules else base)
    return found


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others."""
    reach = {name: _reachable(graph, name) for name in graph}
    groups = {tuple(sorted(other for other in reach[name] if name in reach[other])) for name in graph}
    return sorted(list(group) for group in groups if group)


def _reachable(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += graph[name]
    return seen


def room(module: str) -> str:
    """The room of algos/ that a module lies in."""
    parts = module.split(".")
    if len(parts) == 1:
        return "(the table)"
    if (ROOT / "algos" / parts[1]).is_dir() or parts[1] in LEVELS:
        return parts[1]
    return "(an algorithm)"


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_no_file_imports_what_it_must_not(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(ROOT)): imported(path) & FORBIDDEN[package] for path in files}
    assert not {path: names for path, names in wrong.items() if names}


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_inside_a_package_are_relative(package: str) -> None:
    """Otherwise the wheel, where it has another name, would import a foreign package of this one."""
    paths = sorted((ROOT / package).rglob("*.py"))
    assert not [str(path.relative_to(ROOT)) for path in paths if package in imported(path)]


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_no_import_brings_in_what_it_must_not(package: str) -> None:
    """Also through third parties, and in every module of the package; the package alone is light."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / package).rglob("*.py"))
        if not path.stem.startswith("__")
    ]
    heavy = {"numba", "pymunk", "pygame", "scipy", "supersuit", "pandas"} if package == "envs" else set()
    code = (
        f"import sys, importlib, {package}\nprint(*sorted({heavy!r} & sys.modules.keys()))\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(*sorted({FORBIDDEN[package]!r} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    too_heavy, forbidden = done.stdout.splitlines()
    assert too_heavy == "", f"importing {package} is not light"
    assert forbidden == ""


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_no_circle(package: str) -> None:
    graph = import_graph(ROOT, package)
    assert len(graph) > 30
    found = circles(graph)
    told = "\n".join(
        f"  {name} imports {', '.join(sorted(graph[name] & set(group)))}" for group in found for name in group
    )
    assert not found, f"these import each other:\n{told}"


def test_arrows_in_algos_point_down() -> None:
    graph = import_graph(ROOT, "algos")
    wrong = [
        f"{name} -> {target}"
        for name, targets in graph.items()
        for target in sorted(targets)
        if room(target) != room(name) and LEVELS[room(target)] >= LEVELS[room(name)]
    ]
    assert not wrong, "\n".join(["an arrow of algos/ does not point down:", *wrong])


def test_training_imports_no_algorithm() -> None:
    graph = import_graph(ROOT, "algos")
    reached = {room(target) for name in graph if room(name) == "training" for target in _reachable(graph, name)}
    assert reached
    assert not reached & {"(an algorithm)", "(the table)"}


def test_no_environment_depends_on_another() -> None:
    import envs

    def part(module: str) -> str:
        return ".".join(module.split(".")[1:2])

    wrong = [
        f"{name} -> {target}"
        for name, targets in import_graph(ROOT, "envs").items()
        for target in sorted(targets)
        if part(target) in envs.ENVS and part(name) != part(target)
    ]
    assert not wrong, "\n".join(["what environments share lies in a folder of its own, but:", *wrong])


def test_algos_shows_few_entries() -> None:
    entries = [path.name for path in (ROOT / "algos").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_every_room_of_algos_has_a_level() -> None:
    assert {room(name) for name in import_graph(ROOT, "algos")} <= LEVELS.keys()


def test_circles_are_found_wherever_an_import_stands(tmp_path: Path) -> None:
    """Type checking and functions included, and through a third module."""
    package = tmp_path / "house"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "kitchen": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .cellar import Wine\n",
        "cellar": "def fetch():\n    from . import attic\n",
        "attic": "from .kitchen import bread\n",
        "garden": "from . import kitchen\n",
        "own": "from . import NAME\n",
    }.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    graph = import_graph(tmp_path, "house")
    assert graph["house.garden"] == {"house.kitchen"}
    assert graph["house.own"] == {"house"}
    assert circles(graph) == [["house.attic", "house.cellar", "house.kitchen"]]
    (package / "__init__.py").write_text("from .own import NAME\n", encoding="utf-8")
    assert ["house", "house.own"] in circles(import_graph(tmp_path, "house"))
