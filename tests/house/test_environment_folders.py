"""Every environment's folder follows one canon, imports no sibling, and has kernels that can be read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import envs

ENVS = Path(__file__).parents[2] / "envs"
FOLDERS = sorted(name for name in envs.ENVS if (ENVS / name).is_dir())
CANON = {"__init__", "config", "state", "start", "observe", "metrics", "heuristic", "picture", "env"}
"""Files of every environment's folder; its dynamics have names of their own."""
SHARED = {"kit", "roads", "consensus", "core", "__init__"}
"""Parts of `envs` that environments may import, besides their own files."""
MOST_PARAMETERS = 10
MOST_LEVELS = 4


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def siblings(path: Path) -> set[str]:
    """First parts of what a file in an environment's folder imports from `envs`, besides its own folder."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level == 2:
            found |= {node.module.partition(".")[0]} if node.module else {alias.name for alias in node.names}
    return found


def own_imports(path: Path) -> set[str]:
    """Files of the same folder that a file imports."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module.partition(".")[0]} if node.module else {alias.name for alias in node.names}
    return found


def kernels(path: Path) -> Iterator[ast.FunctionDef]:
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef):
            names = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
            if names & {"kernel", "inlined"}:
                yield node


def levels(body: list[ast.stmt]) -> int:
    """Returns how deep loops and conditions are nested; `elif` counts as its `if` does."""
    deepest = 0
    for node in body:
        if isinstance(node, ast.If):
            inside = max(levels(node.body), levels(node.orelse))
            chained = len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
            deepest = max(deepest, 1 + levels(node.body), levels(node.orelse) if chained else 1 + inside)
        elif isinstance(node, (ast.For, ast.While)):
            deepest = max(deepest, 1 + levels(node.body))
    return deepest


def test_levels_are_counted() -> None:
    code = (
        "for a in b:\n    if c:\n        pass\n    elif d:\n        while e:\n            pass\n    else:\n        pass"
    )
    assert levels(ast.parse(code).body) == 3


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_has_the_files_of_the_canon(name: str) -> None:
    assert CANON - {path.stem for path in (ENVS / name).glob("*.py")} == set()


@pytest.mark.parametrize("name", FOLDERS)
def test_no_environment_imports_another(name: str) -> None:
    allowed = SHARED | {"aec_env", "parallel_env"}  # these two are functions of the package
    found = {path.name: siblings(path) - allowed for path in (ENVS / name).glob("*.py")}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_picture_does_not_import_its_environment(name: str) -> None:
    """Neither itself nor through another file; nor do the files that an environment is made of import the heuristic."""
    reached, waiting = set(), {"picture"}
    while waiting:
        file = waiting.pop()
        reached.add(file)
        if (path := ENVS / name / f"{file}.py").exists():
            waiting |= own_imports(path) - reached
    assert not {"env", "heuristic"} & reached


@pytest.mark.parametrize("name", [*FOLDERS, "kit", "consensus"])
def test_kernels_have_few_parameters_and_few_levels(name: str) -> None:
    wrong = {
        f"{path.name}: {kernel.name}": (len(kernel.args.args), levels(kernel.body))
        for path in sorted((ENVS / name).glob("*.py"))
        for kernel in kernels(path)
        if len(kernel.args.args) > MOST_PARAMETERS or levels(kernel.body) > MOST_LEVELS
    }
    assert wrong == {}
